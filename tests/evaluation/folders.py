"""Small folders of references and estimates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

RATE = 8000


def sound(seed: int, seconds: float = 2.5, channels: int = 1, rate: int = RATE) -> np.ndarray:
    """Noise (channels, samples), exact in 16 bit."""
    noise = 0.1 * np.random.default_rng(seed).standard_normal((channels, round(seconds * rate)))
    return np.round(np.clip(noise, -0.9, 0.9) * 32768) / 32768


def write(path: Path, signal: np.ndarray, rate: int = RATE, subtype: str = "PCM_16") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, signal.T, rate, subtype=subtype)
    return path


def make_tracks(
    root: Path, tracks: tuple[str, ...] = ("A", "B"), stems: tuple[str, ...] = ("bass", "drums")
) -> tuple[Path, Path]:
    """Folders of references and of estimates with a little noise."""
    for t, track in enumerate(tracks):
        for s, stem in enumerate(stems):
            truth, error = sound(10 * t + s), sound(100 + 10 * t + s)
            write(root / "references" / track / f"{stem}.wav", truth)
            guess = truth + (0.1 + 0.05 * t + 0.1 * s) * error
            write(root / "estimates" / track / f"{stem}.wav", guess, subtype="FLOAT")
    return root / "references", root / "estimates"
