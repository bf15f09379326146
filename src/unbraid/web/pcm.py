"""Sound for the mixer: any stretch of any part, exact to the sample, without decoding the rest.

Parts in wav and flac are read where they are. Of the uploaded song, and of parts in lossy formats,
they are copied to 16-bit FLAC, which can be read from any sample.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import soundfile

from unbraid.atomic import write_text
from unbraid.audio.signal import recut
from unbraid.closing import Closing
from unbraid.tracks.spool import SpoolView

ORIGINAL = "original"
_VIEW = "listen.json"
MOST_SECONDS = 30.0
_STEPS = 32768.0
_BLOCK = 1 << 16
_FLAC_CHANNELS, _FLAC_RATE = 8, 192_000


class ListeningCopy(Closing):
    """A 16-bit copy of a sound, being written; a context manager.

    Args:
        folder: made if need be.
        part: its name.
        sample_rate: Hz.
        channels: of every block.
    """

    def __init__(self, folder: Path, part: str, sample_rate: int, channels: int) -> None:
        folder.mkdir(exist_ok=True)
        fits = channels <= _FLAC_CHANNELS and sample_rate <= _FLAC_RATE
        kind, suffix = ("FLAC", "flac") if fits else ("RF64", "wav")
        self._file = soundfile.SoundFile(
            folder / f"{part}.{suffix}", "w", sample_rate, channels, "PCM_16", format=kind
        )

    def close(self) -> None:
        """Finish the file."""
        self._file.close()

    def write(self, block: np.ndarray) -> None:
        """Append a block, float (channels, samples)."""
        self._file.write(_to_int16(block.T))


def find_part(song: Path, part: str) -> Path | None:
    """The file that holds a part so that it can be read from anywhere; None if there is none yet.

    Args:
        song: folder of the song.
        part: a name that the song is known to have.
    """
    for folder in ("listen", "stems"):
        for suffix in ("flac", "wav"):
            path = song / folder / f"{part}.{suffix}"
            if path.is_file():
                return path
    return None


def read_samples(path: Path, start: int, count: int) -> tuple[np.ndarray, int]:
    """Samples as int16 (samples, channels), and their rate; fewer at the end of the sound."""
    with soundfile.SoundFile(path) as file:
        start = min(start, file.frames)
        file.seek(start)
        signal = file.read(min(count, file.frames - start), "float32", always_2d=True)
        return _to_int16(signal), file.samplerate


def publish_view(song: Path, view: SpoolView) -> None:
    """Let the server listen to the stems of a song while they are separated."""
    write_text(song / _VIEW, json.dumps(asdict(view)))


def end_view(song: Path) -> None:
    """Forget the view of a song that is done."""
    (song / _VIEW).unlink(missing_ok=True)


def read_unfinished(
    song: Path, part: str, stems: Sequence[str], channels: int, start: int, count: int
) -> np.ndarray | None:
    """Samples of a part that is still being separated, int16 (samples, channels).

    The gain that all stems may get in the end is not known yet, and left out.

    Args:
        part: one of `stems`, or what they leave of the song.
        stems: those that are separated, in their order.
        channels: of the song.
    Returns:
        as many samples as there are by now; None if nothing is being separated any more.
    """
    view, original = _view(song), find_part(song, ORIGINAL)
    if view is None or original is None or (view.stems, view.channels) != (tuple(stems), channels):
        return None
    found = view.read(start, count)
    if found is None:
        return None
    if part in stems:
        return _to_int16(found[stems.index(part)].T)
    whole, _ = read_samples(original, start, found.shape[-1])
    left = whole.astype(np.float32) / np.float32(_STEPS) - found[..., : len(whole)].sum(axis=0).T
    return _to_int16(left)


def _view(song: Path) -> SpoolView | None:
    try:
        facts = json.loads((song / _VIEW).read_text(encoding="utf-8"))
        return SpoolView(**{**facts, "stems": tuple(facts["stems"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def read_part(path: Path) -> Iterator[np.ndarray]:
    """All of a part in blocks, float32 (channels, 65,536 samples)."""
    with soundfile.SoundFile(path) as file:
        channels = file.channels
        blocks = (block.T for block in file.blocks(_BLOCK, dtype="float32", always_2d=True))
        yield from recut(blocks, channels, _BLOCK)


def as_wav(samples: np.ndarray, sample_rate: int) -> bytes:
    """A 16-bit wav file of (samples, channels) int16.

    >>> len(as_wav(np.zeros((3, 2), np.int16), 44100))
    56
    """
    channels = samples.shape[1]
    data = samples.astype("<i2").tobytes()
    size = 2 * channels
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16),
        *(1, channels, sample_rate, sample_rate * size, size, 16),
        *(b"data", len(data)),
    )
    return head + data


def copy_part(
    blocks: Iterable[np.ndarray], folder: Path, part: str, sample_rate: int, channels: int
) -> Iterator[np.ndarray]:
    """Pass blocks on, and write a listening copy of them on the way."""
    with ListeningCopy(folder, part, sample_rate, channels) as copy:
        for block in blocks:
            copy.write(block)
            yield block


def _to_int16(signal: np.ndarray) -> np.ndarray:
    samples = np.rint(signal * np.float32(_STEPS))
    integers: np.ndarray = np.clip(samples, -_STEPS, _STEPS - 1).astype(np.int16)
    return integers
