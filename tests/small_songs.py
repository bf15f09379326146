"""Small songs and a small model for tests of whole tracks."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from unbraid.models.base import ModelSpec

SAMPLE_RATE = 44100


class LowHigh:
    """Stems "low" (a moving average) and "high" (0.9 of the rest): a tenth of it is in no stem."""

    spec = ModelSpec(("low", "high"), SAMPLE_RATE, 2, SAMPLE_RATE // 2)

    def valid_samples(self, samples: int) -> int:
        return samples + 62  # so that segments see real neighbours, and edges do not show

    def __call__(self, mixture: Tensor) -> Tensor:
        low = torch.nn.functional.avg_pool1d(mixture, 31, 1, 15)
        return torch.stack([low, 0.9 * (mixture - low)], dim=1)


class Loud(LowHigh):
    """Stems far louder than the mixture, that cancel each other."""

    def __call__(self, mixture: Tensor) -> Tensor:
        return torch.stack([3.0 * mixture, -2.5 * mixture], dim=1)


def noise(
    seconds: float = 1.0, channels: int = 2, sample_rate: int = SAMPLE_RATE, seed: int = 0
) -> np.ndarray:
    """Noise (channels, samples) within ±1."""
    shape = (channels, max(1, round(seconds * sample_rate)))
    return np.clip(0.25 * np.random.default_rng(seed).standard_normal(shape), -1, 0.999)


def write_song(
    path: Path,
    signal: np.ndarray | None = None,
    sample_rate: int = SAMPLE_RATE,
    subtype: str = "PCM_16",
) -> Path:
    """A sound file of `signal`, or of a second of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    signal = noise() if signal is None else signal
    soundfile.write(path, signal.T, sample_rate, subtype=subtype)
    return path


def integers(path: Path, bits: int = 16) -> np.ndarray:
    """Samples of a wav or flac file as int64 (channels, samples) in their own grid."""
    data, _ = soundfile.read(path, dtype="int32", always_2d=True)
    return data.T.astype(np.int64) >> (32 - bits)


def floats(path: Path) -> np.ndarray:
    """Samples of a file as float64 (channels, samples)."""
    data, _ = soundfile.read(path, dtype="float64", always_2d=True)
    return data.T


def main_with_stand_in() -> int:
    """The command line, for a process of its own, with `LowHigh` in place of every model."""
    from unbraid.cli.main import main
    from unbraid.engines import prepare

    torch.set_num_threads(1)
    prepare.load_to_run = lambda name, device, precision, **more: LowHigh()  # type: ignore[assignment]
    return main()


if __name__ == "__main__":
    sys.exit(main_with_stand_in())
