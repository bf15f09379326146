"""What the configs of all architectures share: stems, rate, channels, segment, and their checks.

A config is plain data that may come from any file, so every number has a smallest and a greatest
value and every word a list of known ones. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from unbraid.models.base import ModelSpec
from unbraid.models.checks import Range, check_fields, whole_samples


def spec_of(config: Any, *, normalize: bool = True) -> ModelSpec:
    """What a caller must know about a model of this config.

    Args:
        config: with `stems`, `sample_rate`, `audio_channels` and `segment_s`.
        normalize: as in `ModelSpec`.
    """
    return ModelSpec(
        stems=config.stems,
        sample_rate=config.sample_rate,
        channels=config.audio_channels,
        segment_samples=max(1, whole_samples(config.segment_s, config.sample_rate)),
        normalize=normalize,
    )


@dataclass(frozen=True)
class SystemConfig:
    """Settings that every architecture has; a subclass adds its own and their limits.

    Attributes:
        stems: names of the parts, in the order of the estimates.
        sample_rate: Hz, of mixture and estimates.
        audio_channels: of mixture and estimates.
        segment_s: length of one forward pass, in seconds.
        normalize_songs: `normalize` of `ModelSpec`; False for what was trained on songs unchanged.
    """

    stems: tuple[str, ...] = ("drums", "bass", "other", "vocals")
    sample_rate: int = 44100
    audio_channels: int = 2
    segment_s: float = 6.0
    normalize_songs: bool = True

    RANGES: ClassVar[Mapping[str, Range]] = {}
    """Smallest and greatest value of every number of the subclass, or of each item of a tuple."""
    WORDS: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Known values of every string."""

    def __post_init__(self) -> None:
        """Raise `SettingsError` for a value of the wrong kind or outside its range."""
        check_fields(self, self.RANGES, self.WORDS)

    @property
    def spec(self) -> ModelSpec:
        """Stems, rate, channels and segment."""
        return spec_of(self, normalize=self.normalize_songs)


BASIS_RANGES: Mapping[str, Range] = {
    "basis": (1, 65_536),
    "kernel": (1, 65_536),
    "stride": (1, 65_536),
    "width": (1, 65_536),
    "hidden": (1, 65_536),
}
"""Of any network that masks a learnt basis."""
