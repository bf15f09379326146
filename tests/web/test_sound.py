"""Peaks, stretches of samples, mixes and zips."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
import soundfile
from web_songs import RATE, STEMS, noise, separated

from unbraid.tracks.spool import SpoolView
from unbraid.web.archive import stream_zip
from unbraid.web.mix import parse_gains, render_mix
from unbraid.web.pcm import (
    ListeningCopy,
    as_wav,
    find_part,
    publish_view,
    read_samples,
    read_unfinished,
)
from unbraid.web.peaks import MOST_PAIRS, PeakMeter, stretch
from unbraid.web.refusals import Refusal


@pytest.mark.parametrize("samples", [1, 255, 256, 257, 70_000, 1_500_001])
def test_peaks_are_those_of_every_stretch_whatever_the_blocks(samples):
    signal = noise(samples).T
    meter, rng, at = PeakMeter(), np.random.default_rng(1), 0
    while at < samples:
        count = int(rng.integers(1, 100_000))
        meter.push(signal[:, at : at + count])
        at += count
    step = stretch(samples)
    pairs = meter.pairs(step)
    assert len(pairs) == -(-samples // step) <= MOST_PAIRS + 1
    for index in {0, len(pairs) // 2, len(pairs) - 1}:
        part = signal[:, index * step : (index + 1) * step]
        assert pairs[index] == [round(float(part.min()) * 127), round(float(part.max()) * 127)]


def test_any_stretch_of_a_listening_copy_is_the_sound_itself(tmp_path):
    signal = noise(200_001)
    with ListeningCopy(tmp_path / "listen", "original", RATE, 2) as copy:
        for start in range(0, len(signal), 30_000):
            copy.write(signal[start : start + 30_000].T)
    path = find_part(tmp_path, "original")
    whole = np.clip(np.rint(signal * 32768), -32768, 32767).astype(np.int16)
    for start, count in ((0, 10), (99_999, 4097), (200_000, 50), (300_000, 5)):
        samples, rate = read_samples(path, start, count)
        assert rate == RATE and np.array_equal(samples, whole[start : start + count])


@pytest.mark.parametrize(("channels", "rate"), [(9, 44100), (2, 384_000)])
def test_what_flac_cannot_hold_is_copied_to_wav(tmp_path, channels, rate):
    with ListeningCopy(tmp_path / "listen", "original", rate, channels) as copy:
        copy.write(noise(1000, channels=channels).T)
    samples, found = read_samples(find_part(tmp_path, "original"), 10, 20)
    assert samples.shape == (20, channels) and found == rate


def test_a_wav_of_samples_is_read_back_exactly():
    samples = (noise(1000) * 30000).astype(np.int16)
    back, rate = soundfile.read(io.BytesIO(as_wav(samples, 48000)), dtype="int16")
    assert rate == 48000 and np.array_equal(back, samples)


def test_float_and_24_bit_stems_are_played_at_their_level(tmp_path):
    signal = noise(100)
    for subtype in ("FLOAT", "PCM_24", "PCM_16"):
        soundfile.write(tmp_path / "part.wav", signal, RATE, subtype)
        samples, _ = read_samples(tmp_path / "part.wav", 0, 100)
        assert np.abs(samples / 32768 - signal).max() < 1e-4


def test_unfinished_parts_are_read_from_the_spool_and_the_rest_adds_up(tmp_path):
    stems = noise(500, channels=4) * np.float32(0.5)
    original = noise(900, 1)
    with ListeningCopy(tmp_path / "listen", "original", RATE, 2) as copy:
        copy.write(original.T)
    spool = tmp_path / "stems.f32"
    spool.write_bytes(stems.tobytes() + b"abc")  # a sample that is half there does not count
    names, got = ("bass", "vocals"), {}
    assert read_unfinished(tmp_path, "bass", names, 2, 100, 1000) is None
    publish_view(tmp_path, SpoolView(str(spool), names, 2, RATE))
    for part in (*names, "residual"):
        got[part] = read_unfinished(tmp_path, part, names, 2, 100, 1000).astype(int)
        assert len(got[part]) == 400
    assert np.abs(got["vocals"] / 32768 - stems[100:, 2:]).max() < 1e-4
    assert np.abs(sum(got.values()) / 32768 - original[100:500]).max() < 2e-4
    assert len(read_unfinished(tmp_path, "bass", names, 2, 900, 10)) == 0
    spool.unlink()
    assert read_unfinished(tmp_path, "bass", names, 2, 100, 1000) is None


def test_a_mix_is_the_sum_of_parts_with_their_gains(service, tmp_path):
    job = separated(service)
    song = service.storage.song(job.id)
    files = {find_part(song, "drums"): 1.0, find_part(song, "bass"): 0.5}
    render_mix(files, tmp_path / "mix.wav", "wav", "24")
    mix, rate = soundfile.read(tmp_path / "mix.wav")
    due = sum(gain * soundfile.read(path)[0] for path, gain in files.items())
    assert rate == RATE and np.abs(mix - due).max() < 1e-6


def test_a_mix_beyond_full_scale_comes_down_as_a_whole(service, tmp_path):
    song = service.storage.song(separated(service).id)
    files = {find_part(song, stem): 4.0 for stem in STEMS}
    render_mix(files, tmp_path / "mix.wav", "wav", "24")
    mix = soundfile.read(tmp_path / "mix.wav")[0]
    due = sum(4 * soundfile.read(path)[0] for path in files)
    assert np.abs(mix).max() <= 1 and np.abs(mix - due / np.abs(due).max()).max() < 1e-5


@pytest.mark.parametrize("format", ["flac", "mp3", "m4a", "ogg", "opus"])
def test_a_mix_comes_in_every_format(service, tmp_path, format):
    song = service.storage.song(separated(service).id)
    target = tmp_path / f"mix.{format}"
    render_mix({find_part(song, "drums"): 1.0}, target, format, "16")
    assert target.stat().st_size > 1000


@pytest.mark.parametrize(
    "text",
    ["", "drums", "drums:", "drums:x", "drums:nan", "drums:-1", "drums:5", "piano:1", "drums:0",
     "drums:1,", "../x:1", ":1", "drums:" + "1" * 30],
)  # fmt: skip
def test_gains_that_cannot_be_are_refused(text):
    with pytest.raises(Refusal, match="Name at least one of drums, bass"):
        parse_gains(text, ["drums", "bass"])


def test_a_zip_holds_the_files_as_they_are(service):
    job = separated(service)
    folder = service.storage.song(job.id) / "stems"
    files = {f"Ünique – {path.name}": path for path in sorted(folder.iterdir())}
    data = b"".join(stream_zip(files))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None and archive.namelist() == list(files)
        assert all(archive.read(name) == path.read_bytes() for name, path in files.items())
    assert len(data) < sum(path.stat().st_size for path in files.values()) + 2000


def test_peaks_are_small_even_for_hours(service):
    meter = PeakMeter()
    for _ in range(60):
        meter.push(noise(RATE * 10).T)
    text = json.dumps(meter.pairs(stretch(meter.samples)))
    assert len(text) < 80_000
