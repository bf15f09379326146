"""Weights that add up, and a sum that is handed out as it is finished."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from separation.stand_ins import noise
from unbraid.separation.overlap_add import RunningSum, SegmentWeights, transition_window
from unbraid.separation.segments import cut


@pytest.mark.parametrize(
    ("length", "triangle"),
    [(1, [1]), (2, [1, 1]), (3, [1, 2, 1]), (10, [1, 2, 3, 4, 5, 5, 4, 3, 2, 1])],
)
def test_the_window_is_a_triangle_over_its_maximum(length, triangle):
    wanted = np.array(triangle, np.float64) / max(triangle)
    np.testing.assert_allclose(transition_window(length), wanted)
    np.testing.assert_allclose(transition_window(length, 3.0), wanted**3)


def test_the_first_overlapping_sample_mixes_old_and_new_at_three_to_one():
    window = transition_window(10)
    assert window[7].item() == pytest.approx(0.6)  # of the old segment, where the new one starts
    assert window[0].item() == pytest.approx(0.2)
    weights = SegmentWeights(10, 7, power=1.0, samples=100)
    assert weights.of(0, 10)[7].item() == pytest.approx(0.75)
    assert weights.of(1, 10)[0].item() == pytest.approx(0.25)


@given(
    samples=st.integers(1, 120),
    length=st.integers(1, 40),
    stride=st.integers(1, 40),
    power=st.sampled_from([1.0, 1.5, 4.0, 50.0, 1e6]),
)
def test_weights_add_up_to_one_everywhere(samples, length, stride, power):
    stride = min(stride, length)
    weights = SegmentWeights(length, stride, power, samples)
    total = np.zeros(samples, np.float32)
    for segment in cut(0, samples, length, stride):
        total[segment.start : segment.stop] += weights.of(segment.number, segment.length)
    np.testing.assert_allclose(total, 1, rtol=2e-6)


def test_a_single_segment_weighs_exactly_one():
    assert (SegmentWeights(50, 37, 1.0, samples=20).of(0, 20) == 1).all()


@pytest.mark.parametrize("length", [10, 100_000])
def test_what_is_taken_from_a_running_sum_is_the_sum_of_what_was_added(length):
    first, second = (noise(1, 2, 2, length, seed=seed).numpy() for seed in (1, 2))
    shares = np.array([0.5, 2.0], np.float32)[:, None, None]
    weight = np.linspace(1, 2, length, dtype=np.float32)
    overlap, gap = 3 * length // 10, 5
    running = RunningSum()
    running.add(0, first, shares, weight)
    blocks = [*running.take(length - overlap)]
    running.add(length - overlap, second, shares, weight)
    blocks += running.take(2 * length - overlap)
    assert running.held_samples == 0
    running.add(2 * length - overlap + gap, first, shares, weight)
    blocks += running.take(4 * length)
    wanted = np.zeros((1, 2, 2, 3 * length - overlap + gap), np.float32)
    wanted[..., :length] += first * (shares * weight)
    wanted[..., length - overlap : 2 * length - overlap] += second * (shares * weight)
    wanted[..., 2 * length - overlap + gap :] += first * (shares * weight)
    np.testing.assert_array_equal(np.concatenate(blocks, axis=-1), wanted)


def test_a_block_once_taken_is_not_what_the_sum_goes_on_with():
    running = RunningSum()
    running.add(0, np.ones((1, 1, 1, 1000), np.float32), np.ones((1, 1, 1)), np.ones(1000))
    (taken,) = running.take(10)
    assert taken.base is None and taken.nbytes == 40
    assert running.held_samples == 990
