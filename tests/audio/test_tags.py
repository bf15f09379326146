"""Tags travel: written, read back, and never a danger."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sounds import noise, picture, wav_bytes

from unbraid.audio.files import read
from unbraid.audio.tags import Tags, picture_type, read_tags
from unbraid.audio.write import AudioFormat, AudioWriter
from unbraid.errors import AudioReadError

TEXT = {
    "title": "Tëst ☃ = 1",
    "artist": "A; B",
    "album": "Album",
    "album_artist": "Various",
    "composer": "C",
    "track": "3/9",
    "date": "1999",
    "genre": "Rock",
    "comment": "two\nlines",
}
FORMATS = {
    name: AudioFormat(name, "16" if name in ("wav", "flac") else None)
    for name in ("wav", "flac", "mp3", "m4a", "ogg", "opus")
}


def _tagged(folder, name: str, tags: Tags):
    audio_format = FORMATS[name]
    path = folder / f"a.{name}"
    block = noise(2, 4800)
    if audio_format.is_integer:
        block = np.rint(block * 2**15).astype(np.int32)
    with AudioWriter(path, audio_format, 48000, 2, tags=tags) as writer:
        writer.write(block)
    assert read(path)[0].shape[1] >= 4800
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_text_travels(tmp_path, name):
    expected = dict(TEXT)
    if name == "wav":  # its INFO list knows neither
        del expected["album_artist"], expected["composer"]
    assert read_tags(_tagged(tmp_path, name, Tags(TEXT))).text == expected


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "wav"])
@pytest.mark.parametrize(("kind", "mime"), [("JPEG", "image/jpeg"), ("PNG", "image/png")])
def test_the_cover_travels(tmp_path, name, kind, mime):
    tags = Tags({"title": "x"}, picture(kind), mime)
    assert read_tags(_tagged(tmp_path, name, tags)) == tags


@pytest.mark.parametrize("name", ["ogg", "opus", "mp3", "flac", "m4a"])
def test_a_cover_of_a_megabyte_travels(tmp_path, name):
    cover = picture() + np.random.default_rng(0).bytes(1_000_000)
    assert read_tags(_tagged(tmp_path, name, Tags({}, cover))).cover == cover


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "cover", [b"", b"no image", b"\xff\xd8\xff broken", b"GIF89a", b"\x89PNG\r\n\x1a\n"]
)
def test_a_cover_that_is_no_picture_is_left_out(tmp_path, name, cover):
    tags = read_tags(_tagged(tmp_path, name, Tags({"title": "x"}, cover, "image/jpeg")))
    assert tags == Tags({"title": "x"})


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_without_tags_has_none(tmp_path, name):
    assert read_tags(_tagged(tmp_path, name, Tags())) == Tags()


def test_what_describes_the_mixture_alone_is_not_carried(tmp_path):
    text = {"replaygain_track_gain": "-7 dB", "R128_TRACK_GAIN": "9", "encoder": "x", "title": "t"}
    assert read_tags(_tagged(tmp_path, "flac", Tags(text))).text == {"title": "t"}


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(sorted(FORMATS)), st.text(min_size=1, max_size=300))
def test_any_text_is_harmless(tmp_path, name, value):
    _tagged(tmp_path, name, Tags({"title": value.replace("\0", "")}))
    assert "\0" not in read_tags(tmp_path / f"a.{name}").text.get("title", "")


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(min_size=1, max_size=200))
def test_garbage_in_a_tag_never_raises(tmp_path, garbage):
    entry = garbage + bytes(len(garbage) % 2)
    info = b"INFOINAM" + len(entry).to_bytes(4, "little") + entry
    path = tmp_path / "a.wav"
    sound = wav_bytes(np.zeros((1, 100), "i2"))
    path.write_bytes(sound + b"LIST" + len(info).to_bytes(4, "little") + info)
    for value in read_tags(path).text.values():
        value.encode()


def test_what_is_no_sound_has_no_tags(tmp_path):
    (tmp_path / "a.mp3").write_bytes(b"hello")
    with pytest.raises(AudioReadError):
        read_tags(tmp_path / "a.mp3")


def test_pictures_are_known_by_their_first_bytes():
    assert picture_type(picture("JPEG")) == "image/jpeg"
    assert picture_type(picture("WEBP")) == "image/webp"
    assert picture_type(b"nothing") is None


@pytest.mark.parametrize("rate", [48000, 96000])
def test_the_place_on_the_timeline_travels_from_wav_to_wav(tmp_path, rate):
    """A recorder's time of day puts stems where the take lies in the session."""
    start = Fraction(10 * 3600 * 44100 + 12345, 44100)
    for name, kept in (("wav", start), ("flac", None)):
        path = tmp_path / f"a.{name}"
        with AudioWriter(path, FORMATS[name], rate, 2, tags=Tags(TEXT, start_s=start)) as writer:
            writer.write(np.zeros((2, 480), np.int32))
        found = read_tags(path)
        assert found.text["title"] == TEXT["title"] and not {"time_reference"} & set(found.text)
        if kept is None:
            assert found.start_s is None
        else:
            assert abs(found.start_s - kept) <= Fraction(1, 2 * rate)
            assert read(path)[0].shape == (2, 480)


def test_a_time_reference_that_is_none_is_left_out(tmp_path):
    path = _tagged(tmp_path, "wav", Tags({"title": "x"}))
    assert b"bext" not in path.read_bytes() and read_tags(path).start_s is None
