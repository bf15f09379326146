"""Settings of Wave-U-Net."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from unbraid.errors import SettingsError
from unbraid.models.checks import Range
from unbraid.models.settings import SystemConfig


@dataclass(frozen=True)
class WaveUNetConfig(SystemConfig):
    """Settings of Wave-U-Net; defaults are the published M6 (stereo, four stems).

    Attributes:
        levels: how often the rate is halved.
        width: features of the first level; each level has `width` more than the one before.
        kernel, merge_kernel: of the convolutions on the way down and up, odd.
        context: convolutions without padding, fed with more input than they give output.
        difference: the last stem is the mixture minus the others, else it has its own output.
        learned_upsampling: a learnt weight of the neighbours for each feature, else their mean.
        bounded: outputs through tanh, else linear and clipped to [-1, 1] in evaluation mode.
    """

    stems: tuple[str, ...] = ("bass", "drums", "other", "vocals")
    sample_rate: int = 22050
    levels: int = 12
    width: int = 24
    kernel: int = 15
    merge_kernel: int = 5
    context: bool = True
    difference: bool = True
    learned_upsampling: bool = False
    bounded: bool = True

    RANGES: ClassVar[Mapping[str, Range]] = {
        "levels": (1, 16),
        "width": (1, 4096),
        "kernel": (1, 255),
        "merge_kernel": (1, 255),
    }
    WORDS: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.kernel % 2 and self.merge_kernel % 2):
            raise SettingsError(
                f"kernels of Wave-U-Net are odd, got {self.kernel} and {self.merge_kernel}"
            )
        if self.difference and len(self.stems) < 2:
            raise SettingsError(f"difference output takes 2 stems or more, got {self.stems}")
