"""Integers: where segments lie."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unbraid.errors import SettingsError
from unbraid.separation.segments import (
    Segment,
    cut,
    extend,
    in_batches,
    merge_lanes,
    stride_samples,
)


def test_ten_samples_at_an_overlap_of_a_quarter_give_a_stride_of_seven():
    assert stride_samples(10, 0.25) == 7


def test_a_stride_of_nothing_is_refused():
    with pytest.raises(SettingsError, match="cannot overlap"):
        stride_samples(10, 0.99)


@given(
    samples=st.integers(1, 200),
    length=st.integers(1, 50),
    stride=st.integers(1, 50),
    before=st.integers(0, 30),
)
def test_a_lane_covers_the_song_and_ends_with_it(samples, length, stride, before):
    stride = min(stride, length)
    segments = list(cut(-before, samples, length, stride))
    covered = {t for segment in segments for t in range(segment.start, segment.stop)}
    assert covered >= set(range(samples))
    assert max(covered) == samples - 1
    assert all(segment.start == -before + segment.number * stride for segment in segments)
    assert all(segment.stop > 0 and 1 <= segment.length <= length for segment in segments)


@given(starts=st.lists(st.integers(-10, 0), min_size=1, max_size=4), samples=st.integers(1, 60))
def test_merged_lanes_are_all_their_segments_in_the_order_of_starts(starts, samples):
    merged = list(merge_lanes(starts, samples, 8, 5))
    assert sorted(merged) == sorted(s for start in starts for s in cut(start, samples, 8, 5))
    assert [segment.start for segment in merged] == sorted(segment.start for segment in merged)


@given(samples=st.integers(1, 60), batch_size=st.integers(1, 5))
def test_batches_hold_equal_lengths_and_tell_where_the_next_starts(samples, batch_size):
    segments = list(cut(0, samples, 8, 3))
    batches = list(in_batches(segments, batch_size, lambda segment: segment.length))
    assert [segment for batch, _ in batches for segment in batch] == segments
    assert all(1 <= len(batch) <= batch_size for batch, _ in batches)
    assert all(len({segment.length for segment in batch}) == 1 for batch, _ in batches)
    nexts = [batch[0].start for batch, _ in batches[1:]]
    assert [upcoming for _, upcoming in batches] == [*nexts, None]


def test_an_odd_sample_of_neighbourhood_goes_to_the_right():
    assert extend(Segment(100, 110, 0), 13) == (99, 112)
    assert extend(Segment(0, 5, 0), 5) == (0, 5)
