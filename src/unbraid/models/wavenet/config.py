"""Settings of the WaveNet of Lluís et al."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from unbraid.errors import SettingsError
from unbraid.models.checks import Range
from unbraid.models.settings import SystemConfig


@dataclass(frozen=True)
class WaveNetConfig(SystemConfig):
    """Settings of a WaveNet that separates; defaults are the published multi-instrument model.

    The last stem is what the others leave of the mixture.

    Attributes:
        doublings: dilations 1, 2, 4, ... of a stack go up to 2 to this power.
        stacks: how often that series stands.
        width, skip_width: features of the stream, and of what each block adds to the outcome.
        final_widths: features of the two convolutions before the last.
        kernel, final_kernel: of the dilated and the final convolutions, odd.
    """

    stems: tuple[str, ...] = ("vocals", "drums", "bass", "other")
    sample_rate: int = 16000
    audio_channels: int = 1
    segment_s: float = 2.0
    doublings: int = 9
    stacks: int = 4
    width: int = 64
    skip_width: int = 64
    final_widths: tuple[int, ...] = (2048, 256)
    kernel: int = 3
    final_kernel: int = 3

    RANGES: ClassVar[Mapping[str, Range]] = {
        "doublings": (0, 14),
        "stacks": (1, 64),
        "skip_width": (1, 16_384),
        "final_widths": (1, 65_536),
        "kernel": (1, 63),
        "final_kernel": (1, 63),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.stems) < 2 or len(self.final_widths) != 2:
            raise SettingsError(
                "there are 2 stems or more, the last of which is what is left, and 2 final widths; "
                f"got {self.stems} and {self.final_widths}"
            )
        if self.kernel % 2 == 0 or self.final_kernel % 2 == 0:
            raise SettingsError(f"kernels are odd, got {self.kernel} and {self.final_kernel}")

    @property
    def dilations(self) -> list[int]:
        """Of every block, along the way through."""
        return [2**level for _ in range(self.stacks) for level in range(self.doublings + 1)]

    @property
    def reach(self) -> int:
        """Samples on either side of a sample that its estimate depends on, before the end."""
        return sum(self.dilations) * (self.kernel // 2)
