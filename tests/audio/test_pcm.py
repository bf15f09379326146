"""PCM samples in more bytes than their bits need: read as what they are, or refused."""

from __future__ import annotations

import struct
from contextlib import closing

import numpy as np
import pytest
import soundfile
from pcm_files import FLOAT, RATE, aiff, caf, laid_out, mov, nist, w64, wav, wave_format
from sounds import encode, integers

from unbraid.audio.container import Source
from unbraid.audio.files import probe, read
from unbraid.audio.pcm_headers import read_header
from unbraid.errors import AudioReadError

SAMPLES = 30_001  # several packets, and not a round number of them
WIDER = [(24, 4), (20, 4), (16, 4), (20, 3), (16, 3), (12, 2), (8, 2)]


def high(values: np.ndarray, bits: int, width: int) -> bytes:
    """Samples in the high bits of `width` bytes."""
    return laid_out(values, width, shift=8 * width - bits)


def is_read_as(path, content: bytes, values: np.ndarray, bits: int) -> bool:
    """Whether a file reads as exactly these integers of so many bits."""
    path.write_bytes(content)
    signal, rate = read(path)
    info = probe(path)
    assert (rate, info.bit_depth) == (RATE, bits)
    assert round(info.duration_s * RATE) == values.shape[1]
    return np.array_equal(signal * 2.0 ** (bits - 1), values)


@pytest.mark.parametrize(("bits", "width"), WIDER)
def test_samples_wider_than_their_bits_are_read_as_libsndfile_reads_them(tmp_path, bits, width):
    values = integers(2, SAMPLES, bits)
    wave = wave_format(0xFFFE, 8 * width, 2 * width, valid=bits)
    for name, content in (("a.wav", wav), ("a.rf64", wav), ("a.w64", w64)):
        path = tmp_path / name
        assert is_read_as(path, content(wave, high(values, bits, width)), values, bits)
        theirs, _ = soundfile.read(path, dtype="float64", always_2d=True)
        np.testing.assert_array_equal(theirs.T * 2.0 ** (bits - 1), values)


@pytest.mark.parametrize(("bits", "width"), WIDER)
def test_a_plain_header_with_wide_frames_is_decided_by_its_data(tmp_path, bits, width):
    values = integers(2, SAMPLES, bits)
    values[:, :9000] = 0  # a silent start tells nothing
    wave = wave_format(1, bits, 2 * width)
    for name, content in (("a.wav", wav), ("a.w64", w64)):
        path = tmp_path / name
        assert is_read_as(path, content(wave, high(values, bits, width)), values, bits)


def test_a_plain_header_may_have_its_samples_in_the_low_bits(tmp_path):
    values = integers(2, SAMPLES, 24)
    for data in (laid_out(values, 4), laid_out(values & 0xFFFFFF, 4)):
        assert is_read_as(tmp_path / "a.wav", wav(wave_format(1, 24, 8), data), values, 24)


@pytest.mark.parametrize(("bits", "width"), WIDER)
@pytest.mark.parametrize("big_endian", [False, True])
def test_core_audio_has_its_samples_in_the_high_bits(tmp_path, bits, width, big_endian):
    values = integers(2, SAMPLES, bits)
    data = laid_out(values, width, shift=8 * width - bits, big_endian=big_endian)
    content = caf(bits, 2 * width, data, flags=0 if big_endian else 2)
    assert is_read_as(tmp_path / "a.caf", content, values, bits)


