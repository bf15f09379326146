"""Writing: read back, integers are the same integers, and lossy sound is in its place."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sounds import integers, lag, noise

from mounts import mounted
from unbraid.audio.channels import default_channel_names
from unbraid.audio.files import probe, read, read_blocks
from unbraid.audio.levels import dequantize
from unbraid.audio.muxer import Sink
from unbraid.audio.write import AudioFormat, AudioWriter
from unbraid.errors import AudioWriteError, ShapeError

INTEGER = [AudioFormat(name, depth) for name in ("wav", "flac") for depth in ("16", "24")]
LOSSY = [AudioFormat(name) for name in ("mp3", "m4a", "ogg", "opus")]
FLOAT = AudioFormat("wav", "32f")
ALL = [*INTEGER, FLOAT, *LOSSY]


def _name(audio_format: AudioFormat) -> str:
    return audio_format.name + (audio_format.depth or "")


def _write(path, audio_format, block, rate=44100, *, step=5000, **options) -> Path:
    path = path / f"sound.{audio_format.extension}"
    rate = audio_format.supported_rate(rate)
    with AudioWriter(path, audio_format, rate, len(block), **options) as writer:
        for start in range(0, block.shape[1], step):
            writer.write(block[:, start : start + step])
    return path


def _sound(audio_format: AudioFormat, channels: int, samples: int, seed: int = 0) -> np.ndarray:
    if audio_format.is_integer:
        return integers(channels, samples, audio_format.bits, seed)
    return noise(channels, samples, seed)


@pytest.mark.parametrize("audio_format", INTEGER, ids=_name)
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_integers_come_back_bit_for_bit(tmp_path, audio_format, channels):
    values = integers(channels, 9001, audio_format.bits)
    path = _write(tmp_path, audio_format, values)
    np.testing.assert_array_equal(read(path)[0], dequantize(values, audio_format.bits))
    info = probe(path)
    assert (info.bit_depth, info.is_float, info.channels) == (audio_format.bits, False, channels)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(INTEGER), st.integers(1, 3000), st.integers(1, 4000), st.integers(0, 99))
def test_integers_of_any_length_in_any_blocks_come_back(
    tmp_path, audio_format, samples, step, seed
):
    values = integers(2, samples, audio_format.bits, seed)
    path = _write(tmp_path, audio_format, values, step=step)
    np.testing.assert_array_equal(read(path)[0], dequantize(values, audio_format.bits))


def test_float_wav_keeps_values_beyond_full_scale(tmp_path):
    signal = noise(2, 3000, level=4.0)
    path = _write(tmp_path, FLOAT, signal)
    np.testing.assert_array_equal(read(path)[0], signal)
    assert probe(path).is_float


@pytest.mark.parametrize("audio_format", LOSSY, ids=_name)
@pytest.mark.parametrize("channels", [1, 2])
def test_lossy_formats_come_back_in_place(tmp_path, audio_format, channels):
    signal = noise(channels, 50_000)
    decoded, _ = read(_write(tmp_path, audio_format, signal))
    assert [lag(*pair) for pair in zip(signal, decoded, strict=True)] == [0] * channels
    surplus = decoded.shape[1] - 50_000
    assert 0 <= surplus <= (1023 if audio_format.name == "m4a" else 0)
    error = decoded[:, :50_000] - signal
    assert 10 * np.log10(np.mean(signal**2) / np.mean(error**2)) > 6  # white noise is the hardest


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    audio_format=st.sampled_from(LOSSY),
    samples=st.one_of(st.integers(1, 3000), st.integers(3000, 60_000)),
    rate=st.sampled_from([8000, 22050, 44100, 48000]),
    kind=st.sampled_from(["noise", "silence", "hum"]),
)
def test_lossy_formats_keep_the_length(tmp_path, audio_format, samples, rate, kind):
    signal = noise(1, samples)
    if kind != "noise":
        level = 0.2 if kind == "hum" else 0.0
        signal[0] = level * np.sin(0.02 * np.arange(samples))
    decoded, _ = read(_write(tmp_path, audio_format, signal, rate))
    surplus = decoded.shape[1] - samples
    if audio_format.name == "m4a":
        assert 0 <= surplus <= 1023
    elif audio_format.name == "mp3" and samples < 1152:
        assert 0 <= surplus <= 47
    else:
        assert surplus == 0


@pytest.mark.parametrize("audio_format", LOSSY, ids=_name)
def test_lossy_formats_take_peaks_beyond_full_scale(tmp_path, audio_format):
    signal = np.tile(1.6 * np.sin(0.05 * np.arange(30_000, dtype=np.float32)), (2, 1))
    decoded, _ = read(_write(tmp_path, audio_format, signal))
    assert np.isfinite(decoded).all()
    assert np.abs(decoded).max() > 0.9
    assert lag(signal[0], decoded[0]) == 0


@pytest.mark.parametrize("audio_format", ALL, ids=_name)
def test_the_same_sound_gives_the_same_bytes_in_any_blocks(tmp_path, audio_format):
    block = _sound(audio_format, 2, 20_000)
    first = _write(tmp_path, audio_format, block, step=777).read_bytes()
    assert _write(tmp_path, audio_format, block, step=20_000).read_bytes() == first


@pytest.mark.parametrize("audio_format", [INTEGER[1], *INTEGER[3:], *LOSSY[1:]], ids=_name)
@pytest.mark.parametrize("channels", range(1, 9))
def test_every_channel_stays_in_its_place(tmp_path, audio_format, channels):
    time = np.arange(24_000) / 48_000
    tones = [np.sin(2 * np.pi * (40 + 9 * n) * time) for n in range(channels)]
    signal = np.float32(0.2) * np.stack(tones).astype(np.float32)
    block = np.rint(signal * 2**23).astype(np.int32) if audio_format.is_integer else signal
    path = _write(tmp_path, audio_format, block, 48_000)
    decoded = read(path)[0][:, :24_000]
    likeness = np.corrcoef(np.concatenate([signal, decoded]))[:channels, channels:]
    assert likeness.diagonal().min() > 0.9
    assert probe(path).channel_names == default_channel_names(channels)


@pytest.mark.parametrize("audio_format", [INTEGER[0], INTEGER[2], LOSSY[1]], ids=_name)
def test_channel_names_are_written(tmp_path, audio_format):
    names = ("FL", "FR", "FC", "BC")
    path = _write(tmp_path, audio_format, _sound(audio_format, 4, 5000), channel_names=names)
    assert probe(path).channel_names == names


def test_wav_holds_dozens_of_unnamed_channels(tmp_path):
    values = integers(24, 500, 24)
    path = _write(tmp_path, INTEGER[1], values)
    np.testing.assert_array_equal(read(path)[0], dequantize(values, 24))


@pytest.mark.parametrize("audio_format", ALL, ids=_name)
@pytest.mark.parametrize("rate", [1, 999, 11_025, 65_537, 96_000, 768_000])
def test_the_supported_rate_is_written(tmp_path, audio_format, rate):
    rate = audio_format.supported_rate(rate)
    path = _write(tmp_path, audio_format, _sound(audio_format, 1, 2000), rate)
    assert probe(path).sample_rate == rate


def test_what_a_format_cannot_hold_is_refused_with_what_would_do(tmp_path):
    path = tmp_path / "a"
    with pytest.raises(AudioWriteError, match="mp3 takes 1 to 2; flac or wav would do"):
        AudioWriter(path, AudioFormat("mp3"), 44100, 6)
    with pytest.raises(AudioWriteError, match="mp3 would do with 48000 Hz"):
        AudioWriter(path, AudioFormat("mp3"), 96000, 2)
    with pytest.raises(AudioWriteError, match="2 channels takes as many names, got 1"):
        AudioWriter(path, FLOAT, 44100, 2, channel_names=["FL"])
    assert not path.exists()


def test_blocks_of_another_kind_are_refused(tmp_path):
    with AudioWriter(tmp_path / "a.wav", INTEGER[0], 44100, 2) as writer:
        writer.write(integers(2, 10, 16))
        for wrong in (noise(2, 10), integers(1, 10, 16), integers(2, 10, 16)[0]):
            with pytest.raises(ShapeError, match="int32 blocks of \\(2, samples\\)"):
                writer.write(wrong)
    with pytest.raises(AudioWriteError, match="is closed"):
        writer.write(integers(2, 10, 16))


@pytest.mark.parametrize("audio_format", ALL, ids=_name)
def test_an_error_within_removes_the_file_and_prints_nothing(tmp_path, audio_format, capfd):
    path = tmp_path / "half"
    rate = audio_format.supported_rate(44100)
    with pytest.raises(KeyboardInterrupt), AudioWriter(path, audio_format, rate, 2) as writer:
        writer.write(_sound(audio_format, 2, 70_000))
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_abort_leaves_a_finished_file_alone(tmp_path):
    with AudioWriter(tmp_path / "a.wav", FLOAT, 44100, 1) as writer:
        writer.write(noise(1, 10))
    writer.abort()
    writer.close()
    assert read(tmp_path / "a.wav")[0].shape == (1, 10)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("samples", [100, 400_000])
@pytest.mark.parametrize("audio_format", ALL, ids=_name)
def test_a_full_disk_is_one_clear_line(audio_format, samples, capfd):
    rate = audio_format.supported_rate(44100)
    with (
        pytest.raises(AudioWriteError, match=r"^'/dev/full' cannot be written: no space left"),
        AudioWriter("/dev/full", audio_format, rate, 2) as writer,
    ):
        writer.write(_sound(audio_format, 2, samples))
    assert Path("/dev/full").exists()
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 200 kB."""
    with mounted(tmp_path / "tiny", "200k") as folder:
        yield folder


