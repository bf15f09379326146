"""Models so simple that what the engine must make of them is known."""

from __future__ import annotations

import torch
from torch import Tensor

from unbraid.models.base import ModelSpec

SAMPLE_RATE = 20  # so that the shift trick reaches 10 samples


def spec_of(
    stems: int = 2, channels: int = 2, segment: int = 10, longest: int | None = None
) -> ModelSpec:
    names = ("drums", "bass", "other", "vocals", "guitar", "piano")[:stems]
    return ModelSpec(names, SAMPLE_RATE, channels, segment, longest)


class StandIn:
    """Keeps the contract; asks for `wider` more samples, rounded up to a multiple of `grid`."""

    def __init__(self, spec: ModelSpec | None = None, wider: int = 0, grid: int = 1) -> None:
        self.spec = spec or spec_of()
        self.wider = wider
        self.grid = grid
        self.seen: list[Tensor] = []

    def valid_samples(self, samples: int) -> int:
        return -(-(samples + self.wider) // self.grid) * self.grid

    def __call__(self, mixture: Tensor) -> Tensor:
        self.seen.append(mixture.clone())
        return self.separate(mixture)

    def separate(self, mixture: Tensor) -> Tensor:
        raise NotImplementedError


class Identity(StandIn):
    """One stem that is the mixture, or several that share it: they add up to the mixture."""

    def separate(self, mixture: Tensor) -> Tensor:
        stems = len(self.spec.stems)
        return (mixture / stems)[:, None].expand(-1, stems, -1, -1)


class Splitter(StandIn):
    """Stem k is (k + 1) times the mixture."""

    def separate(self, mixture: Tensor) -> Tensor:
        gains = torch.arange(1.0, len(self.spec.stems) + 1)
        return mixture[:, None] * gains[:, None, None]


class Positional(StandIn):
    """Depends on everything that an engine can get wrong: position in the segment, its length,
    neighbours on both sides, the rest of the batch item; but not on other batch items."""

    def __init__(self, *args: object, gain: float = 1.0, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.gain = gain

    def separate(self, mixture: Tensor) -> Tensor:
        samples = mixture.shape[-1]
        ramp = torch.linspace(-1.0, 1.0, samples + 1)[1:]
        mixed = mixture + 0.5 * mixture.roll(1, -1) - 0.25 * mixture.flip(1).roll(-2, -1)
        stems = [mixed * (1 + k * ramp) + 0.1 * ramp * k for k in range(len(self.spec.stems))]
        return self.gain * torch.stack(stems, dim=1)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
