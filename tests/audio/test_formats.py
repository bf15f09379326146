"""Formats: what they can hold, and what they say when asked for more."""

from __future__ import annotations

import pytest

from unbraid.audio.formats import AudioFormat
from unbraid.errors import SettingsError


@pytest.mark.parametrize(
    ("name", "rate", "expected"),
    [
        *(("wav", 1, 1000), ("wav", 768_000, 768_000), ("flac", 44_100, 44_100)),
        *(("flac", 88_201, 88_210), ("flac", 768_000, 384_000), ("mp3", 44_100, 44_100)),
        *(("mp3", 96_000, 48_000), ("mp3", 30_000, 32_000), ("m4a", 192_000, 96_000)),
        *(("m4a", 1, 7350), ("opus", 44_100, 48_000), ("ogg", 96_000, 96_000), ("ogg", 10, 8000)),
    ],
)
def test_the_supported_rate_is_the_next_one(name, rate, expected):
    audio_format = AudioFormat(name, "16" if name in ("wav", "flac") else None)
    assert audio_format.supported_rate(rate) == expected
    assert audio_format.supported_rate(expected) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("aiff",), "unbraid writes wav, flac, mp3, m4a, ogg, opus, alac; got 'aiff'"),
        (("wav",), "wav has a bit depth of 16 or 24 or 32f, got None"),
        (("flac", "32f"), "flac has a bit depth of 16 or 24, got 32f"),
        (("mp3", "16"), "mp3 is lossy and has no bit depth, got 16"),
        (("mp3", None, 999), "mp3 takes 8 to 320 kbit/s, got 999"),
        (("wav", "16", 320), "wav takes no bit rate, got 320 kbit/s"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(SettingsError) as caught:
        AudioFormat(*arguments)
    assert str(caught.value) == message


def test_depths_and_kinds():
    assert (AudioFormat("wav", "32f").bits, AudioFormat("wav", "32f").is_integer) == (32, False)
    assert (AudioFormat("flac", "24").bits, AudioFormat("flac", "24").is_integer) == (24, True)
    assert (AudioFormat("mp3").bits, AudioFormat("mp3").is_lossy) == (None, True)
    assert AudioFormat("mp3").kbps == 320 and AudioFormat("m4a", None, 128).kbps == 128
    assert AudioFormat("ogg").extension == "ogg"
