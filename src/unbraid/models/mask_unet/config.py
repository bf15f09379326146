"""Settings of the U-Nets that mask a spectrogram: plain values, without torch."""

from __future__ import annotations

from dataclasses import dataclass

from unbraid.errors import SettingsError
from unbraid.models.base import ModelSpec
from unbraid.models.checks import check_fields


@dataclass(frozen=True)
class MaskUNetConfig:
    """One U-Net for each stem, and how their outputs become estimates. Defaults: Spleeter, 2 stems.

    Attributes:
        stems: names of the stems.
        sample_rate, audio_channels: of mixture and estimates.
        n_fft, hop: size of a frame of the STFT and distance between frames, in samples.
        frames, bins: size of the patch that a network sees; `bins` counts from 0 Hz upwards. Longer
            songs are cut into patches that do not overlap.
        width: features after the first layer; they double in each of the `depth` layers.
        layout: "spleeter" or "jansson"; `network.py` draws both.
        activation: "leaky_relu" (the decoder then has ReLU) or "elu" (in both).
        softmax: whether the stems' masks come from one softmax, not from a sigmoid each.
        exponent: estimates share the mixture in proportion to the networks' outputs to this power;
            0 leaves each network its own mask.
        above: mask of the frequencies above the patch: "zeros", or "average" of the patch's mask,
            frame by frame.
        wiener_iterations: how often a multichannel Wiener filter refines the patch's estimates
            (`layers/wiener_em.py`), patch by patch.
        input_gain: what the networks hear is the mixture times this. They are not indifferent to
            level: Spleeter learnt from songs as they are on records.
        normalize_songs: `normalize` of `ModelSpec`; False for Spleeter's own files.

    Raises:
        SettingsError: for values out of range or that do not fit together.
    Sources: Jansson et al., ISMIR 2017; Hennequin et al., JOSS 5(50), 2154, 2020.
    """

    stems: tuple[str, ...] = ("vocals", "accompaniment")
    sample_rate: int = 44100
    audio_channels: int = 2
    n_fft: int = 4096
    hop: int = 1024
    frames: int = 512
    bins: int = 1024
    width: int = 16
    depth: int = 6
    layout: str = "spleeter"
    activation: str = "leaky_relu"
    softmax: bool = False
    exponent: float = 2.0
    above: str = "zeros"
    wiener_iterations: int = 0
    input_gain: float = 1.0
    normalize_songs: bool = True

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, _CHOICES)
        self._check_sizes()
        if self.wiener_iterations and self.audio_channels > 2:
            raise SettingsError(
                f"Wiener filtering takes 1 or 2 channels, got {self.audio_channels}; "
                "set wiener_iterations to 0"
            )

    def _check_sizes(self) -> None:
        step = 1 << self.depth
        if self.frames % step or self.bins % step:
            raise SettingsError(
                f"{self.depth} layers of stride 2 take patches with sides that are multiples of "
                f"{step}, got {self.frames} frames and {self.bins} bins"
            )
        if self.bins > self.n_fft // 2 + 1 or self.n_fft % 2:
            raise SettingsError(
                f"an STFT of even size {self.n_fft} has {self.n_fft // 2 + 1} bins, "
                f"a patch cannot have {self.bins}"
            )
        if self.hop >= self.n_fft or self.frames <= self.n_fft // self.hop:
            raise SettingsError(
                f"frames overlap, and a patch holds more of them than overlap: got n_fft "
                f"{self.n_fft}, hop {self.hop}, {self.frames} frames"
            )
        if self.layout == "jansson" and self.audio_channels != 1:
            raise SettingsError(
                "the layout jansson has a mask of one channel, so audio_channels is 1; "
                f"got {self.audio_channels}"
            )
        if self.width << self.depth - 1 > 1 << 14:
            raise SettingsError(
                f"layers have at most {1 << 14} features, got {self.width << self.depth - 1}"
            )

    @property
    def widths(self) -> tuple[int, ...]:
        """Features after each layer of the encoder."""
        return tuple(self.width << level for level in range(self.depth))

    @property
    def decoder_widths(self) -> tuple[tuple[int, int], ...]:
        """Features into and out of each layer of the decoder, innermost first."""
        outs = (*self.widths[-2::-1], 1)
        ins = (self.widths[-1], *(2 * width for width in outs[:-1]))
        return tuple(zip(ins, outs, strict=True))

    @property
    def segment_samples(self) -> int:
        """The longest mixture whose frames fit into one patch."""
        return self.frames * self.hop - self.n_fft

    @property
    def spec(self) -> ModelSpec:
        """Any length works; one patch is the natural segment."""
        return ModelSpec(
            self.stems,
            self.sample_rate,
            self.audio_channels,
            self.segment_samples,
            normalize=self.normalize_songs,
        )


_RANGES = {
    "hop": (1, 1 << 17),
    "frames": (1, 1 << 14),
    "bins": (1, 1 << 16),
    "depth": (2, 12),
    "exponent": (0, 16),
    "input_gain": (1e-6, 1e6),
    "wiener_iterations": (0, 16),
}
_CHOICES = {
    "layout": ("spleeter", "jansson"),
    "activation": ("leaky_relu", "elu"),
    "above": ("zeros", "average"),
}
