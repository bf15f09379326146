"""Small datasets of noise for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

STEMS = ("bass", "drums")
RATE = 8000


def noise(samples: int, seed: int, channels: int = 2, level: float = 0.1) -> np.ndarray:
    """Noise (channels, samples)."""
    drawn = level * np.random.default_rng(seed).standard_normal((channels, samples))
    return np.clip(drawn, -1, 0.999).astype(np.float32)


def write(path: Path, signal: np.ndarray, rate: int = RATE, subtype: str | None = "PCM_16") -> Path:
    """A sound file of (channels, samples)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, signal.T, rate, subtype=None if path.suffix == ".ogg" else subtype)
    return path


def make_dataset(
    root: Path,
    lengths: dict[str, int],
    split: str = "train",
    stems: tuple[str, ...] = STEMS,
    rate: int = RATE,
    suffix: str = ".wav",
) -> Path:
    """ROOT/SPLIT/TRACK/STEM of noise, each track with its length in samples."""
    for number, (track, samples) in enumerate(lengths.items()):
        for stem, name in enumerate(stems):
            signal = noise(samples, 100 * number + stem)
            write(root / split / track / f"{name}{suffix}", signal, rate)
    return root


def make_rare_bass(root: Path, lengths: dict[str, int]) -> Path:
    """`make_dataset` with A, 8 s, whose bass plays in its last second, and B without a bass."""
    make_dataset(root, lengths)
    bass = noise(8 * RATE, 3)
    bass[:, : 7 * RATE] = 0
    write(root / "train/A/bass.wav", bass)
    (root / "train/B/bass.wav").unlink()
    return root


def signal_of(path: Path) -> np.ndarray:
    """What a file holds, float32 (channels, samples)."""
    return soundfile.read(path, dtype="float32", always_2d=True)[0].T
