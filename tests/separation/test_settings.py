"""Settings and offsets: what is refused, and what is drawn."""

from __future__ import annotations

import random
from dataclasses import FrozenInstanceError

import pytest

from unbraid.errors import SettingsError
from unbraid.separation.settings import SeparationSettings
from unbraid.separation.shifts import lane_starts


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"segment_s": 0.0}, "longer than 0 seconds"),
        ({"segment_s": float("nan")}, "longer than 0 seconds"),
        ({"overlap": 1.0}, "below 1, got 1.0"),
        ({"overlap": -0.1}, "below 1"),
        ({"overlap": float("nan")}, "below 1"),
        ({"transition_power": 0.5}, "1 or more, got 0.5"),
        ({"shifts": -1}, "got -1"),
        ({"shifts": 1001}, "at most 1000, got 1001"),
        ({"bigshifts": 10**9}, "at most 1000"),
        ({"batch_size": 0}, "got 0"),
        ({"shift_offsets": [3, -4]}, "got -4"),
    ],
)
def test_a_value_out_of_range_is_refused_and_named(values, said):
    with pytest.raises(SettingsError, match=said):
        SeparationSettings(**values)


def test_settings_are_frozen_hashable_and_keep_no_list_of_the_callers():
    offsets = [1, 2]
    settings = SeparationSettings(shift_offsets=offsets)
    offsets.append(3)
    assert settings.shift_offsets == (1, 2)
    assert hash(settings) == hash(SeparationSettings(shift_offsets=(1, 2)))
    with pytest.raises(FrozenInstanceError):
        settings.overlap = 0.5  # type: ignore[misc]


def test_no_shifts_leave_the_song_where_it_is():
    assert lane_starts(SeparationSettings(), 44100, members=2) == [(0,), (0,)]


def test_offsets_are_drawn_member_after_member_from_the_seed_alone():
    rng = random.Random(7)
    drawn = [rng.randint(0, 22050) for _ in range(6)]
    random.seed(1)
    starts = lane_starts(SeparationSettings(shifts=3, seed=7), 44100, members=2)
    assert [start + 22050 for row in starts for start in row] == drawn


def test_an_offset_is_anything_from_nothing_to_half_a_second_both_included():
    (starts,) = lane_starts(SeparationSettings(shifts=100), 6, members=1)
    assert set(starts) == {-3, -2, -1, 0}


@pytest.mark.parametrize("shifts", [0, 2])
def test_explicit_offsets_serve_every_member(shifts):
    settings = SeparationSettings(shifts=shifts, shift_offsets=[0, 10])
    assert lane_starts(settings, 20, members=3) == [(-10, 0)] * 3


def test_explicit_offsets_may_be_given_for_each_member_in_the_order_of_drawing():
    settings = SeparationSettings(shifts=2, shift_offsets=[0, 1, 2, 3])
    assert lane_starts(settings, 20, members=2) == [(-10, -9), (-8, -7)]


def test_an_offset_beyond_half_a_second_is_refused():
    with pytest.raises(SettingsError, match="10 samples here, got 11"):
        lane_starts(SeparationSettings(shift_offsets=[11]), 20, members=1)


def test_offsets_that_do_not_match_the_shifts_are_refused():
    with pytest.raises(SettingsError, match=r"\(2, or 6 for 3 models\), got 3"):
        lane_starts(SeparationSettings(shifts=2, shift_offsets=[1, 2, 3]), 20, members=3)


@pytest.mark.parametrize("segment_s", [0, -1, float("nan"), float("inf"), 3600.1, 1e12])
def test_a_segment_lasts_an_hour_at_most(segment_s):
    with pytest.raises(SettingsError, match="at most 3600"):
        SeparationSettings(segment_s=segment_s)
    SeparationSettings(segment_s=3600)
