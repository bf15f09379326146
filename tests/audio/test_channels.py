"""Channels: every one in just one group, pairs where left and right belong together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from unbraid.audio.channels import channel_groups, default_channel_names


def test_mono_stereo_and_surround_fall_into_pairs_and_singles():
    assert channel_groups(("FC",)) == [(0,)]
    assert channel_groups(("FL", "FR")) == [(0, 1)]
    assert channel_groups(("FL", "FR", "FC", "LFE", "SL", "SR")) == [(0, 1), (2,), (3,), (4, 5)]
    assert channel_groups(("FR", "LFE", "FL")) == [(2, 0), (1,)]
    assert channel_groups(("FL", "FC")) == [(0,), (1,)]


def test_unnamed_channels_are_taken_two_by_two():
    assert channel_groups(default_channel_names(9))[-1] == (8,)
    assert channel_groups(default_channel_names(64)) == [(n, n + 1) for n in range(0, 64, 2)]


@given(st.lists(st.sampled_from(["FL", "FR", "FC", "LFE", "BL", "BR", "X", "CH3"]), unique=True))
def test_every_channel_is_in_just_one_group(names):
    groups = channel_groups(names)
    assert sorted(index for group in groups for index in group) == list(range(len(names)))
    assert all(len(group) <= 2 for group in groups)


def test_default_names_are_as_many_as_asked_and_all_different():
    for channels in range(1, 65):
        assert len(set(default_channel_names(channels))) == channels
