"""Settings of Open-Unmix, and of CrossNet-Open-Unmix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from unbraid.errors import SettingsError
from unbraid.models.checks import Range
from unbraid.models.settings import SystemConfig


@dataclass(frozen=True)
class OpenUnmixConfig(SystemConfig):
    """Settings of Open-Unmix; defaults are those of umxhq (umxl has `hidden=1024`).

    Attributes:
        n_fft, hop: of the STFT.
        bins: frequency bins that a network reads, from 0 Hz; 1487 reach to 16 kHz.
        hidden: features between the layers.
        lstm_layers, both_ways, dropout: of the LSTM.
        wiener_iterations: of the filter after the networks, in evaluation mode; 0 for the mixture's
            phase alone.
        softmask: whether the filter starts from ratio masks.
        wiener_frames: frames of a block of the filter.
    """

    stems: tuple[str, ...] = ("vocals", "drums", "bass", "other")
    n_fft: int = 4096
    hop: int = 1024
    bins: int = 1487
    hidden: int = 512
    lstm_layers: int = 3
    both_ways: bool = True
    dropout: float = 0.4
    wiener_iterations: int = 1
    softmask: bool = False
    wiener_frames: int = 300

    RANGES: ClassVar[Mapping[str, Range]] = {
        "n_fft": (8, 1 << 17),
        "hop": (1, 1 << 17),
        "bins": (1, 1 << 16),
        "hidden": (2, 65_536),
        "lstm_layers": (1, 16),
        "dropout": (0, 0.99),
        "wiener_iterations": (0, 1000),
        "wiener_frames": (1, 1_000_000),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bins > self.n_fft // 2 + 1 or self.hidden % 2 or self.n_fft % 2:
            raise SettingsError(
                f"an STFT of even size has n_fft / 2 + 1 bins, of which a network reads {self.bins}"
                f" at most, and hidden is even; got n_fft {self.n_fft}, hidden {self.hidden}"
            )
        if self.wiener_iterations and (self.audio_channels > 2 or len(self.stems) < 2):
            raise SettingsError(
                "Wiener filtering takes 1 or 2 audio channels and 2 stems or more, got "
                f"{self.audio_channels} and {self.stems}; set wiener_iterations to 0"
            )
