"""Files that are broken, lie or point elsewhere: sound or one line, and nothing else opened."""

from __future__ import annotations

import os
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sounds import encode, integers, noise, wav_bytes

from unbraid.audio.files import probe, read, read_blocks
from unbraid.audio.tags import read_tags
from unbraid.audio.write import AudioFormat, AudioWriter
from unbraid.errors import AudioReadError

ENCODED = [
    ("a.mp3", "mp3", "libmp3lame", "fltp"),
    ("a.m4a", "ipod", "aac", "fltp"),
    ("a.opus", "opus", "libopus", "flt"),
    ("a.mka", "matroska", "aac", "fltp"),
]


@pytest.fixture(scope="module")
def originals(tmp_path_factory) -> dict[str, bytes]:
    """One small whole file of each common kind, by name."""
    folder = tmp_path_factory.mktemp("originals")
    signal = noise(2, 48_000)
    files = {"a.wav": wav_bytes(integers(2, 48_000, 16).astype("i2"), rate=48000)}
    for name, muxer, codec, kind in ENCODED:
        files[name] = encode(folder / name, muxer, codec, signal, kind, 48000).read_bytes()
    for name, depth in (("a.flac", "16"), ("a.ogg", None)):
        audio_format = AudioFormat(name[2:], depth)
        with AudioWriter(folder / name, audio_format, 48000, 2) as writer:
            writer.write(integers(2, 48_000, 16) if depth else signal)
        files[name] = (folder / name).read_bytes()
    return files


def _refusal(path) -> str:
    """The one line that reading `path` fails with."""
    with pytest.raises(AudioReadError) as caught:
        read(path)
    message = str(caught.value)
    assert "\n" not in message and repr(str(path)) in message
    with pytest.raises(AudioReadError):
        probe(path)
    return message


@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.flac", "a.txt"])
def test_an_empty_file_is_called_empty(tmp_path, name):
    (tmp_path / name).touch()
    assert _refusal(tmp_path / name).endswith("is empty")


NO_AUDIO = {
    "text": b"hello\n",
    "byte": b"x",
    "zeros": bytes(20_000),
    "html": b"<html></html>",
    "riff": b"RIFF",
    "id3": b"ID3\x04\0\0\0\0\0\0",
    "ogg": b"OggS",
    "flac": b"fLaC",
    "random": np.random.default_rng(0).bytes(9000),
    "unicode": "ünï".encode() * 999,
}


@pytest.mark.parametrize("content", NO_AUDIO.values(), ids=NO_AUDIO)
@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.flac", "a.m4a", "a.ogg", "noname"])
def test_what_is_no_audio_is_refused(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    _refusal(path)


def test_missing_files_folders_and_forbidden_names_are_told(tmp_path):
    assert _refusal(tmp_path / "none.wav").endswith("does not exist")
    assert "is a folder" in _refusal(tmp_path)
    assert "cannot be opened" in _refusal(tmp_path / ("x" * 300))
    with pytest.raises(AudioReadError, match="cannot be opened"):
        read("a\0b.wav")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_or_device_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    assert "pipe" in _refusal(tmp_path / "pipe.wav")
    with pytest.raises(AudioReadError, match="device"):
        read("/dev/zero")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_a_file_without_rights_is_told(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"x")
    path.chmod(0)
    assert "permission denied" in _refusal(path)


NAMES = [
    *("with space.wav", "naïve ☃ 音.wav", "line\nbreak.wav", "-dash.wav", "%03d.wav", "a:b|c.wav"),
    *("concat:a.wav", "pipe:0", "data:audio.wav", "sub/http:/x.wav", "{s}*?.wav", "a.m3u8"),
    ".wav",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_only_a_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    values = integers(1, 100, 16).astype("i2")
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(wav_bytes(values))
    np.testing.assert_array_equal(read(name)[0] * 2**15, values)


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXTINF:9,x\n{target}\n",
        "ffconcat version 1.0\nfile '{target}'\n",
        "[playlist]\nFile1={target}\nNumberOfEntries=1\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
        "<AdaptationSet><Representation><BaseURL>{target}</BaseURL></Representation>"
        "</AdaptationSet></Period></MPD>",
        "{target}\n",
        "concat:{target}",
    ],
)
@pytest.mark.parametrize("suffix", ["m3u8", "m3u", "pls", "mpd", "sdp", "ffconcat", "txt", "wav"])
def test_a_playlist_is_never_followed(tmp_path, monkeypatch, playlist, suffix):
    monkeypatch.chdir(tmp_path)
    for name in ("real.wav", "real.ts"):
        (tmp_path / name).write_bytes(wav_bytes(integers(2, 4000, 16).astype("i2")))
        for target in (name, str(tmp_path / name), f"file://{tmp_path / name}"):
            path = tmp_path / f"list.{suffix}"
            path.write_text(playlist.format(target=target))
            _refusal(path)


