"""A file is decoded for the first time: within limits, in a process of its own."""

from __future__ import annotations

import math
import zipfile
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import soundfile
from web_songs import RATE, as_file, noise

from unbraid.errors import AudioError, Cancelled, UnbraidError
from unbraid.music.facts import key_of, tempo_bpm
from unbraid.separation.progress import CancelToken
from unbraid.web.messages import ReadRequest
from unbraid.web.pcm import find_part, read_samples
from unbraid.web.reader import loudest_start, read_song
from unbraid.web.worker import read_apart


@pytest.fixture
def request_for(tmp_path):
    def make(signal: np.ndarray, name: str = "original.wav", **changes) -> ReadRequest:
        path = tmp_path / name
        if name.endswith(".flac"):
            soundfile.write(path, signal, RATE)
        else:
            as_file(path, signal)
        plain = ReadRequest(str(path), str(tmp_path), "wav", None, None, 60.0, 1, 4 << 30, 60)
        return replace(plain, **changes)

    return make


def test_a_song_is_known_once_it_is_read(request_for, tmp_path):
    signal = noise(3 * RATE + 17)
    facts = read_song(request_for(signal))
    assert facts.samples == len(signal) and facts.channels == 2
    assert (facts.sample_rate, facts.bit_depth) == (RATE, "16")
    assert -20 < facts.loudness_lufs < -10
    samples, _ = read_samples(find_part(tmp_path, "original"), 0, len(signal))
    assert np.array_equal(samples, soundfile.read(tmp_path / "original.wav", dtype="int16")[0])


def test_songs_for_opus_are_played_at_its_rate(request_for):
    facts = read_song(request_for(noise(RATE), format="opus"))
    assert (facts.sample_rate, facts.samples, facts.bit_depth) == (48000, 48000, None)


def test_silence_has_no_loudness(request_for):
    assert read_song(request_for(np.zeros((RATE, 1), np.float32))).loudness_lufs is None


def test_a_song_that_is_too_long_by_its_header_is_refused_unread(request_for):
    with pytest.raises(AudioError, match=r"is 3 seconds long; .* up to 1 seconds"):
        read_song(request_for(noise(3 * RATE), most_s=1.0))


def test_a_song_that_hides_its_length_is_refused_when_it_has_gone_on_too_long(
    request_for, tmp_path
):
    request = request_for(np.zeros((20 * RATE, 2), np.float32), "original.flac", most_s=5.0)
    data = bytearray((tmp_path / "original.flac").read_bytes())
    data[21] &= 0xF0  # STREAMINFO: number of samples, 0 for unknown
    data[22:26] = bytes(4)
    (tmp_path / "original.flac").write_bytes(data)
    with pytest.raises(AudioError, match="too long; this server takes songs of up to 5 seconds"):
        read_song(request)


def test_reading_stops_before_the_disk_is_full(request_for):
    with pytest.raises(AudioError, match="too little free disk space"):
        read_song(request_for(noise(RATE), free_bytes=1 << 60))


def test_a_preview_is_cut_from_the_loudest_middle(request_for, tmp_path):
    signal = noise(60 * RATE) * np.float32(0.1)
    signal[30 * RATE : 36 * RATE] *= 8
    signal[: 2 * RATE] *= 9  # louder still, but not in the middle
    facts = read_song(request_for(signal, preview_s=6.0))
    assert facts.preview_start_s == pytest.approx(30.0, abs=0.51)
    assert facts.seconds_whole == 60 and facts.samples == 6 * RATE
    start = round(facts.preview_start_s * RATE)
    excerpt = soundfile.read(tmp_path / "excerpt.wav")[0]
    whole = soundfile.read(tmp_path / "original.wav")[0]
    assert np.array_equal(excerpt, whole[start : start + 6 * RATE])


def test_a_preview_of_a_short_song_is_all_of_it(request_for):
    facts = read_song(request_for(noise(RATE), preview_s=20.0))
    assert (facts.samples, facts.preview_start_s) == (RATE, 0)
    assert loudest_start(np.ones(3), 10, 31, 20) <= 11


