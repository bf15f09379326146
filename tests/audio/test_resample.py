"""Resampling: in place, of exact length, streamed as whole, in little memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unbraid.audio.resample import StreamResampler, resample, resample_blocks, resampled_length
from unbraid.errors import SettingsError

RATES = [(44100, 48000), (48000, 44100), (96000, 44100), (8000, 44100), (44100, 8000)]
ODD_RATES = [999, 8000, 11025, 44099, 44100, 48000, 192_000, 768_000]


def _noise(channels: int, samples: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((channels, samples)).astype(np.float32)


def test_lengths_round_halves_up_and_never_vanish():
    assert resampled_length(3, 2, 1) == 2
    assert resampled_length(1, 48000, 1) == 1
    assert resampled_length(0, 44100, 48000) == 0
    assert resampled_length(10**12 + 1, 44100, 44100) == 10**12 + 1


@pytest.mark.parametrize(("source", "target"), RATES)
def test_an_impulse_stays_in_place(source, target):
    signal = np.zeros((1, source), np.float32)
    signal[0, source // 2] = 1
    resampled = resample(signal, source, target)[0]
    assert resampled.shape == (target,)
    # The middle second is the middle of both; energy is centred there.
    energy = resampled.astype(np.float64) ** 2
    centre = (energy * np.arange(target)).sum() / energy.sum()
    assert centre / target == pytest.approx(source // 2 / source, abs=0.02 / min(source, target))


@pytest.mark.parametrize(("source", "target"), RATES)
def test_a_tone_below_the_cutoff_is_kept(source, target):
    frequency = 0.4 * min(source, target)
    tone = np.sin(2 * np.pi * frequency / source * np.arange(source)).astype(np.float32)
    expected = np.sin(2 * np.pi * frequency / target * np.arange(target))
    middle = slice(target // 4, -target // 4)
    error = resample(tone[None], source, target)[0] - expected
    assert np.abs(error[middle]).max() < 5e-4  # 0.004 dB


@pytest.mark.parametrize(("source", "target"), [(48000, 44100), (96000, 44100), (44100, 8000)])
def test_a_tone_above_the_cutoff_vanishes(source, target):
    tone = np.sin(2 * np.pi * 0.55 * target / source * np.arange(source)).astype(np.float32)
    middle = slice(target // 4, -target // 4)
    assert np.abs(resample(tone[None], source, target)[0][middle]).max() < 1e-5


@settings(max_examples=40, deadline=None)
@given(
    source=st.sampled_from(ODD_RATES),
    target=st.sampled_from(ODD_RATES),
    pieces=st.lists(st.integers(0, 60), min_size=1, max_size=6),
)
def test_streamed_is_whole_and_of_exact_length(source, target, pieces):
    samples = sum(pieces)
    signal = _noise(2, samples)
    resampler = StreamResampler(source, target, 2)
    blocks, start = [], 0
    for piece in pieces:
        blocks.append(resampler.push(signal[:, start : start + piece]))
        start += piece
    streamed = np.concatenate([*blocks, resampler.finish()], axis=1)
    assert streamed.shape == (2, resampled_length(samples, source, target))
    np.testing.assert_allclose(streamed, resample(signal, source, target), atol=1e-6)


@pytest.mark.parametrize("block_samples", [1, 100, 4096])
def test_blocks_of_any_length_give_the_same(block_samples):
    signal = _noise(2, 20_000 if block_samples > 1 else 500)
    blocks = [signal[:, at : at + block_samples] for at in range(0, signal.shape[1], block_samples)]
    streamed = np.concatenate(list(resample_blocks(blocks, 44100, 48000, 2)), axis=1)
    np.testing.assert_array_equal(streamed, resample(signal, 44100, 48000))


def test_equal_rates_change_nothing():
    signal = _noise(2, 100)
    resampler = StreamResampler(44100, 44100, 2)
    assert resampler.push(signal) is signal
    assert resampler.finish().shape == (2, 0)
    np.testing.assert_array_equal(resample(signal, 48000, 48000), signal)


def test_there_and_back_is_the_same():
    # Band-limited music, well below the cutoff.
    spectrum = np.fft.rfft(_noise(1, 44100)[0])
    spectrum[15_000:] = 0
    signal = np.fft.irfft(spectrum)[None].astype(np.float32)
    back = resample(resample(signal, 44100, 48000), 48000, 44100)
    assert back.shape == signal.shape
    assert np.abs(back - signal)[:, 2000:-2000].max() < 1e-4


def test_values_beyond_full_scale_are_kept():
    constant = np.full((1, 9000), 3.0, np.float32)
    assert resample(constant, 44100, 48000)[0, 4000:5000] == pytest.approx(3.0, abs=1e-4)


def test_memory_does_not_grow_with_the_length():
    peaks = []
    for repeats in (10, 100):
        block = _noise(1, 6000)
        tracemalloc.start()
        blocks = resample_blocks((block for _ in range(repeats)), 8000, 96_000, 1)
        samples = sum(piece.shape[1] for piece in blocks)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert samples == repeats * 72_000
    assert peaks[1] < peaks[0] + 200_000 < 3_000_000


def test_memory_stays_small_where_the_rates_lie_far_apart():
    tracemalloc.start()
    pieces = resample_blocks([_noise(1, 200)], 1, 44100, 1)
    assert sum(piece.shape[1] for piece in pieces) == 200 * 44100
    assert tracemalloc.get_traced_memory()[1] < 12_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(("source", "target"), [(1, 44100), (1, 768_000), (44100, 1), (7, 44101)])
def test_ratios_of_many_thousands_keep_the_length(source, target):
    assert resample(_noise(1, 9), source, target).shape[1] == resampled_length(9, source, target)


def test_impossible_rates_are_refused():
    with pytest.raises(SettingsError, match="at least 1 Hz, got 0"):
        StreamResampler(0, 44100, 2)
    with pytest.raises(SettingsError, match="at least 1 channel"):
        StreamResampler(44100, 48000, 0)
