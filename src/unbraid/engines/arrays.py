"""The base of models that compute on arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any

import numpy as np

from unbraid.arrays import alike, as_array
from unbraid.models.base import ModelSpec, SeparationModel
from unbraid.models.compose.composite import digest_of
from unbraid.shapes import Float32


class ArrayModel(ABC):
    """A model that computes on arrays on the CPU. Called with tensors, it answers with tensors."""

    device = "cpu"
    engine = "numpy"

    @property
    @abstractmethod
    def spec(self) -> ModelSpec:
        """What a caller must know about it."""

    @abstractmethod
    def separate(self, mixture: Float32[np.ndarray, "b c t"]) -> Float32[np.ndarray, "b s c t"]:
        """Separate songs."""

    def __call__(self, mixture: Any) -> Any:
        """(b c t) -> (b s c t), arrays or tensors alike."""
        signal = np.ascontiguousarray(as_array(mixture), np.float32)
        return alike(mixture, self.separate(signal))

    def valid_samples(self, samples: int) -> int:
        """By default any length."""
        return samples

    def take_back(self, estimates: Any) -> None:
        """By default they are left to the garbage collector."""
        del estimates

    def pass_bytes(self, samples: int) -> int:
        """By default mixture and estimates."""
        return 4 * samples * self.spec.channels * (1 + len(self.spec.stems))

    def at_once(self, samples: int) -> int:
        """How many songs of so many samples it had best be given together; by default one."""
        return 1

    def fingerprint(self) -> str:
        """By default of the class and the spec."""
        return digest_of(self, self.spec)

    def narrow(self, stems: Collection[str]) -> SeparationModel:
        """By default itself."""
        return self