def test_reading_apart_tells_the_same_facts(request_for):
    request, told = request_for(noise(2 * RATE)), []
    facts = read_apart(request, 60, CancelToken(), told.append)
    assert facts == read_song(request) and told == sorted(told)


def test_reading_apart_refuses_in_words_without_our_paths(request_for, tmp_path):
    request = request_for(noise(RATE))
    (tmp_path / "original.wav").write_bytes(b"no sound at all" * 100)
    with pytest.raises(UnbraidError) as caught:
        read_apart(request, 60, CancelToken(), print)
    assert str(caught.value).startswith("This file") and str(tmp_path) not in str(caught.value)


def test_reading_apart_ends_when_the_time_or_the_patience_is_over(request_for):
    request = request_for(noise(30 * RATE))
    with pytest.raises(UnbraidError, match="within 0 seconds"):
        read_apart(request, 0.0, CancelToken(), print)
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        read_apart(request, 60, token, print)


def test_a_decoder_that_takes_too_much_memory_dies_alone(request_for):
    request = request_for(noise(RATE), most_bytes=150_000_000)
    with pytest.raises(UnbraidError, match=r"damaged or too large|more memory"):
        read_apart(request, 60, CancelToken(), print)


@pytest.mark.parametrize("tempo", [84.0, 120.0])
def test_the_tempo_of_clicks_is_found(tempo):
    mono = np.zeros(30 * RATE, np.float32)
    burst = noise(2000, channels=1)[:, 0] * np.exp(-np.arange(2000) / 300, dtype=np.float32)
    for beat in np.arange(0, 29.5, 60 / tempo):
        mono[int(beat * RATE) :][:2000] += burst
    assert tempo_bpm(mono, RATE) == pytest.approx(tempo, rel=0.01)


@pytest.mark.parametrize(
    ("tonic", "thirds", "name"), [(0, (4, 7), "C major"), (9, (3, 7), "A minor")]
)
def test_the_key_of_a_scale_is_found(tonic, thirds, name):
    steps = (0, 2, 4, 5, 7, 9, 11) if name.endswith("major") else (0, 2, 3, 5, 7, 8, 10)
    notes = [*steps, 0, *thirds, 0, *thirds, 0, 7, 0]
    time = np.arange(RATE) / RATE
    hz = [65.41 * 2 ** ((tonic + note) / 12) for note in notes]
    mono = np.concatenate([np.sin(2 * math.pi * f * time) for f in hz]).astype(np.float32)
    assert key_of(mono, RATE) == name


def test_silence_has_neither_tempo_nor_key():
    silence = np.zeros(5 * RATE, np.float32)
    assert tempo_bpm(silence, RATE) is None and key_of(silence, RATE) is None


def test_the_folder_of_the_song_is_all_that_is_written(request_for, tmp_path):
    read_song(request_for(noise(RATE)))
    assert {p.name for p in tmp_path.iterdir()} == {"original.wav", "listen", "peaks.json"}


def packed(count: int, size: int) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for index in range(count):
            archive.writestr(f"{index}.wav", b"\0" * size)
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        packed(3, 1_000_000),
        b"\x1f\x8b\x08" + bytes(100),
        b"7z\xbc\xaf\x27\x1c" + bytes(100),
        b"#EXTM3U\nhttp://127.0.0.1/x.mp3\n",
        b"\xef\xbb\xbf  #EXTM3U8\n",
        b"[playlist]\nFile1=/etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash">',
        b"<!DOCTYPE html><script>",
        b"root:x:0:0:root:/root:/bin/bash\n" * 9,
        b"%PDF-1.7 ....",
        b"\x7fELF\x02\x01\x01" + bytes(99),
        b"MZ" + bytes(99),
        b"\x89PNG\r\n\x1a\n" + bytes(99),
        b"<svg onload=alert(1)>",
    ],
)
def test_what_is_not_a_song_is_refused_and_opens_no_other_file(request_for, tmp_path, content):
    request = request_for(noise(RATE))
    (tmp_path / "original.wav").write_bytes(content)
    before = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(AudioError):
        read_song(request)
    assert {path.name for path in tmp_path.iterdir()} <= before | {"listen"}
