"""What is done to the stems of a made-up song as a whole."""

from __future__ import annotations

import numpy as np

from unbraid.songs import effects as fx

Stems = list[np.ndarray]


def balance(stems: Stems, rng) -> Stems:
    """Stems at levels of records: about rms 0.1, bass and other 1 dB below the drums."""
    levels = rng.normal((0, -1, -1), (2, 3, 3))
    return [
        s * np.float32(0.1 / max(fx.rms(s), 1e-4) * 10 ** (v / 20))
        for s, v in zip(stems, levels, strict=True)
    ]


def press(stems: Stems, rng) -> Stems:
    """Bus compression and a limiter: every stem gets the mix's gain."""
    mix = sum(stems)
    level = mix + 1e-6
    pressed = fx.compress(mix, rng.uniform(1.3, 3), rng.uniform(0.05, 0.3))
    curve = np.clip(
        np.abs(pressed).sum(1, keepdims=True) / (np.abs(level).sum(1, keepdims=True) + 1e-9), 0, 2
    ).astype(np.float32)
    curve = fx.butter(curve, 200, "low", 1)
    peak = float(np.abs(mix * curve).max())
    curve = curve * fx.limiter_curve(mix * curve, peak * rng.uniform(0.35, 0.9))
    return [s * curve for s in stems]


def whole(stems: Stems) -> np.ndarray:
    """int16 (3, samples, 2); the loudest stem's peak is just below full scale."""
    peak = max(float(np.abs(s).max()) for s in stems)
    return (np.stack(stems) * (0.98 * 32767 / max(peak, 1e-6))).astype(np.int16)
