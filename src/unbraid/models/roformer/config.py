"""All settings of BS-RoFormer and Mel-Band RoFormer, as plain data."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from unbraid.errors import SettingsError
from unbraid.models.base import ModelSpec
from unbraid.models.checks import check_fields
from unbraid.models.roformer.bands import BS_BANDS, Bands, mel_bands, side_by_side
from unbraid.models.settings import spec_of
from unbraid.words import counted

_RANGES: dict[str, tuple[float, float]] = {
    "time_layers": (0, 64),
    "frequency_layers": (0, 64),
    "joint_layers": (0, 64),
    "head_width": (2, 1024),
    "window": (1, 1 << 17),
    "mask_hidden_layers": (0, 16),
    "mask_growth": (1, 64),
    "bands": (1, 1 << 16),
    "mel_bands": (2, 512),
}


@dataclass(frozen=True)
class RoformerConfig:
    """What both RoFormers have.

    Attributes:
        stems: names of the parts.
        sample_rate, audio_channels: of mixture and estimates.
        segment_s: length one forward pass is meant for, in seconds.
        n_fft, hop, window, normalized: of the STFT, in samples; see `PlainSTFT`.
        silence_dc: set the bin at 0 Hz of every stem to zero.
        width: features of a token; one token for each band and frame.
        depth: blocks; each has `time_layers` along time, `frequency_layers` along the bands and
            before these `joint_layers` of feature attention on all tokens.
        heads, head_width: of the attention.
        polar: polar positions (PoPE) instead of rotary ones.
        skips: the output of every block also enters all later blocks.
        mask_hidden_layers, mask_growth: of the networks that make masks; hidden layers have
            `mask_growth * width` features.
        attention_dropout, dropout: in training, of the attention and of feed-forward layers.
        normalize: as in `ModelSpec`.
    """

    stems: tuple[str, ...] = ("vocals",)
    sample_rate: int = 44100
    audio_channels: int = 2
    segment_s: float = 8.0
    n_fft: int = 2048
    hop: int = 441
    window: int = 2048
    normalized: bool = False
    silence_dc: bool = True
    width: int = 384
    depth: int = 6
    time_layers: int = 1
    frequency_layers: int = 1
    joint_layers: int = 0
    heads: int = 8
    head_width: int = 64
    polar: bool = False
    skips: bool = False
    mask_hidden_layers: int = 1
    mask_growth: int = 4
    attention_dropout: float = 0.0
    dropout: float = 0.0
    normalize: bool = False

    def __post_init__(self) -> None:
        ranges = {**_RANGES, "audio_channels": (1, 2), "attention_dropout": (0, 0.99)}
        check_fields(self, ranges)
        if self.n_fft % 2 or self.head_width % 2:
            raise SettingsError(
                f"n_fft and head_width are even, got {self.n_fft} and {self.head_width}"
            )
        if self.window > self.n_fft or 2 * self.hop > self.window:
            raise SettingsError(
                f"the window is at most n_fft and at least two hops, got window {self.window}, "
                f"n_fft {self.n_fft}, hop {self.hop}"
            )
        bands = self.split
        if sum(count for _, count in bands) * len(self.stems) > 1 << 22:
            raise SettingsError(
                f"{counted(len(bands), 'band')} and {counted(len(self.stems), 'stem')} are too many"
            )

    @property
    def spec(self) -> ModelSpec:
        """Stems, rate, channels and segment."""
        return spec_of(self, normalize=self.normalize)

    @property
    def split(self) -> Bands:
        """First bin and number of bins of each band."""
        raise NotImplementedError


@dataclass(frozen=True)
class BSRoformerConfig(RoformerConfig):
    """All settings of a BS-RoFormer: bands side by side, of `bands` bins each."""

    bands: tuple[int, ...] = BS_BANDS

    def __post_init__(self) -> None:
        super().__post_init__()
        if sum(self.bands) != self.n_fft // 2 + 1:
            raise SettingsError(
                f"the bands hold all {self.n_fft // 2 + 1} bins of n_fft {self.n_fft}, got "
                f"{counted(len(self.bands), 'band')} of {sum(self.bands)} bins"
            )

    @property
    def split(self) -> Bands:
        """First bin and number of bins of each band."""
        return side_by_side(self.bands)


@dataclass(frozen=True)
class MelBandRoformerConfig(RoformerConfig):
    """All settings of a Mel-Band RoFormer: `mel_bands` overlapping bands, even in pitch."""

    mel_bands: int = 60
    mask_hidden_layers: int = 2

    @property
    def split(self) -> Bands:
        """First bin and number of bins of each band."""
        return _mel_bands(self.mel_bands, self.n_fft, self.sample_rate)


_mel_bands = functools.lru_cache(maxsize=16)(mel_bands)
