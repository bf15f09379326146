"""The shape of a `BandUNet`, as plain values: no torch."""

from __future__ import annotations

from dataclasses import dataclass

from unbraid.errors import SettingsError
from unbraid.models.base import ModelSpec
from unbraid.models.checks import check_fields
from unbraid.models.settings import spec_of

LEVELS = 4
_RANGES: dict[str, tuple[float, float]] = {
    "n_fft": (256, 1 << 14),
    "bands": (16, 2048),
    "channels": (1, 512),
    "dense": (1, 256),
    "hidden": (1, 2048),
}


@dataclass(frozen=True)
class BandUNetConfig:
    """What a `BandUNet` is made of.

    Attributes:
        stems: names of the estimates, in order. They sum to the mixture.
        sample_rate: Hz.
        audio_channels: of mixture and estimates.
        n_fft: samples of a frame of the spectrogram; frames overlap by half.
        bands: bands that the spectrogram is read in, a multiple of 8. The lowest are one bin wide,
            higher ones grow with their frequency.
        channels: features of the four levels; each has half the bands of the one above.
        dense: bands are mixed by dense layers of (bands at the level) / `dense` units.
        hidden: units of the recurrent layer, for each direction.
        segment_s: length in seconds of one forward pass.
    Raises:
        SettingsError: if a value is out of range; names it.
    """

    stems: tuple[str, ...] = ("drums", "bass", "other")
    sample_rate: int = 44_100
    audio_channels: int = 2
    n_fft: int = 4096
    bands: int = 192
    channels: tuple[int, ...] = (16, 24, 32, 48)
    dense: int = 8
    hidden: int = 128
    segment_s: float = 12.0

    def __post_init__(self) -> None:
        check_fields(self, _RANGES)
        if self.audio_channels not in (1, 2):
            raise SettingsError(f"audio_channels must be 1 or 2, got {self.audio_channels}")
        if self.n_fft & (self.n_fft - 1):
            raise SettingsError(f"n_fft must be a power of 2, got {self.n_fft}")
        if self.bands % 8 or self.bands > self.n_fft // 2:
            raise SettingsError(
                f"bands must be a multiple of 8 and at most half of n_fft, got {self.bands}"
            )
        if len(self.channels) != LEVELS:
            raise SettingsError(f"channels must be {LEVELS} numbers, got {self.channels}")

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return self.n_fft // 2

    @property
    def edges(self) -> tuple[int, ...]:
        """First bins of the bands, and the end of the last: `bands + 1` rising numbers.

        The lowest bands are one bin wide; from some frequency on each is wider than the one below
        by a constant ratio.
        """
        return band_edges(self.n_fft // 2 + 1, self.bands)

    @property
    def spec(self) -> ModelSpec:
        """What a caller must know."""
        return spec_of(self)


def band_edges(bins: int, bands: int) -> tuple[int, ...]:
    """Edges of bands that grow with their frequency, but none narrower than one bin.

    >>> band_edges(17, 8)
    (0, 1, 2, 3, 4, 6, 8, 12, 17)
    """
    for single in range(1, bands):  # the fewest bands of one bin that leave none narrower
        rest = bands - single
        ratio = (bins / single) ** (1 / rest)
        if single * (ratio - 1) >= 1:
            grown = [round(single * ratio**step) for step in range(1, rest + 1)]
            return _rising([*range(single + 1), *grown], bins)
    return (*range(bands), bins)


def _rising(edges: list[int], bins: int) -> tuple[int, ...]:
    out = [0]
    for left, edge in zip(range(len(edges) - 2, -1, -1), edges[1:], strict=True):
        out.append(min(max(edge, out[-1] + 1), bins - left))
    return tuple(out)
