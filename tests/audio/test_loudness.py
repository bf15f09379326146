from __future__ import annotations

import math

import numpy as np
import pytest

from unbraid.audio.loudness import LoudnessMeter, integrated_loudness

RATE = 16000


def music(seconds: float, channels: int = 2) -> np.ndarray:
    rng = np.random.default_rng(0)
    swell = 0.1 + 0.1 * np.sin(np.arange(int(seconds * RATE)) / RATE)
    return (swell * rng.standard_normal((channels, int(seconds * RATE)))).astype(np.float32)


def metered(signal: np.ndarray, block: int) -> float:
    meter = LoudnessMeter(RATE, signal.shape[0])
    for start in range(0, signal.shape[1], block):
        meter.push(signal[:, start : start + block])
    return meter.loudness_lufs()


@pytest.mark.parametrize("block", [999, 16000, 10**9])
@pytest.mark.parametrize("channels", [1, 2])
def test_loudness_does_not_depend_on_the_blocks(block, channels):
    signal = music(6.3, channels)
    assert metered(signal, block) == pytest.approx(integrated_loudness(signal, RATE), abs=0.01)


def test_a_pause_does_not_count():
    signal = music(4.0)
    paused = np.concatenate([signal, np.zeros_like(signal), np.zeros_like(signal)], axis=1)
    assert metered(paused, 5000) == pytest.approx(metered(signal, 5000), abs=0.15)


def test_twice_the_level_is_six_decibels_louder():
    gain = metered(2 * music(3.0), 4000) - metered(music(3.0), 4000)
    assert gain == pytest.approx(20 * math.log10(2), abs=1e-3)


def test_silence_and_less_than_a_block_have_none():
    assert metered(np.zeros((2, 3 * RATE), np.float32), 5000) == -math.inf
    assert metered(music(0.3), 5000) == -math.inf
