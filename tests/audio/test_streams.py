"""Files with several audio streams, and videos whose sound starts late."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from sounds import wav_bytes

from unbraid.audio.files import probe, read, read_blocks
from unbraid.errors import AudioReadError

RATE = 8000
NONE, DEFAULT = Disposition(0), Disposition.default


def several(
    path: Path,
    levels: list[int],
    marks: list[Disposition],
    names: list[str] | None = None,
    muxer: str = "matroska",
    lengths: list[int] | None = None,
) -> Path:
    """Streams of constant level, 16 bit; a higher level has a higher bit rate."""
    with av.open(str(path), "w", format=muxer) as container:
        streams = []
        for number, mark in enumerate(marks):
            rate = RATE * (1 + number)  # the last has the highest bit rate
            stream = container.add_stream("pcm_s16le", rate=rate, layout="mono")
            stream.disposition = mark
            if names:
                stream.metadata["title"] = names[number]
            streams.append((stream, rate))
        for (stream, rate), level, length in zip(
            streams, levels, lengths or [4000] * len(levels), strict=True
        ):
            if length:
                frame = av.AudioFrame("s16", "mono", length)
                frame.planes[0].update(np.full(length, level, np.int16))
                frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
                container.mux(stream.encode(frame))
    return path


def level(path: Path, **chosen: int) -> int:
    return round(float(read(path, **chosen)[0][0, 100]) * 2**15)


@pytest.mark.parametrize(
    ("marks", "taken"),
    [
        ([DEFAULT, DEFAULT, DEFAULT], 1),
        ([NONE, NONE, NONE], 1),
        ([NONE, DEFAULT, NONE], 2),
        ([NONE, DEFAULT, DEFAULT], 2),
        ([DEFAULT, NONE, NONE], 1),
        ([Disposition.visual_impaired, NONE, NONE], 2),
    ],
)
def test_the_stream_that_players_take_is_read(tmp_path, marks, taken):
    path = several(tmp_path / "a.mkv", [100, 200, 300], marks)
    assert level(path) == 100 * taken
    info = probe(path)
    assert (info.stream, len(info.stream_names)) == (taken, 3)


@pytest.mark.parametrize(("name", "muxer"), [("a.mkv", "matroska"), ("a.mov", "mov")])
def test_any_stream_can_be_chosen_by_its_number(tmp_path, name, muxer):
    path = several(tmp_path / name, [100, 200], [DEFAULT, NONE], muxer=muxer)
    for number in (1, 2):
        info = probe(path, stream=number)
        assert level(path, stream=number) == 100 * number
        assert (info.stream, info.sample_rate) == (number, RATE * number)
        assert sum(b.shape[1] for b in read_blocks(path, stream=number)) == 4000


@pytest.mark.parametrize("number", [0, 3, -1])
def test_a_number_beyond_the_streams_is_told(tmp_path, number):
    path = several(tmp_path / "a.mkv", [1, 2], [NONE, NONE])
    with pytest.raises(AudioReadError, match=f"2 audio streams, no number {number}"):
        read(path, stream=number)


def test_streams_are_named_by_title_or_language(tmp_path):
    path = several(tmp_path / "a.mkv", [1, 2], [NONE, NONE], ["Mix\x07", "Drums"])
    assert probe(path).stream_names == ("Mix", "Drums")


def test_an_empty_stream_gives_way_to_one_with_sound_unless_it_was_chosen(tmp_path):
    path = several(tmp_path / "a.mkv", [100, 200], [DEFAULT, NONE], lengths=[0, 4000])
    assert level(path) == 200
    with pytest.raises(AudioReadError, match="holds no sound"):
        read(path, stream=1)


def film(path: Path, late_s: float, muxer: str = "matroska", picture_s: float = 0.0) -> Path:
    """A video of one second whose sound, of level 1000, starts late."""
    with av.open(str(path), "w", format=muxer) as container:
        video = container.add_stream("mpeg4", rate=25, width=16, height=16, pix_fmt="yuv420p")
        audio = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for number in range(25):
            picture = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8))
            picture.pts = number + round(picture_s * 25)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        frame = av.AudioFrame("s16", "mono", 4000)
        frame.planes[0].update(np.full(4000, 1000, np.int16))
        frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
        frame.pts = round(late_s * RATE)
        container.mux(audio.encode(frame))
    return path


@pytest.mark.parametrize(("name", "muxer"), [("a.mkv", "matroska"), ("a.mov", "mov")])
def test_sound_that_starts_late_keeps_its_place_in_the_video(tmp_path, name, muxer):
    path = film(tmp_path / name, 0.5, muxer)
    signal, _ = read(path)
    info = probe(path)
    assert info.delay_s == pytest.approx(0.5, abs=0.002)
    silent = round(info.delay_s * RATE)
    assert signal.shape == (1, silent + 4000)
    assert not signal[:, :silent].any() and signal[:, silent:].all()
    assert info.duration_s >= 0.99


@pytest.mark.parametrize(("late_s", "picture_s"), [(0.0, 0.0), (0.0, 0.4), (0.4, 0.4)])
def test_sound_that_is_not_late_gets_no_silence(tmp_path, late_s, picture_s):
    path = film(tmp_path / "a.mkv", late_s, picture_s=picture_s)
    assert probe(path).delay_s == 0 and read(path)[0].shape == (1, 4000)


def test_a_delay_of_days_is_not_believed(tmp_path):
    assert read(film(tmp_path / "a.mkv", 200_000.0))[0].shape == (1, 4000)


@pytest.mark.parametrize("rate", [1, 100, 999])
def test_a_rate_that_no_recording_has_is_refused(tmp_path, rate):
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(np.ones((2, 500), "i2"), rate=rate))
    with pytest.raises(AudioReadError, match=f"{rate} Hz; unbraid takes 1000 to"):
        read(path)
