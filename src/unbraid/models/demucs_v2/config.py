"""Settings of Demucs v1 and v2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from unbraid.models.checks import Range
from unbraid.models.limits import check_widths
from unbraid.models.settings import SystemConfig


@dataclass(frozen=True)
class DemucsV2Config(SystemConfig):
    """Settings of Demucs v2 as published; v1 is `resample=False, epsilon=0.0, width=100`.

    Attributes:
        width: features of the first level; `growth` times more in each of the `depth` levels.
        kernel, stride: of the convolutions that change the resolution.
        context: kernel of the decoder's convolutions, which have no padding.
        gated: convolutions with a gate (GLU) after them, else with ReLU.
        lstm_layers: layers of the LSTM in the middle, 0 for none.
        normalize: bring the input to mean 0 and deviation 1, and the output back.
        epsilon: added to the deviation; v2 adds it to 1 where it does not normalize.
        resample: work at twice the sample rate.
        init_reference: spread towards which start weights are drawn, 0 to leave them.
    """

    segment_s: float = 10.0
    width: int = 64
    growth: float = 2.0
    depth: int = 6
    kernel: int = 8
    stride: int = 4
    context: int = 3
    gated: bool = True
    lstm_layers: int = 2
    normalize: bool = False
    epsilon: float = 1e-5
    resample: bool = True
    init_reference: float = 0.1

    RANGES: ClassVar[Mapping[str, Range]] = {
        "width": (1, 16_384),
        "growth": (0.1, 16),
        "depth": (1, 16),
        "kernel": (1, 1024),
        "stride": (1, 1024),
        "context": (1, 64),
        "lstm_layers": (0, 16),
        "epsilon": (0, 1),
        "init_reference": (0, 100),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        check_widths(self.widths)

    @property
    def widths(self) -> list[int]:
        """Features of each level."""
        widths = [self.width]
        while len(widths) < self.depth:
            widths.append(int(self.growth * widths[-1]))
        return widths
