"""Everything that makes a Hybrid Demucs."""

from __future__ import annotations

from dataclasses import dataclass

from unbraid.errors import SettingsError
from unbraid.models.layers.levels import Level, check_norms, grow
from unbraid.models.limits import check_widths
from unbraid.models.spectral.config import SpectralConfig


@dataclass(frozen=True)
class HybridDemucsConfig(SpectralConfig):
    """Everything that makes a Hybrid Demucs; defaults are the paper's.

    The hop of the STFT, n_fft / 4, must be the total stride of the frequency levels.

    Attributes:
        time_width: features after the first layer of the time branch; None: as the spectral branch.
        delayed_stft: whether the spectral branch comes late, as some published models learnt it.
    """

    time_width: int | None = None
    delayed_stft: bool = False

    def time_widths(self) -> list[int]:
        """Features of the time branch, level by level."""
        return grow(self.time_width or self.width, self.growth, self.depth)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_widths(self.time_widths())
        hop = self.n_fft // 4
        reached = self.stride ** (self.outer_levels + 1)
        if reached != hop:
            raise SettingsError(
                f"n_fft {self.n_fft} with stride {self.stride} and depth {self.depth} does not "
                f"close: {self.outer_levels + 1} frequency levels reduce time by {reached}, the "
                f"STFT by {hop}; n_fft 4096 with depth 6 and 1024 with depth 5 do"
            )
        if self.magnitude and self.wiener_iterations != self.wiener_training_iterations:
            raise SettingsError(
                "the time branch learns what the filtered spectral branch leaves, so "
                "wiener_iterations are the same in training and evaluation, got "
                f"{self.wiener_training_iterations} and {self.wiener_iterations}"
            )
        check_norms(level for branch in self.plan() for level in branch)

    def plan(self) -> tuple[list[Level], list[Level], list[Level]]:
        """Levels of the spectral and the time branch, down to the meeting, and of the core."""
        outer = self.outer_levels
        spec_widths, time_widths = self.spec_widths(), self.time_widths()
        met = max(spec_widths[outer], time_widths[outer])
        spec_widths = spec_widths[:outer] + grow(met, self.growth, self.depth - outer)
        time_widths = [*time_widths[:outer], met]
        channels = self.audio_channels
        time = []
        for level, width in enumerate(time_widths):
            ends = (
                (time_widths[level - 1],) * 2 if level else (channels, channels * len(self.stems))
            )
            time.append(self.level(level, ends, width, self.kernel, self.stride))
        return self.spec_levels(spec_widths), time, self.shared_levels(spec_widths)
