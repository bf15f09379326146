"""Settings of ResUNetDecouple+."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from unbraid.errors import SettingsError
from unbraid.models.checks import Range
from unbraid.models.settings import SystemConfig


@dataclass(frozen=True)
class ResUNetConfig(SystemConfig):
    """Settings of ResUNetDecouple+; defaults are the published 143 layers.

    Attributes:
        joint: one network for all stems; else one for each.
        n_fft, hop: of the STFT.
        widths: features of each level on the way down.
        time_levels: levels that also halve time; the others halve frequency alone.
        blocks: residual blocks of a level.
        middle: levels without pooling between the way down and up.
    """

    stems: tuple[str, ...] = ("vocals", "drums", "bass", "other")
    segment_s: float = 3.0
    joint: bool = False
    n_fft: int = 2048
    hop: int = 441
    widths: tuple[int, ...] = (32, 64, 128, 256, 384, 384)
    time_levels: int = 5
    blocks: int = 4
    middle: int = 4

    RANGES: ClassVar[Mapping[str, Range]] = {
        "widths": (1, 16_384),
        "time_levels": (0, 12),
        "blocks": (1, 64),
        "middle": (1, 64),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        levels = len(self.widths)
        if not 1 <= levels <= 12 or self.time_levels > levels:
            raise SettingsError(
                f"a U-Net has 1 to 12 levels, of which time_levels halve time; got {levels} and "
                f"{self.time_levels}"
            )
        if self.n_fft % 2 or self.n_fft // 2 % 2**levels:
            raise SettingsError(
                f"n_fft / 2 is a multiple of 2 to the power of the levels, got {self.n_fft} / 2 "
                f"and {levels} levels"
            )
