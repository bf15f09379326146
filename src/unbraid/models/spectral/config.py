"""The settings that models on spectrograms share, and the plan of their levels.

`HybridDemucs` has a time branch, `SpectrogramDemucs` has none; what a setting means and how a level
follows from it is the same for both.
"""

from __future__ import annotations

from dataclasses import dataclass

from unbraid.errors import SettingsError
from unbraid.models.base import ModelSpec
from unbraid.models.layers.levels import LayerShape, Level, grow, residual_shape
from unbraid.models.limits import check_limits, check_widths
from unbraid.models.settings import spec_of
from unbraid.models.spectral.bands import check_splits


@dataclass(frozen=True)
class SpectralConfig:
    """Settings of every model with a spectral branch; defaults are the paper's.

    Attributes:
        stems: names of the parts.
        sample_rate, audio_channels: of mixture and estimates.
        segment_s: length one forward pass is meant for, in seconds.
        width: features after the first layer; `growth` times more in each further one.
        n_fft: STFT size; the hop is a quarter of it.
        depth: number of encoder levels, shared ones included.
        kernel, stride: of the convolutions over frequency; `shared_stride` of those after.
        gate, encoder_context, decoder_context: gated convolutions and their half-widths.
        norm_from, norm_groups: first level with GroupNorm, and its groups.
        embedding_weight: factor of the frequency embedding, 0 for none; `embedding_scale` makes it
            learn faster, `embedding_smooth` starts it smooth.
        residual_encoder, residual_decoder: whether these layers have residual branches;
            `residual_depth` of them (negative: not dilated), `residual_compression` times narrower,
            starting at `residual_scale`, with LSTM from level `lstm_from` and attention from
            `attention_from` on.
        init_reference: spread towards which start weights are drawn, 0 to leave them.
        magnitude: work on magnitudes instead of complex spectrograms. The phase then comes from the
            mixture, and `wiener_iterations` refine it in evaluation mode
            (`wiener_training_iterations` in training mode): 0 uses it unchanged, a negative number
            likewise but divides by |z| + 1e-8. With `wiener_residual`, what no stem holds counts as
            a stem of its own meanwhile.
        band_splits: shares of the frequency rows, growing, at which the outermost
            `band_split_levels` levels are split into bands with weights of their own.
    """

    stems: tuple[str, ...] = ("drums", "bass", "other", "vocals")
    sample_rate: int = 44100
    audio_channels: int = 2
    segment_s: float = 40.0
    width: int = 48
    growth: float = 2
    n_fft: int = 4096
    depth: int = 6
    kernel: int = 8
    stride: int = 4
    shared_stride: int = 2
    gate: bool = True
    encoder_context: int = 0
    decoder_context: int = 1
    norm_from: int = 4
    norm_groups: int = 4
    embedding_weight: float = 0.2
    embedding_scale: float = 10.0
    embedding_smooth: bool = True
    residual_encoder: bool = True
    residual_decoder: bool = False
    residual_depth: int = 2
    residual_compression: float = 4
    residual_scale: float = 1e-3
    lstm_from: int = 4
    attention_from: int = 4
    init_reference: float = 0.1
    magnitude: bool = False
    wiener_iterations: int = 0
    wiener_training_iterations: int = 0
    wiener_residual: bool = False
    band_splits: tuple[float, ...] = ()
    band_split_levels: int = 2

    @property
    def spec(self) -> ModelSpec:
        """Stems, rate, channels and segment."""
        return spec_of(self)

    @property
    def outer_levels(self) -> int:
        """Levels before the one that takes all frequency rows left to a single one."""
        rows, levels = self.n_fft // 2, 0
        while rows > self.kernel:
            rows, levels = rows // self.stride, levels + 1
        return levels

    @property
    def rows_at_meeting(self) -> int:
        """Frequency rows left at that level."""
        return self.n_fft // 2 // int(self.stride**self.outer_levels)

    @property
    def parts(self) -> int:
        """Feature channels of the spectral branch for each audio channel."""
        return 1 if self.magnitude else 2

    @property
    def split_levels(self) -> int:
        """How many of the outermost levels are split into bands."""
        return self.band_split_levels if self.band_splits else 0

    @property
    def _filters(self) -> bool:
        return max(self.wiener_iterations, self.wiener_training_iterations) > 0

    def __post_init__(self) -> None:
        check_limits(self)
        if self.stride < 2:
            raise SettingsError(f"the stride over frequency is 2 or more, got {self.stride}")
        check_widths(self.spec_widths())
        rows = self.n_fft // 2
        if (
            self.n_fft % 4
            or rows % self.stride**self.outer_levels
            or self.depth <= self.outer_levels
        ):
            raise SettingsError(
                f"n_fft {self.n_fft} with stride {self.stride} and depth {self.depth} does not "
                f"close: {rows} frequency rows take {self.outer_levels + 1} levels to become one"
            )
        if self.magnitude and self.audio_channels > 2 and self._filters:
            raise SettingsError(
                f"Wiener filtering takes 1 or 2 audio channels, got {self.audio_channels}; "
                "without it (wiener_iterations 0) any number will do"
            )
        if self.split_levels > min(self.norm_from, self.outer_levels):
            raise SettingsError(
                f"levels split into bands have no norm and come before the branches meet: at most "
                f"{min(self.norm_from, self.outer_levels)} here, got {self.split_levels}"
            )
        for level in range(self.split_levels):
            check_splits(rows // self.stride**level, self.band_splits, self.kernel, self.stride)

    def spec_widths(self) -> list[int]:
        """Features of the spectral branch and the shared core, level by level."""
        return grow(self.width, self.growth, self.depth)

    def level(
        self, level: int, ends: tuple[int, int], width: int, kernel: int, stride: int
    ) -> Level:
        """One level, whose outer ends have these numbers of channels (encoder, decoder)."""
        residual = residual_shape(self, level)
        groups = self.norm_groups if level >= self.norm_from else None

        def shape(outer: int, context: int, has_residual: bool) -> LayerShape:
            kept = residual if has_residual else None
            return LayerShape(outer, width, kernel, stride, groups, self.gate, context, kept)

        return Level(
            encoder=shape(ends[0], self.encoder_context, self.residual_encoder),
            decoder=shape(ends[1], self.decoder_context, self.residual_decoder),
        )

    def spec_levels(self, widths: list[int]) -> list[Level]:
        """Levels of the spectral branch, the last of which leaves one frequency row."""
        parts = self.audio_channels * self.parts
        levels = []
        for level in range(self.outer_levels + 1):
            last = level == self.outer_levels
            kernel = self.rows_at_meeting if last else self.kernel
            ends = (widths[level - 1],) * 2 if level else (parts, parts * len(self.stems))
            shapes = self.level(level, ends, widths[level], kernel, self.stride)
            levels.append(shapes.unpadded() if last else shapes)
        return levels

    def shared_levels(self, widths: list[int]) -> list[Level]:
        """Levels of the core, which stride over time only."""
        stride = self.shared_stride
        return [
            self.level(level, (widths[level - 1],) * 2, widths[level], 2 * stride, stride)
            for level in range(self.outer_levels + 1, self.depth)
        ]
