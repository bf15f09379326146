"""The contract of every model: whatever runs it, and whatever it is made of.

Two protocols stand here. `SeparationModel` is all that unbraid ever asks of a model. `TensorModel`
is the little that a caller's own model must have; `engines/ready.py` makes the first of the second.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from unbraid.shapes import Estimates, Mixture


@dataclass(frozen=True)
class ModelSpec:
    """What a caller must know about a model.

    Attributes:
        stems: names of the stems, in the order of the estimates.
        sample_rate: Hz, of mixture and estimates.
        channels: audio channels, of mixture and estimates.
        segment_samples: the length one forward pass is meant for, in samples at `sample_rate`.
        longest_samples: the longest input a forward pass can take; None if there is no limit.
        normalize: whether songs are brought to mean 0 and deviation 1 before the model, as it was
            trained; False for models that take songs unchanged.
    """

    stems: tuple[str, ...]
    sample_rate: int
    channels: int
    segment_samples: int
    longest_samples: int | None = None
    normalize: bool = True


@dataclass(frozen=True)
class Member:
    """A model inside a model: its architecture and its config dataclass."""

    architecture: str
    config: Any


@runtime_checkable
class TensorModel(Protocol):
    """A model that computes on tensors of torch: an `nn.Module`, or anything that acts like one."""

    @property
    def spec(self) -> ModelSpec:
        """What a caller must know about it."""
        ...

    def __call__(self, mixture: Any) -> Any:
        """(b c t) -> (b s c t), any t >= 1, same t."""
        ...

    def valid_samples(self, samples: int) -> int:
        """The length, at least `samples`, that the model computes on without padding of its own."""
        ...


@runtime_checkable
class SeparationModel(Protocol):
    """A mixture in, estimates out: (b c t) -> (b s c t), any t >= 1, same t.

    Takes arrays of numpy or tensors of torch, float32, and answers with the same kind.
    """

    @property
    def spec(self) -> ModelSpec:
        """What a caller must know about it."""
        ...

    @property
    def device(self) -> str:
        """Where it computes, as torch names devices."""
        ...

    @property
    def engine(self) -> str:
        """What runs it, in words for people."""
        ...

    def __call__(self, mixture: Mixture) -> Estimates: ...

    def valid_samples(self, samples: int) -> int:
        """The length, at least `samples`, that the model computes on without padding of its own.

        The separation extends a segment to it with the real neighbouring audio. A model that takes
        any length returns `samples`.
        """
        ...

    def take_back(self, estimates: Any) -> None:
        """Estimates of an earlier pass that are no longer needed: the model may reuse their
        memory for the next one. Calling it is optional; fresh memory costs time."""
        ...

    def pass_bytes(self, samples: int) -> int:
        """Memory of one pass over `samples`, the weights not counted; an upper bound."""
        ...

    def fingerprint(self) -> str:
        """A digest of architecture and weights: it changes when the stems may. Hexadecimal."""
        ...

    def narrow(self, stems: Collection[str]) -> SeparationModel:
        """A model that computes at least these stems, as cheaply as it can, and to the same values.

        Its spec is the same; stems that were not requested may be silent.
        """
        ...
