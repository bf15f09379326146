"""Levels: what quantizing keeps, and what its dither does."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unbraid.audio.levels import (
    clip,
    dequantize,
    full_scale,
    peak,
    quantize,
    rms_db,
    shared_gain,
)
from unbraid.errors import SettingsError


def _rng() -> np.random.Generator:
    return np.random.default_rng(7)


def _noise(channels: int, samples: int, level: float = 0.1) -> np.ndarray:
    return (_rng().standard_normal((channels, samples)) * level).astype(np.float32)


@pytest.mark.parametrize("bits", [8, 16, 24])
def test_quantizing_in_blocks_is_quantizing_the_whole(bits):
    signal = _noise(2, 150_000)
    whole = quantize(signal, bits, _rng())
    rng, cuts = _rng(), [0, 1, 2, 70, 66_000, 131_073, 150_000]
    blocks = [quantize(signal[:, a:b], bits, rng) for a, b in pairwise(cuts)]
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), whole)


def test_the_same_seed_gives_the_same_integers():
    signal = _noise(2, 1000)
    np.testing.assert_array_equal(quantize(signal, 16, _rng()), quantize(signal, 16, _rng()))


@pytest.mark.parametrize("bits", [8, 16, 24])
def test_silence_stays_digital_silence(bits):
    assert not quantize(np.zeros((2, 5000), np.float32), bits, _rng()).any()


@given(st.integers(-(2**23), 2**23 - 1))
def test_24_bit_integers_survive_float_and_back(value):
    integer = np.array([[value]], np.int32)
    np.testing.assert_array_equal(quantize(dequantize(integer, 24), 24, _rng()), integer)


@pytest.mark.parametrize("bits", [8, 16, 24])
def test_values_beyond_full_scale_saturate(bits):
    signal = np.array([[9.0, -9.0, 1.0, -1.001]], np.float32)
    top = 2 ** (bits - 1)
    quantized = quantize(signal, bits, _rng())[0]
    assert quantized[:2].tolist() == [top - 1, -top]
    assert quantized[2] >= top - 2 and quantized[3] == -top


def test_the_largest_magnitude_that_never_saturates_is_told():
    for bits, sign in ((16, 1), (16, -1), (24, 1), (24, -1)):
        level = full_scale(bits)
        quantized = quantize(np.full((1, 50_000), sign * level, np.float32), bits, _rng())
        steps = 2 ** (bits - 1)
        error = quantized - sign * level * steps
        assert abs(error.mean()) < 0.02  # saturation would pull it inwards
        assert np.abs(quantized).max() <= steps - 1


@pytest.mark.parametrize("value", [0.25, 0.5, 0.9, -0.3])
def test_dither_makes_the_mean_right_and_the_noise_steady(value):
    quantized = quantize(np.full((1, 200_000), value / 2**15, np.float32), 16, _rng())
    assert quantized.mean() == pytest.approx(value, abs=0.01)
    error = quantized - value
    assert error.var() == pytest.approx(0.25, rel=0.03)  # 1/12 of rounding + 2/12 of dither


def test_dither_leaves_no_distortion_of_a_faint_tone():
    time = np.arange(1 << 16)
    tone = (0.4 / 2**15 * np.sin(2 * np.pi * 1024 * time / (1 << 16))).astype(np.float32)
    quantized = quantize(tone[None], 16, _rng())[0]
    power = np.abs(np.fft.rfft(quantized)) ** 2
    assert power.argmax() == 1024
    assert power[2048::1024].max() < 30 * np.median(power)


def test_channels_have_dither_of_their_own():
    quantized = quantize(np.full((2, 50_000), 0.5 / 2**15, np.float32), 16, _rng())
    assert abs(np.corrcoef(quantized)[0, 1]) < 0.02


def test_quantizing_leaves_its_input_alone():
    signal = _noise(1, 100)
    before = signal.copy()
    quantize(signal, 16, _rng())
    np.testing.assert_array_equal(signal, before)


def test_other_depths_are_refused():
    with pytest.raises(SettingsError, match="8, 16 or 24 bits, got 12"):
        quantize(_noise(1, 1), 12, _rng())


def test_peak_and_loudness_of_known_signals():
    signal = np.array([[0.5, -0.75], [0.1, 0.2]], np.float32)
    assert peak(signal) == 0.75
    assert rms_db(np.ones((2, 10), np.float32)) == 0.0
    sine = np.sin(2 * np.pi * np.arange(1000) / 100).astype(np.float32)[None]
    assert rms_db(sine) == pytest.approx(-3.0103, abs=1e-4)
    assert rms_db(np.zeros((1, 5), np.float32)) == -math.inf
    empty = np.zeros((2, 0), np.float32)
    assert peak(empty) == 0.0 and rms_db(empty) == -math.inf
    assert math.isnan(peak(np.array([[np.nan, 1.0]], np.float32)))


def test_clip_and_shared_gain_hold_the_peak():
    assert clip(np.array([[2.0, -3.0, 0.5]], np.float32)).tolist() == [[1.0, -1.0, 0.5]]
    assert shared_gain(0.5) == 1.0 and shared_gain(0.0) == 1.0
    assert shared_gain(4.0, ceiling=0.5) * 4.0 == 0.5
