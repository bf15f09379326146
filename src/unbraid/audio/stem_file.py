"""Stem files (`.stem.mp4`) as DJ software opens them: the mixture and its four stems in one file.

    ftyp | mdat | moov ─┬─ five audio tracks: the mixture, which players take; four disabled ones
                        └─ udta ─┬─ meta: tags and cover
                                 └─ stem: names and colours of the stems, as JSON

The format is the one that Native Instruments published as "Stems". Its JSON also has settings of a
compressor and a limiter that players apply to the sum of the stems; here both are switched off.
"""

from __future__ import annotations

import heapq
import json
import struct
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition

from unbraid.audio.container import open_container, shown
from unbraid.audio.muxer import Sink, open_output, start
from unbraid.audio.tags import Tags
from unbraid.errors import AudioReadError, AudioWriteError

STEMS = 4
"""A stem file has exactly so many, besides the mixture."""
SAMPLE_RATES = (44_100, 48_000)

_COLOURS = ("#009E73", "#D55E00", "#CC79A7", "#56B4E9")  # distinct also to colour-blind eyes
_COMPRESSOR = {
    "enabled": False,
    "input_gain": 0.0,
    "output_gain": 0.0,
    "threshold": 0.0,
    "ratio": 1.0,
    "attack": 0.003,
    "release": 0.3,
    "hp_cutoff": 20,
    "dry_wet": 100,
}
_LIMITER = {"enabled": False, "threshold": 0.0, "ceiling": 0.0, "release": 0.05}
_HEADER = 8  # bytes: size and kind of a box
_MOST_BYTES = 1 << 20  # of the JSON; real ones have some hundred


@dataclass(frozen=True)
class StemLabel:
    """How players show a stem.

    Attributes:
        name: such as "Drums".
        colour: "#RRGGBB".
    """

    name: str
    colour: str


def stem_labels(stems: Sequence[str]) -> tuple[StemLabel, ...]:
    """Labels for four stems.

    >>> stem_labels(("drums", "bass", "other", "vocals"))[0]
    StemLabel(name='Drums', colour='#009E73')
    """
    named = zip(stems, _COLOURS, strict=True)
    return tuple(StemLabel(stem.replace("_", " ").capitalize(), colour) for stem, colour in named)


def write_stem_file(
    path: Path, mixture: Path, stems: Sequence[Path], labels: Sequence[StemLabel], tags: Tags
) -> None:
    """Put five m4a files, all AAC or all ALAC, into one stem file; their sound is copied as it is.

    Args:
        path: where to write; an existing file is replaced.
        mixture: m4a of the song.
        stems: m4a of each stem, as long as the song.
        labels: of each stem.
        tags: text and cover.
    Raises:
        AudioWriteError: unless there are four stems, or if the file cannot be written.
    """
    if len(stems) != STEMS or len(labels) != STEMS:
        raise AudioWriteError(f"a stem file has {STEMS} stems, got {len(stems)}")
    try:
        with path.open("w+b", buffering=0) as file:
            sink = Sink(file)
            _mux(sink, [mixture, *stems], ["Mixture", *(label.name for label in labels)], tags)
            if sink.error is not None:
                raise sink.error
            _add_stem_box(file, _stem_box(labels))
    except OSError as error:  # FFmpeg's errors among them
        path.unlink(missing_ok=True)
        reason = (error.strerror or str(error)).lower()
        raise AudioWriteError(f"{shown(path)} cannot be written: {reason}") from error


