"""All settings of an SCNet, as plain data."""

from __future__ import annotations

import math
from dataclasses import dataclass

from unbraid.errors import SettingsError
from unbraid.models.base import ModelSpec
from unbraid.models.checks import check_fields
from unbraid.models.settings import spec_of

_RANGES: dict[str, tuple[float, float]] = {
    "widths": (1, 16_384),
    "window": (1, 1 << 17),
    "band_shares": (0, 1),
    "band_strides": (1, 1024),
    "band_kernels": (1, 1024),
    "band_depths": (0, 64),
    "compression": (1e-3, 16_384),
    "conv_kernel": (1, 1023),
    "dual_paths": (0, 64),
    "expansion": (1, 64),
}


@dataclass(frozen=True)
class SCNetConfig:
    """All settings of an SCNet; defaults are those of the paper's smaller model.

    Attributes:
        stems: names of the parts.
        sample_rate, audio_channels: of mixture and estimates.
        segment_s: length one forward pass is meant for, in seconds.
        n_fft, hop, window, normalized: of the STFT, in samples; see `PlainSTFT`. Its window is
            rectangular, except where `masks` are made.
        widths: features before the first level (two for each audio channel) and after each level.
        band_shares: which share of the frequency rows the low, middle and high band take on each
            level; the high band takes the rest.
        band_strides, band_kernels: of the convolution that shortens each band.
        band_depths: residual convolution modules in each band.
        compression, conv_kernel: of these modules.
        dual_paths: layers of the separation network; even. `expansion` widens their LSTMs.
        masks: make masks of the mixture instead of spectrograms.
        standardize: bring each spectrogram to mean 0 and deviation 1, and the output back.
        normalize: as in `ModelSpec`.
    """

    stems: tuple[str, ...] = ("drums", "bass", "other", "vocals")
    sample_rate: int = 44100
    audio_channels: int = 2
    segment_s: float = 11.0
    n_fft: int = 4096
    hop: int = 1024
    window: int = 4096
    normalized: bool = True
    widths: tuple[int, ...] = (4, 32, 64, 128)
    band_shares: tuple[float, ...] = (0.175, 0.392, 0.433)
    band_strides: tuple[int, ...] = (1, 4, 16)
    band_kernels: tuple[int, ...] = (3, 4, 16)
    band_depths: tuple[int, ...] = (3, 2, 1)
    compression: float = 4
    conv_kernel: int = 3
    dual_paths: int = 6
    expansion: int = 1
    masks: bool = False
    standardize: bool = False
    normalize: bool = False

    def __post_init__(self) -> None:
        check_fields(self, _RANGES)
        bands = (self.band_shares, self.band_strides, self.band_kernels, self.band_depths)
        if any(len(values) != 3 for values in bands):
            raise SettingsError("band_shares, _strides, _kernels and _depths have 3 values each")
        if len(self.widths) < 2 or self.widths[0] != 2 * self.audio_channels:
            raise SettingsError(
                f"widths start with 2 for each of {self.audio_channels} audio channels, and one "
                f"more for each level, got {self.widths}"
            )
        if any(k < s for k, s in zip(self.band_kernels, self.band_strides, strict=True)):
            raise SettingsError("the kernel of each band is at least its stride")
        if self.dual_paths % 2 or not self.conv_kernel % 2 or self.n_fft % 2:
            raise SettingsError(
                "dual_paths and n_fft are even, conv_kernel is odd; got "
                f"{self.dual_paths}, {self.n_fft} and {self.conv_kernel}"
            )
        if min(self.widths[1:]) < self.compression:
            raise SettingsError("compression leaves no features")
        if self.window > self.n_fft or 2 * self.hop > self.window:
            raise SettingsError("the window is at most n_fft and at least two hops")
        self.band_rows()

    @property
    def spec(self) -> ModelSpec:
        """Stems, rate, channels and segment."""
        return spec_of(self, normalize=self.normalize)

    def band_rows(self) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """Rows of the three bands before and after each level.

        Raises:
            SettingsError: if a band has no rows.

        >>> [sum(after) for before, after in SCNetConfig().band_rows()]
        [616, 186, 57]
        """
        rows = self.n_fft // 2 + 1
        levels: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
        low, middle, _ = self.band_shares
        for _ in self.widths[1:]:
            first, second = math.ceil(rows * low), math.ceil(rows * (low + middle))
            before = (first, second - first, rows - second)
            if min(before) < 1:
                raise SettingsError(f"band_shares {self.band_shares} leave a band without rows")
            after = tuple(
                -(-length // stride) if stride > 1 else length
                for length, stride in zip(before, self.band_strides, strict=True)
            )
            levels.append((before, after))
            rows = sum(after)
        return levels
