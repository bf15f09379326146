"""A model around another one: what both have in common."""

from __future__ import annotations

from typing import Any

from unbraid.engines.run import at_once
from unbraid.models.base import ModelSpec, SeparationModel


class Around:
    """Answers as the model inside does. A subclass runs it, and narrows it, in a way of its own.

    Args:
        model: the one inside.
    """

    def __init__(self, model: SeparationModel) -> None:
        self.model = model

    @property
    def spec(self) -> ModelSpec:
        """That of the model."""
        return self.model.spec

    @property
    def device(self) -> str:
        """That of the model."""
        return self.model.device

    @property
    def engine(self) -> str:
        """That of the model."""
        return self.model.engine

    def valid_samples(self, samples: int) -> int:
        """That of the model."""
        return self.model.valid_samples(samples)

    def take_back(self, estimates: Any) -> None:
        """Handed to the model."""
        self.model.take_back(estimates)

    def pass_bytes(self, samples: int) -> int:
        """That of the model."""
        return self.model.pass_bytes(samples)

    def at_once(self, samples: int) -> int:
        """That of the model."""
        return at_once(self.model, samples)

    def fingerprint(self) -> str:
        """That of the model."""
        return self.model.fingerprint()
