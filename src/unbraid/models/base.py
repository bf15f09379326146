"""The contract every model keeps, so that the engine never asks who a model is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from unbraid.shapes import Estimates, Mixture

FRAME_SAMPLES, SILENCE = 8192, 1e-10
"""Of ratio masks: samples of a frame of their spectrogram, and a magnitude next to nothing."""


@dataclass(frozen=True)
class ModelSpec:
    """What a caller must know of a model.

    Attributes:
        stems: names of the parts, in the order of the estimates.
        sample_rate: Hz, of mixture and estimates.
        channels: audio channels, of mixture and estimates.
        segment_samples: the length one forward pass is meant for, in samples at `sample_rate`.
        longest_samples: the longest input a forward pass can take; None if there is no limit.
        ratio_masks: whether estimates are finished by ratio masks (`runtimes/masks.py`). Whoever
            runs the model does it, not the model: the same for all runtimes.
    """

    stems: tuple[str, ...]
    sample_rate: int
    channels: int
    segment_samples: int
    longest_samples: int | None = None
    ratio_masks: bool = False


@runtime_checkable
class SeparationModel(Protocol):
    """A mixture in, estimates out: (b c t) -> (b s c t), any t >= 1, same t.

    Tensors of torch, unless the model has an attribute `takes_arrays` that is true: arrays of numpy
    then, float32.
    """

    @property
    def spec(self) -> ModelSpec: ...

    def __call__(self, mixture: Mixture) -> Estimates: ...

    def valid_samples(self, samples: int) -> int:
        """The length, at least `samples`, that the model computes on without padding of its own.

        The engine extends a segment to it with the real neighbouring audio. A model that takes any
        length gives `samples` back.
        """
        ...


def takes_arrays(model: SeparationModel) -> bool:
    """Whether the model works on arrays of numpy rather than on tensors."""
    return bool(getattr(model, "takes_arrays", False))
