"""nSDR and SI-SDR over whole songs."""

from __future__ import annotations

import numpy as np
import pytest

from unbraid.errors import EvaluationError, ShapeError
from unbraid.evaluation.bss_eval import CEILING_DB
from unbraid.evaluation.metrics import EPSILON, SongMeter, nsdr, si_sdr

RANDOM = np.random.default_rng(0)
SONG = 0.1 * RANDOM.standard_normal((3, 2, 5000))
GUESS = SONG + 0.03 * RANDOM.standard_normal(SONG.shape)


def test_nsdr_is_the_challenges_formula():
    signal = (SONG**2).sum((1, 2))
    error = ((SONG - GUESS) ** 2).sum((1, 2))
    np.testing.assert_allclose(nsdr(SONG, GUESS), 10 * np.log10((signal + 1e-7) / (error + 1e-7)))


def test_nsdr_of_a_silent_reference_is_what_epsilon_leaves():
    scores = nsdr(0 * SONG, GUESS)
    np.testing.assert_allclose(scores, -10 * np.log10((GUESS**2).sum((1, 2)) / EPSILON), atol=1e-6)
    np.testing.assert_array_equal(nsdr(0 * SONG, 0 * SONG), 0)


def test_nsdr_of_a_perfect_estimate_is_finite():
    expected = 10 * np.log10(((SONG**2).sum((1, 2)) + EPSILON) / EPSILON)
    np.testing.assert_allclose(nsdr(SONG, SONG), expected)


def test_si_sdr_is_its_formula_and_does_not_see_gain():
    for reference, guess, score in zip(SONG, GUESS, si_sdr(SONG, GUESS), strict=True):
        target = (reference * guess).sum() / (reference**2).sum() * reference
        plain = 10 * np.log10((target**2).sum() / ((guess - target) ** 2).sum())
        assert score == pytest.approx(plain, abs=1e-6)
    np.testing.assert_allclose(si_sdr(SONG, 0.01 * GUESS), si_sdr(SONG, GUESS), atol=1e-6)


def test_si_sdr_ends_at_the_ceiling_and_says_nothing_of_silence():
    np.testing.assert_array_equal(si_sdr(SONG, -2 * SONG), CEILING_DB)
    assert np.isnan(si_sdr(0 * SONG, GUESS)).all()
    assert np.isnan(si_sdr(SONG, 0 * SONG)).all()


def test_blocks_score_as_the_whole():
    meter = SongMeter()
    for start in range(0, 5000, 777):
        meter.push(SONG[..., start : start + 777], GUESS[..., start : start + 777])
    np.testing.assert_allclose(meter.nsdr(), nsdr(SONG, GUESS), atol=1e-9)
    np.testing.assert_allclose(meter.si_sdr(), si_sdr(SONG, GUESS), atol=1e-6)


def test_float32_is_summed_in_float64():
    single = SONG.astype(np.float32), GUESS.astype(np.float32)
    double = single[0].astype(np.float64), single[1].astype(np.float64)
    np.testing.assert_array_equal(nsdr(*single), nsdr(*double))


def test_what_cannot_be_compared_is_an_error(unchecked):
    with pytest.raises(ShapeError, match="one shape"):
        nsdr(SONG, GUESS[:2])
    with pytest.raises(EvaluationError, match="NaN"):
        nsdr(SONG, np.full_like(SONG, np.inf))
