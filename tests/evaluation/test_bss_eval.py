"""BSSEval v4: museval's figures, its NaNs, and laws of our own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reference.museval_cases import cases, separated, song
from unbraid.errors import EvaluationError, SettingsError, ShapeError
from unbraid.evaluation import correlations
from unbraid.evaluation.bss_eval import CEILING_DB, METRICS, bss_eval_v4, sdr_v4
from unbraid.evaluation.frames import Frames, frame_bounds

STORED = json.loads((Path(__file__).parents[1] / "reference" / "museval.json").read_text())
CASES = cases()
SLOW = {"four stems"}
LEFT_TO_ROUNDING = {"delayed duplicate", "pure tones"}
"""museval's own SIR and SAR move by decibels here, with the processor and its threads."""


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in CASES]
)
def test_scores_are_those_of_museval_to_a_thousandth_of_a_decibel(name):
    scores = bss_eval_v4(*CASES[name])
    assert tuple(scores) == METRICS
    for metric, values in scores.items():
        theirs = np.minimum(np.array(STORED[name][metric], float), CEILING_DB)
        np.testing.assert_array_equal(np.isnan(values), np.isnan(theirs), metric)
        if not (name in LEFT_TO_ROUNDING and metric in ("SIR", "SAR")):
            np.testing.assert_allclose(values, theirs, rtol=0, atol=1e-3, err_msg=metric)


def test_every_stored_case_is_tested():
    assert STORED.keys() == CASES.keys()


def test_a_long_song_in_blocks_scores_as_a_short_one_as_a_whole(monkeypatch):
    references, estimates, window, hop = CASES["8 kHz"]
    whole = bss_eval_v4(references, estimates, window, hop)
    monkeypatch.setattr(correlations, "LONGEST_WHOLE", 1000)
    monkeypatch.setattr(correlations, "_FFT", 1 << 11)
    blocks = bss_eval_v4(references, estimates, window, hop)
    for metric in METRICS:
        np.testing.assert_allclose(blocks[metric], whole[metric], atol=1e-5)


def test_correlations_do_not_depend_on_how_a_song_is_cut(monkeypatch):
    monkeypatch.setattr(correlations, "LONGEST_WHOLE", 100)
    signals = np.random.default_rng(0).standard_normal((3, 1, 9000))
    found = []
    for step in (9000, 1234, 100):
        meter = correlations.CorrelationMeter(2, 1, 1, taps=16)
        for start in range(0, 9000, step):
            piece = signals[..., start : start + step]
            meter.push(piece[:2], piece[2:])
        found.append(meter.finish())
    x, y = signals[0, 0], signals[2, 0]
    lags = [np.dot(x[: len(x) - k], y[k:]) for k in range(16)]
    for one in found:
        np.testing.assert_allclose(one.estimates[0, 0], lags, rtol=1e-10)
        np.testing.assert_allclose(one.references, found[0].references, atol=1e-9)
        np.testing.assert_allclose(one.references[0, 1], one.references[1, 0, ::-1], atol=1e-9)


def test_sdr_alone_is_the_sdr_of_all_four():
    references, estimates, window, hop = CASES["silent frame in a reference"]
    alone = sdr_v4(references, estimates, window, hop)
    error = references[:, :2000] - estimates[:, :2000]
    plain = 10 * np.log10((references[:, :2000] ** 2).sum((1, 2)) / (error**2).sum((1, 2)))
    np.testing.assert_allclose(alone[:, 0], plain, atol=1e-9)
    np.testing.assert_array_equal(
        np.isnan(alone), np.isnan(STORED["silent frame in a reference"]["SDR"])
    )


def test_what_lies_behind_the_last_whole_frame_does_not_count_in_sdr():
    references = song(1, 2, 5000, 1)
    estimates = separated(references)
    changed = estimates.copy()
    changed[:, 4000:] = 1.0
    np.testing.assert_array_equal(
        sdr_v4(references, estimates, 2000, 2000), sdr_v4(references, changed, 2000, 2000)
    )


def test_arguments_are_left_as_they_are():
    references, estimates, window, hop = CASES["mono"]
    before = references.copy(), estimates.copy()
    bss_eval_v4(references, estimates, window, hop)
    np.testing.assert_array_equal(references, before[0])
    np.testing.assert_array_equal(estimates, before[1])


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("antiphase", [False, True])
def test_a_source_that_is_silent_throughout_is_an_error(which, antiphase):
    pair = [song(1, 2, 3000, 2), song(2, 2, 3000, 2)]
    pair[which][1] = [[0.1, -0.1]] if antiphase else 0.0
    with pytest.raises(EvaluationError, match=r"1 is silent throughout.*leave that source out"):
        bss_eval_v4(*pair, 1000, 1000)


def test_numbers_that_are_not_finite_are_an_error():
    references = song(1, 2, 3000, 1)
    broken = references.copy()
    broken[0, 5] = np.nan
    with pytest.raises(EvaluationError, match="estimate 0 holds NaN"):
        bss_eval_v4(references, broken, 1000, 1000)


@pytest.mark.usefixtures("unchecked")
def test_shapes_that_do_not_fit_are_an_error():
    with pytest.raises(ShapeError, match="one shape"):
        bss_eval_v4(song(1, 2, 3000, 1), song(1, 2, 2999, 1), 1000, 1000)


@pytest.mark.parametrize(("window", "hop"), [(0, 1), (1000, 0), (float("nan"), 1)])
def test_frames_that_cannot_be_are_an_error(window, hop):
    with pytest.raises(SettingsError, match="window of at least 1 sample"):
        sdr_v4(song(1, 1, 3000, 1), song(2, 1, 3000, 1), window, hop)


def test_frames_hold_no_more_than_they_need():
    frames = Frames(1000, 1000)
    for _ in range(50):
        block = np.zeros((1, 1, 600))
        for _ in frames.push(block, block):
            pass
    assert sum(piece[0].shape[-1] for piece in frames._pieces) <= 1600


@pytest.mark.parametrize("step", [1, 7, 100, 1000])
@pytest.mark.parametrize(("window", "hop"), [(30, 30), (30, 11), (20, 50), (30.5, 12.25)])
def test_frames_do_not_depend_on_how_a_song_is_cut(step, window, hop):
    signal = np.arange(333.0).reshape(1, 1, -1)
    frames, cut = Frames(window, hop), []
    for start in range(0, 333, step):
        piece = signal[..., start : start + step]
        cut += [one.ravel() for one, _ in frames.push(piece, piece)]
    cut += [one.ravel() for one, _ in frames.finish()]
    count = int(np.floor((333 - window + hop) / hop))
    assert len(cut) == count
    assert [(one[0], one[-1] + 1) for one in cut] == list(frame_bounds(333, window, hop))
    for number, one in enumerate(cut):
        start, stop = int(number * hop), int(number * hop + window)
        np.testing.assert_array_equal(one, np.arange(start, stop))