@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.m4a", "a.opus", "a.mka", "a.flac", "a.ogg"])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.97])
def test_a_truncated_file_gives_its_start_or_one_line(tmp_path, originals, name, kept):
    path = tmp_path / name
    whole = originals[name]
    path.write_bytes(whole[: int(len(whole) * kept)])
    try:
        signal, rate = read(path)
    except AudioReadError as error:
        assert "\n" not in str(error)
    else:
        assert rate == 48000 and signal.shape[0] == 2
        assert 0 < signal.shape[1] <= 48_000 + 1024
    if name in ("a.wav", "a.mp3", "a.flac") and kept >= 0.5:
        assert signal.shape[1] >= 48_000 * kept - 8000


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_flipped_bytes_never_break_out(tmp_path, originals, data):
    name = data.draw(st.sampled_from(sorted(originals)))
    broken = bytearray(originals[name])
    for _ in range(data.draw(st.integers(1, 20))):
        reach = data.draw(st.sampled_from([64, 1024, len(broken)]))
        broken[data.draw(st.integers(0, reach - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / name
    path.write_bytes(broken)
    try:
        read(path)
        read_tags(path)
    except AudioReadError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("claimed", [0xFFFFFFFF, 0xFFFFFFF0, 4_000_000_000, 0x7FFFFFFF])
def test_a_header_that_claims_gigabytes_costs_nothing(tmp_path, claimed):
    values = integers(2, 1000, 16).astype("i2")
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(values, claimed=claimed))
    tracemalloc.start()
    try:
        np.testing.assert_array_equal(read(path)[0] * 2**15, values)
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()


def test_a_file_without_samples_is_told(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(np.zeros((2, 0), "i2")))
    assert "holds no sound" in _refusal(path)


def test_a_film_without_sound_is_told(tmp_path):
    import av

    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25, width=32, height=32, pix_fmt="yuv420p")
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))))
        container.mux(stream.encode(None))
    assert "holds no audio stream" in _refusal(path)


def test_nothing_is_printed(tmp_path, originals, capfd):
    for name, whole in originals.items():
        path = tmp_path / name
        for part in (whole[:3000], whole[: len(whole) // 2] + bytes(500) + whole[-9000:]):
            path.write_bytes(part)
            try:
                read(path)
                read_tags(path)
            except AudioReadError:
                pass
    assert capfd.readouterr() == ("", "")


def test_a_long_file_is_read_fast_and_in_little_memory(tmp_path):
    path = tmp_path / "long.wav"
    path.write_bytes(wav_bytes(np.zeros((2, 48000 * 60), "i2"), rate=48000))
    tracemalloc.start()
    start = time.process_time()
    samples = sum(block.shape[1] for block in read_blocks(path))
    elapsed_s = time.process_time() - start
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert samples == 48000 * 60
    assert peak_bytes < 4_000_000
    assert elapsed_s < 6, "a minute of wav takes more than a tenth of its length of CPU time"
