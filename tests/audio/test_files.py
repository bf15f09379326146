"""Reading: what FFmpeg decodes, sample for sample, in blocks of any length."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest
from sounds import encode, integers, lag, noise, wav_bytes

from unbraid.audio.files import OpenFile, probe, read, read_blocks
from unbraid.audio.write import AudioFormat, AudioWriter
from unbraid.errors import AudioReadError, SettingsError

LOSSLESS = [
    ("wav", "pcm_u8", "u1", "u8", 8),
    ("wav", "pcm_s16le", "i2", "s16", 16),
    ("wav", "pcm_s24le", "i4", "s32", 24),
    ("w64", "pcm_s24le", "i4", "s32", 24),
    ("aiff", "pcm_s16be", "i2", "s16", 16),
    ("caf", "pcm_s24le", "i4", "s32", 24),
    ("au", "pcm_s16be", "i2", "s16", 16),
    ("flac", "flac", "i2", "s16", 16),
    ("flac", "flac", "i4", "s32", 24),
    ("ipod", "alac", "i2", "s16p", 16),
    ("ipod", "alac", "i4", "s32p", 24),
    ("tta", "tta", "i4", "s32", 24),
    ("wv", "wavpack", "i2", "s16p", 16),
]


@pytest.mark.parametrize(("muxer", "codec", "dtype", "kind", "bits"), LOSSLESS)
def test_integer_samples_come_out_exactly(tmp_path, muxer, codec, dtype, kind, bits):
    values = integers(2, 5000, bits)
    stored = {"u8": values + 128, "s32": values << 8}.get(kind.removesuffix("p"), values)
    path = encode(tmp_path / "sound", muxer, codec, stored.astype(dtype), kind)
    signal, rate = read(path)
    assert rate == 44100
    np.testing.assert_array_equal(signal.astype(np.float64) * 2 ** (bits - 1), values)
    info = probe(path)
    assert (info.bit_depth, info.is_float, info.is_lossless) == (bits, False, True)


def test_float_samples_keep_values_beyond_full_scale_and_nan(tmp_path):
    signal = noise(2, 1000, level=3.0)
    signal[0, 7] = np.nan
    signal[1, 8] = np.inf
    path = tmp_path / "float.wav"
    path.write_bytes(wav_bytes(signal, code=3))
    np.testing.assert_array_equal(read(path)[0], signal)
    info = probe(path)
    assert (info.bit_depth, info.is_float, info.is_lossless) == (32, True, True)


def test_doubles_beyond_float_become_infinite_without_a_warning(tmp_path):
    path = tmp_path / "double.wav"
    path.write_bytes(wav_bytes(np.array([[1e300, -0.5]]), code=3))
    assert read(path)[0].tolist() == [[np.inf, -0.5]]


LOSSY = [
    ("mp3", "libmp3lame", "fltp", 44100, 0),
    ("mp3", "libmp3lame", "fltp", 22050, 0),
    ("ipod", "aac", "fltp", 44100, 1023),
    ("matroska", "libopus", "flt", 48000, 960),
    ("opus", "libopus", "flt", 48000, 0),
    ("mp4", "aac", "fltp", 48000, 1023),
]


@pytest.mark.parametrize(("muxer", "codec", "kind", "rate", "surplus"), LOSSY)
def test_lossy_files_come_out_in_place(tmp_path, muxer, codec, kind, rate, surplus):
    original = noise(2, 40_000)
    path = encode(tmp_path / "sound", muxer, codec, original, kind, rate)
    signal, read_rate = read(path)
    assert read_rate == rate
    assert [lag(*pair) for pair in zip(original, signal, strict=True)] == [0, 0]
    assert 0 <= signal.shape[1] - 40_000 <= surplus
    assert np.abs(signal[:, 20_000]).min() > 0.4
    info = probe(path)
    assert (info.bit_depth, info.is_float, info.is_lossless) == (None, False, False)


@pytest.mark.parametrize("block_samples", [1, 7, 1000, 65536])
def test_blocks_put_together_are_the_whole(tmp_path, block_samples):
    path = encode(tmp_path / "a.mp3", "mp3", "libmp3lame", noise(2, 3001), "fltp")
    whole = read(path)[0]
    blocks = list(read_blocks(path, block_samples))
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), whole)
    assert {block.shape[1] for block in blocks[:-1]} <= {block_samples}
    assert all(block.dtype == np.float32 and block.flags.c_contiguous for block in blocks)


def test_an_open_file_is_what_is_probed_and_holds_what_is_read(tmp_path):
    path = encode(tmp_path / "a.mp3", "mp3", "libmp3lame", noise(2, 3001), "fltp")
    with OpenFile(path) as file:
        assert file.info == probe(path)
        blocks = list(file.blocks(1000))
    for block, wanted in zip(blocks, read_blocks(path, 1000), strict=True):
        np.testing.assert_array_equal(block, wanted)


def test_the_header_is_told(tmp_path):
    path = encode(tmp_path / "a.wav", "wav", "pcm_s16le", integers(6, 4800, 16).astype("i2"), "s16",
                  48000)  # fmt: skip
    info = probe(str(path))
    assert info.path == path
    assert (info.container, info.codec, info.sample_rate) == ("wav", "pcm_s16le", 48000)
    assert info.channel_names == ("FL", "FR", "FC", "LFE", "BL", "BR")
    assert info.duration_s == pytest.approx(0.1)


@pytest.mark.parametrize("channels", [1, 3, 8, 12, 64])
def test_any_number_of_channels_comes_out_in_order(tmp_path, channels):
    values = integers(channels, 300, 16).astype("i2")
    path = encode(tmp_path / "a.wav", "wav", "pcm_s16le", values, "s16")
    assert np.array_equal(read(path)[0] * 2**15, values)
    assert len(set(probe(path).channel_names)) == channels


@pytest.mark.parametrize("channels", [8, 9, 12])
def test_planar_frames_of_many_channels_come_out_in_order(tmp_path, channels):
    values = integers(channels, 300, 16).astype("i2")
    path = encode(tmp_path / "a.wv", "wv", "wavpack", values, "s16p")
    assert np.array_equal(read(path)[0] * 2**15, values)


def test_more_channels_than_music_has_are_refused(tmp_path):
    path = tmp_path / "wide.wav"
    path.write_bytes(wav_bytes(np.zeros((100, 50), "i2")))
    with pytest.raises(AudioReadError, match="100 channels"):
        probe(path)


@pytest.mark.parametrize("rate", [1000, 8000, 96000, 192_000, 768_000, 5_644_800])
def test_any_rate_is_read(tmp_path, rate):
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(integers(1, 10, 16).astype("i2"), rate=rate))
    signal, read_rate = read(path)
    assert (signal.shape, read_rate) == ((1, 10), rate)


def test_absurd_rates_are_refused(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(integers(1, 10, 16).astype("i2"), rate=2_000_000_000))
    with pytest.raises(AudioReadError, match="2000000000 Hz"):
        probe(path)


def test_a_single_sample_is_sound(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(np.full((2, 1), 0.5, np.float32), code=3))
    assert read(path)[0].tolist() == [[0.5], [0.5]]


def _chained(*parts: tuple[int, int]) -> bytes:
    """MP3 frames of several (rate, channels) one after the other, without headers between."""
    joined = b""
    for rate, channels in parts:
        file = io.BytesIO()
        options = {"write_xing": "0", "id3v2_version": "0"}
        with av.open(file, "w", format="mp3", options=options) as container:
            layout = "mono" if channels == 1 else "stereo"
            stream = container.add_stream("libmp3lame", rate=rate, layout=layout)
            samples = 0.3 * np.sin(2 * np.pi * 440 / rate * np.arange(rate, dtype=np.float32))
            frame = av.AudioFrame.from_ndarray(np.tile(samples, (channels, 1)), "fltp", layout)
            frame.sample_rate = rate
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        joined += file.getvalue()
    return joined


@pytest.mark.parametrize("second", [(44100, 1), (48000, 2), (22050, 1)])
def test_a_change_midway_is_brought_to_one_rate_and_layout(tmp_path, second):
    path = tmp_path / "chained.mp3"
    path.write_bytes(_chained((44100, 2), second, (44100, 2)))
    signal, rate = read(path)
    info = probe(path)
    assert (info.sample_rate, info.channels) == (rate, len(signal))
    assert rate in (44100, second[0])
    assert signal.shape[1] / rate == pytest.approx(3, abs=0.3)
    for start_s in (0.4, 1.4, 2.4):
        window = signal[0, int(start_s * rate) :][:8192] * np.hanning(8192)
        tone_hz = np.abs(np.fft.rfft(window)).argmax() * rate / 8192
        assert tone_hz == pytest.approx(440, abs=6)


@pytest.mark.parametrize("name", ["ogg", "opus"])
def test_every_link_of_a_chained_ogg_file_is_read(tmp_path, name):
    chained = b""
    for channels, rate in ((2, 48000), (1, 48000), (2, 44100 if name == "ogg" else 48000)):
        tone = 0.3 * np.sin(2 * np.pi * 440 / rate * np.arange(rate, dtype=np.float32))
        with AudioWriter(tmp_path / "link", AudioFormat(name), rate, channels) as writer:
            writer.write(np.tile(tone, (channels, 1)))
        chained += (tmp_path / "link").read_bytes()
    path = tmp_path / f"chained.{name}"
    path.write_bytes(chained)
    signal, rate = read(path)
    assert rate == 48000
    assert signal.shape == (2, pytest.approx(3 * 48000, abs=2))
    for start_s in (0.3, 1.3, 2.3):
        window = signal[1, int(start_s * rate) :][:16_384] * np.hanning(16_384)
        tone_hz = np.abs(np.fft.rfft(window)).argmax() * rate / 16_384
        assert tone_hz == pytest.approx(440, abs=3)


def test_the_sound_of_a_video_is_read(tmp_path):
    original = noise(2, 48_000)
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=25, width=32, height=32, pix_fmt="yuv420p")
        audio = container.add_stream("flac", rate=48000, layout="stereo", format="s32")
        for number in range(25):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 9 * number, np.uint8))
            container.mux(video.encode(frame))
        samples = np.rint(original * 2**23).astype("i4") << 8
        sound = av.AudioFrame.from_ndarray(samples.T.reshape(1, -1).copy(), "s32", "stereo")
        sound.sample_rate, sound.pts = 48000, 0
        container.mux(audio.encode(sound))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    signal, rate = read(path)
    assert rate == 48000
    np.testing.assert_allclose(signal, original, atol=2**-23)


def test_an_id3_tag_before_any_header_is_skipped(tmp_path):
    path = encode(tmp_path / "a.tta", "tta", "tta", integers(2, 500, 16).astype("i2"), "s16")
    plain = read(path)[0]
    path.write_bytes(b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128) + path.read_bytes())
    np.testing.assert_array_equal(read(path)[0], plain)


def test_very_short_mp3s_are_recognized(tmp_path):
    for seed in range(8):
        path = tmp_path / "a.mp3"
        with AudioWriter(path, AudioFormat("mp3"), 44100, 2) as writer:
            writer.write(noise(2, 1200 + 31 * seed, seed))
        assert read(path)[0].shape[1] == 1200 + 31 * seed


def test_a_block_has_at_least_one_sample(tmp_path):
    with pytest.raises(SettingsError, match="at least 1"):
        read_blocks(tmp_path / "a.wav", 0)


def test_leaving_a_reader_early_closes_the_file(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(integers(1, 9000, 16).astype("i2")))
    blocks = read_blocks(path, 10)
    next(blocks)
    blocks.close()  # an open file would warn, and warnings are errors here
