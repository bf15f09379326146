"""A process of its own in which an uploaded file is decoded for the first time.

Decoders are large and files may be hostile, so this process may take only so much memory and time,
holds no secrets, and nothing but its song ends with it. The worker starts it with a `ReadRequest`
on stdin; it answers on stdout with `ReadProgress`, then `Learned` or `Refused`.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from unbraid.audio.container import shown
from unbraid.audio.files import AudioInfo, probe, read_blocks
from unbraid.audio.loudness import LoudnessMeter
from unbraid.audio.resample import resample_blocks
from unbraid.audio.tags import Tags, read_tags
from unbraid.audio.write import AudioFormat, AudioWriter
from unbraid.errors import AudioError, UnbraidError
from unbraid.music.facts import key_of, tempo_bpm
from unbraid.tracks.settings import OutputSettings
from unbraid.tracks.source_format import choose_format, choose_rate
from unbraid.web.covers import keep_cover
from unbraid.web.messages import (
    Learned,
    Message,
    ReadProgress,
    ReadRequest,
    Refused,
    SongFacts,
    from_line,
    to_line,
)
from unbraid.web.pcm import ORIGINAL, copy_part, find_part, read_samples
from unbraid.web.peaks import PeakMeter, write_peaks
from unbraid.web.shown import shown_text

_ENERGY_S = 0.5
_MUSIC_S = 120
_MIDDLE = 0.7  # the loudest moment is looked for in this much of the song
_DISK_EVERY = 64


def read_song(request: ReadRequest) -> SongFacts:
    """Decode the song once, within its limits, and learn what the mixer and the queue need.

    Leaves a listening copy and peaks in the song's folder, and the excerpt of a preview.

    Returns:
        what is known of the song now.
    Raises:
        AudioError: if the file has no sound, is too long, or the disk is full.
    """
    path, song = Path(request.path), Path(request.song)
    info = probe(path)
    if info.duration_s is not None and info.duration_s > request.most_s * 1.05 + 1:
        raise AudioError(_too_long(info.duration_s, request.most_s))
    output = OutputSettings(format=request.format, bit_depth=request.bit_depth)
    chosen = choose_format(output, info)
    rate = choose_rate(output, info.sample_rate, info.sample_rate, chosen)
    tags = read_tags(path)
    facts = replace(_tagged(tags), bit_depth=chosen.depth, has_cover=keep_cover(tags, song))
    source = path
    if request.preview_s is not None:
        source = song / "excerpt.wav"
        start, whole = _cut_excerpt(request, info, source, tags)
        facts = replace(
            facts,
            preview_start_s=start / info.sample_rate,
            seconds_whole=whole / info.sample_rate,
        )
        info = probe(source)
    peaks, meter = PeakMeter(), LoudnessMeter(rate, info.channels)
    blocks = resample_blocks(
        _read(source, request, info), info.sample_rate, rate, info.channels
    )  # fmt: skip
    for block in copy_part(blocks, song / "listen", ORIGINAL, rate, info.channels):
        peaks.push(block)
        meter.push(block)
    if peaks.samples == 0:
        raise AudioError(f"{shown(path)} holds no sound")
    write_peaks(song / "peaks.json", rate, {ORIGINAL: peaks})
    loudness = meter.loudness_lufs()
    return replace(
        facts.with_more(_music(song, peaks.samples, rate)),
        samples=peaks.samples,
        seconds_audio=peaks.samples / rate,
        sample_rate=rate,
        channels=info.channels,
        loudness_lufs=round(loudness, 1) if math.isfinite(loudness) else None,
    )


def _read(path: Path, request: ReadRequest, info: AudioInfo) -> Iterator[np.ndarray]:
    """Blocks of the file, until it turns out to be too long or the disk too full."""
    most = int(request.most_s * info.sample_rate)
    samples, told = 0, 0.0
    for index, block in enumerate(read_blocks(path)):
        samples += block.shape[1]
        if samples > most:
            raise AudioError(_too_long(None, request.most_s))
        if index % _DISK_EVERY == 0 and _free(path) < request.free_bytes:
            raise AudioError("There is too little free disk space for this song")
        if block.shape[0] != info.channels:
            raise AudioError(f"{shown(path)} changes its number of channels midway")
        if info.duration_s and time.monotonic() - told > 0.25:
            told = time.monotonic()
            _tell(ReadProgress(min(1.0, samples / info.sample_rate / info.duration_s)))
        yield np.nan_to_num(block, nan=0.0, posinf=1.0, neginf=-1.0)


def _tagged(tags: Tags) -> SongFacts:
    title, artist, album = (shown_text(tags.text.get(n, "")) for n in ("title", "artist", "album"))
    return SongFacts(title=title or None, artist=artist or None, album=album or None)


def _cut_excerpt(
    request: ReadRequest, info: AudioInfo, target: Path, tags: Tags
) -> tuple[int, int]:
    """Write the loudest stretch of the middle of the song; returns its start, and all samples."""
    step = max(1, round(_ENERGY_S * info.sample_rate))
    energies, rest, samples = [], np.empty(0), 0
    for block in _read(Path(request.path), request, info):
        samples += block.shape[1]
        power = np.concatenate([rest, np.square(block, dtype=np.float64).sum(axis=0)])
        whole = len(power) // step * step
        energies.append(power[:whole].reshape(-1, step).sum(axis=1))
        rest = power[whole:]
    count = min(samples, round((request.preview_s or 0) * info.sample_rate))
    start = loudest_start(np.concatenate([np.empty(0), *energies]), step, samples, count)
    writer = AudioWriter(
        target, AudioFormat("wav", "32f"), info.sample_rate, info.channels,
        tags=tags, channel_names=info.channel_names,
    )  # fmt: skip
    at = 0
    with writer:
        for block in read_blocks(request.path):
            writer.write(block[:, max(0, start - at) : max(0, start + count - at)])
            at += block.shape[1]
            if at >= start + count:
                break
    return start, samples


def loudest_start(energies: np.ndarray, step: int, samples: int, count: int) -> int:
    """Where the `count` samples of most energy begin, in the middle part of a song.

    Args:
        energies: of each `step` samples of the song, (n,).

    >>> loudest_start(np.array([9.0, 0, 0, 0, 1, 2, 0, 0, 0, 9]), 10, 100, 20)
    40
    """
    span = max(1, count // step)
    if samples <= count or len(energies) <= span:
        return 0
    sums = np.convolve(energies, np.ones(span), "valid")
    margin = int(len(sums) * (1 - _MIDDLE) / 2)
    middle = sums[margin : len(sums) - margin]
    return min((margin + int(np.argmax(middle))) * step, samples - count)


def _music(song: Path, samples: int, sample_rate: int) -> SongFacts:
    """Tempo and key, from the middle minutes of the song."""
    path = find_part(song, ORIGINAL)
    if path is None:
        return SongFacts()
    count = min(samples, _MUSIC_S * sample_rate)
    signal, _ = read_samples(path, (samples - count) // 2, count)
    mono = signal.mean(axis=1, dtype=np.float32) / np.float32(32768)
    with contextlib.suppress(ValueError, FloatingPointError, IndexError):
        return SongFacts(tempo_bpm=tempo_bpm(mono, sample_rate), key=key_of(mono, sample_rate))
    return SongFacts()


def _too_long(seconds: float | None, most_s: float) -> str:
    length = f"{_minutes(seconds)} long" if seconds is not None else "too long"
    return f"This song is {length}; this server takes songs of up to {_minutes(most_s)}"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"


def _free(path: Path) -> int:
    return shutil.disk_usage(path.parent).free


def _tell(message: Message) -> None:
    try:
        print(to_line(message), end="", flush=True)
    except BrokenPipeError:  # the worker has ended
        os._exit(1)


def _bound(request: ReadRequest) -> None:
    """Let the kernel end this process when it takes more than it may."""
    try:
        import resource
    except ImportError:  # Windows; there the worker's clock has to do
        return
    for kind, most in (
        (resource.RLIMIT_AS, request.most_bytes),
        (resource.RLIMIT_CPU, math.ceil(request.most_cpu_s)),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, most))


def plain_sentence(error: BaseException, path: Path) -> str:
    """An error in words that do not mention our paths, as one sentence.

    >>> plain_sentence(AudioError("'/d/o.mp3' is empty"), Path("/d/o.mp3"))
    'This file is empty.'
    """
    text = str(error).replace(shown(path), "this file").replace(str(path.parent), "…")
    return text[:1].upper() + text[1:400].rstrip(".") + "."


def _end_with_the_worker() -> None:
    """The worker keeps our stdin open as long as it lives."""
    sys.stdin.read()
    os._exit(1)


def main() -> int:
    """Read one request from stdin, and answer it."""
    request = from_line(sys.stdin.readline())
    assert isinstance(request, ReadRequest)
    _bound(request)
    threading.Thread(target=_end_with_the_worker, daemon=True).start()
    try:
        _tell(Learned(read_song(request)))
    except UnbraidError as error:
        _tell(Refused(plain_sentence(error, Path(request.path))))
    except MemoryError:
        _tell(Refused("This file needs more memory than this server allows for a song."))
    except OSError as error:
        _tell(Refused(f"This song cannot be stored: {(error.strerror or 'disk error').lower()}."))
    return 0


if __name__ == "__main__":
    sys.exit(main())
