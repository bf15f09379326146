"""Settings of Conv-TasNet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from unbraid.models.checks import Range
from unbraid.models.settings import BASIS_RANGES, SystemConfig


@dataclass(frozen=True)
class ConvTasNetConfig(SystemConfig):
    """Settings of Conv-TasNet; defaults are those of the music version (Défossez et al. 2019).

    The speech version has `bias=True, skip_width=128, rectified=False, input_norm="global"`,
    `mask_slope=True, mask="sigmoid"`.

    Attributes:
        basis: filters of the learnt basis, of `kernel` samples every `stride` samples.
        width, hidden: features between the blocks and inside of them.
        conv_kernel: of the convolutions over time.
        blocks, repeats: blocks of dilation 1, 2, 4, ... and how often that series stands.
        skip_width: features that each block also hands to the masks, summed; 0: the masks are made
            of what the last block gives.
        norm, input_norm: "global", "frame", "cumulative", "batch" or "none"; the latter comes
            first of all.
        causal: frames do not see later ones.
        bias: whether convolutions have biases.
        rectified: whether features of the basis pass through ReLU.
        mask: "relu", "sigmoid" or "softmax" over the stems.
        mask_slope: whether a PReLU comes before the masks.
    """

    segment_s: float = 8.0
    basis: int = 256
    kernel: int = 20
    stride: int = 10
    width: int = 256
    hidden: int = 512
    conv_kernel: int = 3
    blocks: int = 10
    repeats: int = 4
    skip_width: int = 0
    norm: str = "global"
    input_norm: str = "frame"
    causal: bool = False
    bias: bool = False
    rectified: bool = True
    mask: str = "relu"
    mask_slope: bool = False

    RANGES: ClassVar[Mapping[str, Range]] = {
        **BASIS_RANGES,
        "conv_kernel": (1, 255),
        "blocks": (1, 20),
        "repeats": (1, 64),
        "skip_width": (0, 65_536),
    }
    WORDS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "norm": ("global", "frame", "cumulative", "batch", "none"),
        "input_norm": ("global", "frame", "cumulative", "batch", "none"),
        "mask": ("relu", "sigmoid", "softmax"),
    }
