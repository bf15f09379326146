"""The LAME tag of an MP3: delay and padding add up to whole frames, and the checksum is right."""

from __future__ import annotations

import pytest
from sounds import encode, noise

from unbraid.audio.container import id3_length
from unbraid.audio.files import read
from unbraid.audio.lame_tag import _crc16, mend_padding


@pytest.mark.parametrize("rate", [44100, 22050, 8000])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_length_that_ends_in_the_last_but_one_packet_is_mended(tmp_path, channels, rate):
    samples = 4651  # with the delay, 4 samples short of whole frames
    kind, signal = "fltp", noise(channels, samples)
    path = encode(tmp_path / "a.mp3", "mp3", "libmp3lame", signal, kind, rate)
    assert read(path)[0].shape[1] > samples
    with path.open("r+b") as file:
        start = id3_length(file)
        assert mend_padding(file, start, samples)
        assert not mend_padding(file, start, samples)
    assert read(path)[0].shape[1] == samples
    frame = path.read_bytes()[start:]
    tag = frame.find(b"Info")
    assert int.from_bytes(frame[tag + 154 : tag + 156], "big") == _crc16(frame[: tag + 154])


def test_what_is_no_such_tag_is_left_alone(tmp_path):
    path = tmp_path / "a.mp3"
    for content in (b"", b"Info", bytes(500), b"\xff\xfb" + bytes(34) + b"Info" + bytes(500)):
        path.write_bytes(content)
        with path.open("r+b") as file:
            assert not mend_padding(file, 0, 5000)
        assert path.read_bytes() == content


def test_the_checksum_is_the_known_one():
    assert _crc16(b"123456789") == 0xBB3D