@pytest.mark.parametrize("audio_format", ALL, ids=_name)
def test_a_disk_that_fills_up_keeps_no_half_file(tiny_disk, audio_format):
    with pytest.raises(AudioWriteError, match="no space left") as caught:
        _write(tiny_disk, audio_format, _sound(audio_format, 2, 400_000))
    assert caught.value.__cause__.errno == errno.ENOSPC
    assert list(tiny_disk.iterdir()) == []


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(AudioWriteError, match="no such file or directory"):
        AudioWriter(tmp_path / "none" / "a.wav", FLOAT, 44100, 2)


@pytest.mark.parametrize("name", ["with space.wav", "-x.wav", "%03d.wav", "a:b.wav", "li\nne.wav"])
def test_a_name_is_only_a_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with AudioWriter(name, FLOAT, 44100, 1) as writer:
        writer.write(noise(1, 10))
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_wav_is_ready_to_grow_into_rf64(tmp_path):
    data = _write(tmp_path, INTEGER[0], integers(2, 100, 16)).read_bytes()
    assert data[:4] == b"RIFF" and data[12:16] == b"JUNK"  # becomes ds64 beyond 4 GiB


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_wav_beyond_4_gib_is_rf64_and_reads_back(tmp_path, monkeypatch):
    whole_write = Sink.write

    def write_sparsely(sink, data):
        if any(data[:64]) or any(data[-64:]):
            return whole_write(sink, data)
        sink.seek(len(data), os.SEEK_CUR)  # leaves a hole, which reads as zeros and takes no room
        return len(data)

    monkeypatch.setattr(Sink, "write", write_sparsely)
    silence, click = np.zeros((2, 1 << 16), np.float32), np.full((2, 1000), 0.5, np.float32)
    path = tmp_path / "big.wav"
    with AudioWriter(path, FLOAT, 44100, 2) as writer:
        for _ in range(8448):
            writer.write(silence)
        writer.write(click)
    assert path.stat().st_size > 1 << 32
    with path.open("rb") as file:
        assert file.read(4) == b"RF64"
    samples = 8448 * (1 << 16) + 1000
    assert probe(path).duration_s == pytest.approx(samples / 44100)
    counted = 0
    for block in read_blocks(path, 1 << 20):
        counted += block.shape[1]
    assert counted == samples
    assert block[0, -1000:].tolist() == click[0].tolist()