def read_stem_labels(path: Path) -> tuple[StemLabel, ...] | None:
    """The labels in a stem file; None if the file has none.

    Raises:
        AudioReadError: if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            box = _find(file, 0, path.stat().st_size, (b"moov", b"udta", b"stem"))
            if box is None or box[1] - box[0] > _MOST_BYTES:
                return None
            file.seek(box[0])
            content = json.loads(file.read(box[1] - box[0]))
        return tuple(StemLabel(str(s["name"]), str(s["color"])) for s in content["stems"])
    except OSError as error:
        raise AudioReadError(f"{shown(path)} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError):
        return None


def _mux(sink: Sink, files: Sequence[Path], titles: Sequence[str], tags: Tags) -> None:
    with ExitStack() as stack:
        inputs: list[AudioStream] = []
        for file in files:
            container, source = open_container(file)
            stack.callback(source.close)
            stack.enter_context(container)
            inputs.append(container.streams.audio[0])
        rate = inputs[0].codec_context.sample_rate
        # Edit lists count in this; the default, milliseconds, would cut the end of the sound.
        options = {"movie_timescale": str(rate), "brand": "M4A "}
        output = stack.enter_context(open_output(sink, "mp4", options))
        streams: list[AudioStream] = []
        for stream, title in zip(inputs, titles, strict=True):
            added = output.add_stream_from_template(stream)
            assert isinstance(added, AudioStream)
            added.metadata["handler_name"] = title
            # Players take what is marked as default; FFmpeg disables the other tracks.
            added.disposition = Disposition(0) if streams else Disposition.default
            streams.append(added)
        start(output, streams[0], tags)
        for index, packet in _interleaved(inputs):
            packet.stream = streams[index]
            output.mux(packet)


def _interleaved(inputs: Sequence[AudioStream]) -> Iterator[tuple[int, av.Packet[AudioStream]]]:
    """The packets of all files in the order of their times, with the number of their file."""

    def packets(
        index: int, stream: AudioStream
    ) -> Iterator[tuple[int, int, av.Packet[AudioStream]]]:
        container = cast(InputContainer, stream.container)
        for packet in container.demux(stream):
            if packet.dts is not None:  # the last one only says that there are no more
                yield packet.dts, index, packet

    ordered = heapq.merge(
        *(packets(index, stream) for index, stream in enumerate(inputs)), key=lambda p: p[:2]
    )
    for _, index, packet in ordered:
        yield index, packet


def _stem_box(labels: Sequence[StemLabel]) -> bytes:
    content = {
        "version": 1,
        "mastering_dsp": {"compressor": _COMPRESSOR, "limiter": _LIMITER},
        "stems": [{"name": label.name, "color": label.colour} for label in labels],
    }
    return _box(b"stem", json.dumps(content, ensure_ascii=False).encode())


def _add_stem_box(file: BinaryIO, stem: bytes) -> None:
    """Put a box into `moov/udta` of an mp4 file whose last box is `moov`."""
    size = file.seek(0, 2)
    begin, end = _find(file, 0, size, (b"moov",)) or (0, 0)
    if end != size:  # else what follows would move, and the places of the sound with it
        raise OSError("the file has no moov box at its end")
    file.seek(begin)
    moov = file.read(end - begin)
    udta = _find(file, begin, end, (b"udta",))
    if udta is None:
        moov += _box(b"udta", stem)
    else:
        first, last = udta[0] - begin, udta[1] - begin
        udta_box = _box(b"udta", moov[first:last] + stem)
        moov = moov[: first - _HEADER] + udta_box + moov[last:]
    file.seek(begin - _HEADER)
    rest = memoryview(_box(b"moov", moov))
    while rest:  # an unbuffered file may take less than all
        rest = rest[file.write(rest) :]


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", _HEADER + len(content), kind) + content


def _find(file: BinaryIO, begin: int, end: int, path: Sequence[bytes]) -> tuple[int, int] | None:
    """Where the content of a box begins and ends, by the kinds of the boxes around it and its own.

    Args:
        begin, end: where to look.
    """
    while begin + _HEADER <= end:
        file.seek(begin)
        size, kind = struct.unpack(">I4s", file.read(_HEADER))
        header = _HEADER
        if size == 1:  # a size of 64 bits follows
            (size,) = struct.unpack(">Q", file.read(8))
            header += 8
        elif size == 0:
            size = end - begin
        if size < header or begin + size > end:
            return None
        if kind == path[0]:
            inside = begin + header, begin + size
            return inside if len(path) == 1 else _find(file, *inside, path[1:])
        begin += size
    return None