@pytest.mark.parametrize("bits", [12, 16, 20, 24])
@pytest.mark.parametrize("kind", [b"", b"NONE", b"twos", b"sowt"])
def test_aiff_of_any_bits_and_order_is_read_as_libsndfile_reads_it(tmp_path, bits, kind):
    values = integers(2, SAMPLES, bits)
    width = -(-bits // 8)
    shift = 8 * width - bits
    data = laid_out(values, width, shift=shift, big_endian=kind != b"sowt")
    path = tmp_path / "a.aiff"
    assert is_read_as(path, aiff(bits, data, kind=kind), values, bits)
    theirs, _ = soundfile.read(path, dtype="float64", always_2d=True)
    np.testing.assert_array_equal(theirs.T * 2.0 ** (bits - 1), values)


@pytest.mark.parametrize("samples", [1, 4095, 4097, 8000])
def test_the_last_packet_of_alac_in_core_audio_is_read_to_its_end(tmp_path, samples):
    signal = integers(2, samples, 16).T / 2.0**15
    soundfile.write(tmp_path / "a.caf", signal, RATE, subtype="ALAC_16")
    np.testing.assert_array_equal(read(tmp_path / "a.caf")[0].T, signal)


def test_speech_files_state_both_numbers_too(tmp_path):
    values = integers(2, SAMPLES, 8)
    assert is_read_as(tmp_path / "a.nist", nist(8, 2, high(values, 8, 2)), values, 8)


@pytest.mark.parametrize(("bits", "width", "flags"), [(20, 3, 4), (12, 2, 4), (20, 3, 20)])
def test_quicktime_says_in_which_bits_its_samples_are(tmp_path, bits, width, flags):
    values = integers(2, SAMPLES, bits)
    data = high(values, bits, width) if flags & 16 else laid_out(values, width)
    assert is_read_as(tmp_path / "a.mov", mov(bits, width, flags, data), values, bits)


def test_quicktime_with_wide_samples_is_refused(tmp_path):
    path = tmp_path / "a.mov"
    path.write_bytes(mov(24, 4, 4 | 16, high(integers(2, SAMPLES, 24), 24, 4)))
    with pytest.raises(AudioReadError, match="24 bits in 4 bytes"):
        read(path)


@pytest.mark.parametrize(("name", "muxer"), [("a.avi", "avi"), ("a.asf", "asf")])
def test_microsofts_header_inside_other_containers_is_found(tmp_path, name, muxer):
    values = integers(2, SAMPLES, 24)
    path = encode(tmp_path / name, muxer, "pcm_s32le", values << 8, "s32", RATE)
    content = path.read_bytes()
    head = wave_format(0xFFFE, 32, 8, valid=32)
    assert content.count(head[:20]) == 1
    path.write_bytes(content.replace(head[:20], wave_format(0xFFFE, 32, 8, valid=24)[:20]))
    np.testing.assert_array_equal(read(path)[0] * 2.0**23, values)
    assert probe(path).bit_depth == 24


def test_floats_may_have_any_number_of_valid_bits(tmp_path):
    signal = np.random.default_rng(3).uniform(-1, 1, (2, SAMPLES))
    for kind, width, valid in (("<f4", 4, 24), ("<f8", 8, 32)):
        wave = wave_format(0xFFFE, 8 * width, 2 * width, valid=valid, guid=FLOAT)
        path = tmp_path / "a.wav"
        path.write_bytes(wav(wave, signal.T.astype(kind).tobytes()))
        np.testing.assert_array_equal(read(path)[0], signal.astype("f4"))
        assert probe(path).is_float


def test_floats_of_cool_edit_look_like_24_bits_in_32(tmp_path):
    signal = np.random.default_rng(4).uniform(-1, 1, (2, SAMPLES)).astype("f4")
    path = tmp_path / "a.wav"
    path.write_bytes(wav(wave_format(1, 24, 8), (signal * 2**23).T.astype("<f4").tobytes()))
    np.testing.assert_allclose(read(path)[0], signal, atol=1e-7)
    assert round(probe(path).duration_s * RATE) == SAMPLES


@pytest.mark.parametrize(
    ("frame_bytes", "byte_rate"), [(0, None), (2, None), (3, RATE * 4), (8, RATE * 4)]
)
def test_a_wrong_frame_size_is_seen_through_where_all_else_agrees(tmp_path, frame_bytes, byte_rate):
    values = integers(2, SAMPLES, 16)
    wave = wave_format(1, 16, frame_bytes, byte_rate=byte_rate)
    assert is_read_as(tmp_path / "a.wav", wav(wave, laid_out(values, 2)), values, 16)


def test_samples_of_24_bits_need_no_frame_size(tmp_path):
    values = integers(2, SAMPLES, 24)
    wave = wave_format(1, 24, 0)
    assert is_read_as(tmp_path / "a.wav", wav(wave, laid_out(values, 3)), values, 24)


CONTRADICTIONS = {
    "more valid bits than bits": wav(wave_format(0xFFFE, 24, 6, valid=32), bytes(range(252))),
    "frames for one and a half": wav(wave_format(1, 16, 6), bytes(range(252))),
    "frames too short": wav(wave_format(1, 24, 5), bytes(range(250))),
    "packed data in wide frames": wav(wave_format(1, 16, 8), bytes(range(248))),
    "doubles called floats": wav(wave_format(3, 32, 16), np.arange(64.0).tobytes()),
    "packets of core audio": caf(24, 7, bytes(range(252))),
}


@pytest.mark.parametrize("content", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_a_header_that_contradicts_itself_is_refused(tmp_path, content):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    for look in (read, probe):
        with pytest.raises(AudioReadError, match="contradicts itself"):
            look(path)


@pytest.mark.parametrize(
    "field", ["channel_count", "sample_rate", "sample_n_bytes", "sample_sig_bits"]
)
def test_a_header_that_lacks_a_field_is_read_or_refused_in_one_line(tmp_path, field):
    path = tmp_path / "a.nist"
    path.write_bytes(nist(16, 2, bytes(range(240))).replace(field.encode(), b"x" * len(field)))
    try:
        read(path)
    except AudioReadError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("rate", [0, 2**31, 2**32 - 1])
def test_a_rate_beyond_all_is_refused_in_wide_samples_too(tmp_path, rate):
    content = wav(wave_format(0xFFFE, 32, 8, valid=24), bytes(range(240)))
    path = tmp_path / "a.wav"
    path.write_bytes(content[:24] + rate.to_bytes(4, "little") + content[28:])
    with pytest.raises(AudioReadError):
        read(path)


def test_the_length_by_the_header_is_never_more_than_the_file_holds(tmp_path):
    path = tmp_path / "a.wav"
    content = wav(wave_format(1, 16, 4), laid_out(integers(2, SAMPLES, 16), 2))
    for claimed in (b"\xff\xff\xff\xff", b"\0\0\0\x80", bytes(4)):
        path.write_bytes(content[:40] + claimed + content[44:])
        assert round(probe(path).duration_s * RATE) == SAMPLES


def test_integers_of_64_bits_are_read(tmp_path):
    values = integers(2, 500, 24)
    assert (
        read_of(tmp_path / "a.wav", wav(wave_format(1, 64, 16), high(values, 24, 8))) == values
    ).all()


def read_of(path, content: bytes) -> np.ndarray:
    """A file's samples as integers of 24 bits."""
    path.write_bytes(content)
    return read(path)[0] * 2.0**23


def test_a_size_of_more_than_32_bits_is_read_where_rf64_has_it(tmp_path):
    samples = b"\1\0" * 44100
    for stated, seconds in ((len(samples), 1.0), (0, 1.25)):  # 0: not known, so to the end
        about = struct.pack("<QQQI", 0, stated, 0, 0)
        chunks = b"ds64" + struct.pack("<I", len(about)) + about
        chunks += b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 44100, 88200, 2, 16)
        chunks += b"data\xff\xff\xff\xff" + samples + bytes(44100 // 2)
        path = tmp_path / f"{stated}.wav"
        path.write_bytes(b"RF64\xff\xff\xff\xffWAVE" + chunks)
        with closing(Source(path)) as file:
            header = read_header("wav", file, 0)
        assert header is not None and header.data_bytes == round(seconds * 88200)
