"""The one gain of a track."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unbraid.tracks.gain import LOWEST_FOR_CLOSING, GainMeter


def gain_of(stems, source, *, ceiling=1.0):
    meter = GainMeter(ceiling, float(np.abs(stems).max()))
    for start in range(0, source.shape[1], 7):
        meter.push(stems[..., start : start + 7], source[:, start : start + 7])
    return meter.gain()


def test_stems_within_full_scale_stay_as_they_are():
    assert gain_of(np.full((2, 1, 9), 0.5), np.ones((1, 9))) == 1.0


def test_the_loudest_stem_sets_the_gain():
    assert gain_of(np.full((2, 1, 9), -4.0), np.zeros((1, 9))) == 0.25


def test_a_closing_part_beyond_full_scale_lowers_the_gain():
    # 0.9 - g * (-0.2) fits up to g = 0.5.
    assert gain_of(np.full((1, 1, 9), -0.2), np.full((1, 9), 0.9)) == pytest.approx(0.5)


def test_a_closing_part_that_no_gain_can_mend_costs_6_db_at_most():
    assert gain_of(np.full((1, 1, 9), 0.3), np.full((1, 9), -1.0)) == LOWEST_FOR_CLOSING


@given(st.integers(0, 1000))
def test_with_this_gain_everything_fits_that_can(seed):
    rng = np.random.default_rng(seed)
    stems = rng.uniform(-1.2, 1.2, (2, 1, 40))
    source = rng.uniform(-0.7, 0.7, (1, 40))
    gain = gain_of(stems, source)
    assert np.abs(stems * gain).max() <= 1 + 1e-9
    if gain > LOWEST_FOR_CLOSING:
        assert np.abs(source - gain * stems.sum(axis=0)).max() <= 1 + 1e-9
