"""Ogg pages: the comment header changes, the sound does not, and other readers agree."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from sounds import noise

from unbraid.audio.ogg import _crc, retag


def _write_draft(path, samples: int) -> None:
    signal = noise(2, samples)
    soundfile.write(path, signal.T, 44100, format="OGG", subtype="VORBIS")


@given(st.binary(max_size=100))
def test_the_checksum_is_the_one_of_the_specification(data):
    expected = 0
    for byte in data:  # RFC 3533: polynomial 0x04c11db7, no reflection, no inversion
        expected ^= byte << 24
        for _ in range(8):
            expected = (expected << 1 ^ (0x04C11DB7 if expected >> 31 else 0)) & 0xFFFFFFFF
    assert _crc(data) == expected


@pytest.mark.parametrize("samples", [1, 200, 4000])
@pytest.mark.parametrize("size", [0, 10, 300, 70_000])
def test_other_readers_find_the_same_sound_and_the_tags(tmp_path, samples, size):
    draft, tagged = tmp_path / "draft.ogg", tmp_path / "tagged.ogg"
    _write_draft(draft, samples)
    with draft.open("rb") as source, tagged.open("wb") as target:
        retag(source, target.write, {"title": "x" * size, "track": "3"})
    with soundfile.SoundFile(draft) as before, soundfile.SoundFile(tagged) as after:
        assert after.title == "x" * size and after.tracknumber == "3"
        np.testing.assert_array_equal(before.read(), after.read())
