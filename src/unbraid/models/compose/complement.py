"""Complement: a model of one stem, and as a second stem all that it leaves of the mixture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from unbraid.errors import SettingsError
from unbraid.models.base import ModelSpec
from unbraid.models.checks import check_stems
from unbraid.models.compose.composite import Composite
from unbraid.models.compose.namespace import namespace
from unbraid.models.registry import Member


@dataclass(frozen=True)
class ComplementConfig:
    """A model of one stem, and what to call the rest.

    Attributes:
        model: the model.
        rest: name of the mixture without its stem.
    """

    model: Member
    rest: str = "instrumental"

    def __post_init__(self) -> None:
        stems = self.model.config.spec.stems
        if len(stems) != 1:
            raise SettingsError(f"a complement needs a model of one stem, got {', '.join(stems)}")
        check_stems(self.spec.stems)

    @property
    def members(self) -> dict[str, Member]:
        """The one model, under the name "model"."""
        return {"model": self.model}

    @property
    def spec(self) -> ModelSpec:
        """The model's, with a second stem."""
        spec: ModelSpec = self.model.config.spec
        return replace(spec, stems=(*spec.stems, self.rest))


class Complement(Composite):
    """Both stems add up to the mixture exactly."""

    def share(self, mixture: Any) -> dict[str, Any]:
        """The model hears the whole mixture."""
        return {"model": mixture}

    def join(self, mixture: Any, estimates: Mapping[str, Any]) -> Any:
        """(b c t) and (b 1 c t) -> (b 2 c t)."""
        stem = estimates["model"][:, 0]
        return namespace(mixture).stack([stem, mixture - stem], 1)
