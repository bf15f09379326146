"""Figures of a set, their intervals, and comparisons of two systems."""

from __future__ import annotations

import math

import numpy as np
import pytest

from unbraid.errors import EvaluationError
from unbraid.evaluation.comparison import compare
from unbraid.evaluation.figures import ALL, aggregate
from unbraid.evaluation.scores import StemScores, TrackScores

STEMS = ("drums", "vocals")


def system(nsdr: np.ndarray, frames: np.ndarray | None = None, first: int = 0) -> list[TrackScores]:
    """Tracks of scores (tracks, stems), and of frames (tracks, stems, frames)."""
    tracks = []
    for t, row in enumerate(nsdr):
        stems = {}
        for s, value in enumerate(row):
            columns = {} if frames is None else {"SDR": frames[t, s]}
            stems[STEMS[s]] = StemScores(float(value), math.nan, columns)
        tracks.append(TrackScores(f"track {t + first:02}", stems))
    return tracks


def test_usdr_is_a_mean_and_csdr_a_median_of_medians():
    random = np.random.default_rng(0)
    nsdr, frames = random.normal(5, 2, (7, 2)), random.normal(5, 2, (7, 2, 9))
    frames[0, :, 3] = math.nan
    figures = aggregate(system(nsdr, frames), resamples=100)
    assert figures["uSDR"]["drums"].value == pytest.approx(nsdr[:, 0].mean())
    assert figures["uSDR"][ALL].value == pytest.approx(nsdr.mean())
    medians = np.nanmedian(frames, axis=2)
    assert figures["cSDR"]["vocals"].value == pytest.approx(np.median(medians[:, 1]))
    assert figures["cSDR"][ALL].value == pytest.approx(np.median(medians, axis=0).mean())
    assert figures["cSDR_mean"]["drums"].value == pytest.approx(medians[:, 0].mean())
    assert figures["nSDR_median"]["drums"].value == pytest.approx(np.median(nsdr[:, 0]))


def test_no_figure_is_called_sdr_alone():
    figures = aggregate(system(np.ones((3, 2)), np.ones((3, 2, 4))), resamples=10)
    assert "SDR" not in figures
    assert "SI-SDR" not in figures  # what no track has is left out


def test_silent_references_and_missing_scores_stay_out():
    tracks = system(np.array([[1.0, 2.0], [3.0, 4.0]]))
    tracks[0].stems["vocals"] = StemScores(-60.0, math.nan, {}, silent_reference=True)
    usdr = aggregate(tracks, resamples=10)["uSDR"]
    assert usdr["vocals"].value == 4.0
    assert usdr["vocals"].tracks == 1
    assert math.isnan(usdr["vocals"].low)
    assert usdr[ALL].value == pytest.approx((1.0 + 3.5) / 2)


def test_intervals_are_those_of_the_mean_and_the_seed_fixes_them():
    nsdr = np.random.default_rng(1).normal(6, 2, (50, 2))
    one, same = (aggregate(system(nsdr), seed=3)["uSDR"]["drums"] for _ in range(2))
    other = aggregate(system(nsdr), seed=4)["uSDR"]["drums"]
    assert (one.low, one.high) == (same.low, same.high)
    assert (one.low, one.high) != (other.low, other.high)
    half = 1.96 * nsdr[:, 0].std() / math.sqrt(50)
    assert one.low == pytest.approx(one.value - half, abs=0.08)
    assert one.high == pytest.approx(one.value + half, abs=0.08)


def test_a_paired_interval_sees_what_two_intervals_cannot():
    songs = np.random.default_rng(2).normal(6, 3, (30, 2))
    better = songs + 0.2 + 0.1 * np.random.default_rng(3).standard_normal(songs.shape)
    found = compare(system(better), system(songs), resamples=2000)["uSDR"]["drums"]
    assert found.value == pytest.approx((better - songs)[:, 0].mean())
    assert 0 < found.low < 0.2 < found.high < 0.3
    assert found.wins + found.losses == found.tracks == 30
    lone = aggregate(system(songs), resamples=500)["uSDR"]["drums"]
    assert lone.high - lone.low > 10 * (found.high - found.low)


def test_comparing_the_other_way_round_turns_the_sign():
    random = np.random.default_rng(4)
    one, two = system(random.normal(5, 1, (9, 2))), system(random.normal(6, 1, (9, 2)))
    there, back = (compare(a, b, resamples=500)["uSDR"][ALL] for a, b in ((one, two), (two, one)))
    assert there.value == pytest.approx(-back.value)
    assert there.low == pytest.approx(-back.high)
    assert (there.wins, there.losses) == (back.losses, back.wins)


def test_only_common_tracks_are_compared():
    one, two = system(np.ones((4, 2))), system(np.zeros((4, 2)), first=3)
    found = compare(one, two, resamples=10)["uSDR"][ALL]
    assert (found.tracks, found.value) == (1, 1.0)
    assert math.isnan(found.low)
    with pytest.raises(EvaluationError, match="no track in common"):
        compare(one, system(np.zeros((2, 2)), first=8))
