"""Recorded songs among the ingredients: files placed in time, summed to stems, at 44.1 kHz.

`songs/songs.json` has, for each title: `role` (train or valid), `duration`, `mix_gain`, `has_bass`,
and `files` with `class` (drums, bass, other, vocals), `sr`, `gain`, `low200` (share of its energy
below 200 Hz), `bandlimited`, and `segments` [start in file, start in song, length] in samples of
the file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import soxr
from av.audio.frame import AudioFrame

from unbraid.audio.container import shown
from unbraid.errors import AudioReadError, SettingsError
from unbraid.songs.effects import RATE, butter
from unbraid.songs.song import STEMS

SONGS_RATE = 48_000
_FRAME = 1024  # samples of an AAC packet
_BASS_SHARE, _BASS_HZ = 0.5, 150.0
_LINE_SHARE, _LINE_ACTIVE = 0.3, 0.1
CROSSOVERS_HZ = (150, 250, 500)
"""Where the low register of a recorded synthesizer is cut off."""


@dataclass(frozen=True)
class Multitrack:
    """A recorded song.

    Attributes:
        title: its name.
        folder: where songs.json lies.
        facts: what songs.json says of it.
    """

    title: str
    folder: Path
    facts: dict[str, Any]

    @property
    def is_valid(self) -> bool:
        """Whether it is meant for validation."""
        return bool(self.facts.get("role") == "valid")

    @property
    def is_dull(self) -> bool:
        """Whether most of its files have no treble: they would teach that vocals have none."""
        dull = [bool(file.get("bandlimited")) for file in self.facts["files"]]
        return sum(dull) > len(dull) / 2

    @property
    def credit(self) -> str:
        """Licence and credit."""
        facts = self.facts
        return f"{facts['licence']}: {facts['artist']}, {facts['album']}"


def find_multitracks(folder: Path) -> list[Multitrack]:
    """The songs below `folder`, with its songs.json; in the order of that file, none if there is
    no such file.

    Raises:
        SettingsError: if the file cannot be understood.
    """
    path = folder / "songs.json"
    if not path.exists():
        return []
    try:
        songs = json.loads(path.read_text(encoding="utf-8"))["songs"]
        found = [Multitrack(title, folder, facts) for title, facts in songs.items()]
        for song in found:
            _ = song.credit, song.facts["duration"], song.facts["mix_gain"], song.facts["files"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(f"{shown(path)} cannot be understood: {error!r}") from error
    return found


def multitrack_stems(song: Multitrack, *, basses_apart: bool = False) -> dict[str, np.ndarray]:
    """The four stems of a song, (samples, 2) at 44.1 kHz, with its mix gain on.

    Args:
        song: the song.
        basses_apart: if it has no bass stem, take the lowest octaves out of files that are mostly
            bass but are classed "other", so that no model learns to call a bass "other".
    Raises:
        AudioReadError: if a file is missing or not what songs.json says.
    """
    length = round(song.facts["duration"] * SONGS_RATE)
    sums = {stem: np.zeros((length, 2), np.float32) for stem in STEMS}
    for entry in song.facts["files"]:
        path = song.folder / entry["file"]
        audio, rate = decode_untrimmed(path)
        if rate != entry["sr"]:
            raise AudioReadError(f"{shown(path)} has {rate} Hz, songs.json says {entry['sr']}")
        placed = place(audio * entry["gain"], entry["segments"], length * rate // SONGS_RATE)
        if rate != SONGS_RATE:
            placed = soxr.resample(placed, rate, SONGS_RATE, quality="VHQ")
        low = entry["class"] == "other" and entry.get("low200", 0.0) > _BASS_SHARE
        if basses_apart and low and not song.facts.get("has_bass", True):
            placed = butter(placed, _BASS_HZ * RATE / SONGS_RATE, "high", 4)
        count = min(length, len(placed))
        sums[entry["class"]][:count] += placed[:count]
    return {
        stem: soxr.resample(audio, SONGS_RATE, RATE, quality="VHQ") * song.facts["mix_gain"]
        for stem, audio in sums.items()
    }


def fitted(stems: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Stems (samples, 2) with one gain, at most 1: they and their sum stay below full scale."""
    peak = float(np.abs(sum(stems.values())).max())
    gain = np.float32(min(1.0, 0.99 / max(peak, *(np.abs(s).max() for s in stems.values()))))
    return {stem: audio * gain for stem, audio in stems.items()}


def low_line(song: Multitrack) -> Multitrack | None:
    """The song with only its bass lines: files classed "other" with a bass in their low register.

    Such a line becomes a bass stem below `CROSSOVERS_HZ`: recorded basses are rare.
    """
    files = [
        file
        for file in song.facts["files"]
        if file["class"] == "other"
        and file.get("low200", 0.0) > _LINE_SHARE
        and file.get("active", 0.0) > _LINE_ACTIVE
    ]
    return replace(song, facts={**song.facts, "files": files}) if files else None


def low_register(song: Multitrack, cutoff_hz: float) -> np.ndarray:
    """What a song holds below a frequency, as a bass, (samples, 2) with a peak of 0.95.

    Raises:
        AudioReadError: as `multitrack_stems`.
    """
    audio = sum(multitrack_stems(song).values(), start=np.zeros((1, 2), np.float32))
    low = butter(butter(audio, cutoff_hz, "low", 2)[::-1], cutoff_hz, "low", 2)[::-1]
    scaled: np.ndarray = low * np.float32(0.95 / max(1e-6, float(np.abs(low).max())))
    return scaled


def decode_untrimmed(path: Path) -> tuple[np.ndarray, int]:
    """All of one AAC file as float32 (samples, 2) and its rate, priming samples included.

    Frame k of the result is samples k * 1024 of the stream; a decoder that skipped some would shift
    a stem without a word, so the length is checked against the number of packets.

    Raises:
        AudioReadError: if it cannot be read, or samples are missing.
    """
    packets = 0
    blocks: list[np.ndarray] = []
    try:
        with av.open(str(path), options={"ignore_editlist": "1"}) as container:
            stream = container.streams.audio[0]
            stream.codec_context.options = {"flags2": "+skip_manual"}
            for packet in container.demux(stream):
                packets += packet.size > 0
                for frame in packet.decode():
                    assert isinstance(frame, AudioFrame)
                    blocks.append(frame.to_ndarray().astype(np.float32))
            rate = stream.sample_rate
        audio = np.concatenate(blocks, axis=-1).T
    except (av.FFmpegError, OSError, IndexError, ValueError) as error:
        raise AudioReadError(f"{shown(path)} cannot be read: {error}") from error
    if len(audio) != packets * _FRAME:
        raise AudioReadError(
            f"{shown(path)}: {packets} packets of {_FRAME} decoded to {len(audio)} samples"
        )
    return (np.repeat(audio, 2, axis=1) if audio.shape[1] == 1 else audio), rate


def place(audio: np.ndarray, segments: list[list[int]], length: int) -> np.ndarray:
    """Zeros of (length, 2) with each [start in file, start in song, count] copied in."""
    placed = np.zeros((length, 2), np.float32)
    for source, target, count in segments:
        skip = max(0, -target)
        piece = audio[source + skip : source + count]
        piece = piece[: max(0, length - target - skip)]
        placed[target + skip : target + skip + len(piece)] += piece
    return placed
