"""Settings of DPRNN-TasNet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from unbraid.errors import SettingsError
from unbraid.models.checks import Range
from unbraid.models.settings import BASIS_RANGES, SystemConfig


@dataclass(frozen=True)
class DPRNNConfig(SystemConfig):
    """Settings of DPRNN-TasNet; networks of public files have one audio channel.

    Attributes:
        basis: filters of the learnt basis, of `kernel` samples every `stride` samples.
        width, hidden: features between the layers, and of each direction of an RNN.
        chunk, hop: frames of a chunk, and from one chunk to the next.
        repeats: pairs of an RNN within chunks and one across them.
        rnn: "lstm", "gru" or "rnn", of `layers` layers with `dropout` between them.
        both_ways: whether the RNN across chunks also runs backwards.
        multiply: two RNNs, whose outputs are multiplied and joined with their input (MulCat).
        mask: "relu", "sigmoid" or "softmax" over the stems.
    """

    segment_s: float = 4.0
    basis: int = 64
    kernel: int = 16
    stride: int = 8
    width: int = 128
    hidden: int = 128
    chunk: int = 100
    hop: int = 50
    repeats: int = 6
    rnn: str = "lstm"
    layers: int = 1
    dropout: float = 0.0
    both_ways: bool = True
    multiply: bool = False
    mask: str = "sigmoid"

    RANGES: ClassVar[Mapping[str, Range]] = {
        **BASIS_RANGES,
        "chunk": (2, 65_536),
        "hop": (1, 65_536),
        "repeats": (1, 64),
        "layers": (1, 16),
        "dropout": (0, 0.99),
    }
    WORDS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "rnn": ("lstm", "gru", "rnn"),
        "mask": ("relu", "sigmoid", "softmax"),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hop > self.chunk:
            raise SettingsError(
                f"chunks overlap or touch, so hop is at most chunk; got {self.hop} > {self.chunk}"
            )
