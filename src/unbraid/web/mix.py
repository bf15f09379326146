"""The mix that a listener has chosen, rendered as a file."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
import soundfile

from unbraid.audio.formats import AudioFormat
from unbraid.audio.levels import full_scale, quantize
from unbraid.audio.resample import resample_blocks
from unbraid.audio.tags import Tags
from unbraid.audio.write import AudioWriter
from unbraid.web.clicks import Clicks
from unbraid.web.pcm import read_part
from unbraid.web.refusals import Refusal

MOST_GAIN = 4.0


def parse_gains(text: str, parts: Collection[str]) -> dict[str, float]:
    """Part to gain, from a text such as "drums:1,bass:0.5"; parts not named are left out.

    Raises:
        Refusal: 422 for a part that is not there, a gain that cannot be, or no part at all.

    >>> parse_gains("drums:1,bass:0.5", ["drums", "bass"])
    {'drums': 1.0, 'bass': 0.5}
    """
    gains: dict[str, float] = {}
    for entry in text.split(",") if len(text) < 2000 else []:
        name, colon, number = entry.strip().rpartition(":")
        try:
            gain = float(number) if colon and len(number) < 20 else math.nan
        except ValueError:
            gain = math.nan
        if name not in parts or not 0 <= gain <= MOST_GAIN:
            raise _bad_gains(parts)
        gains[name] = gain
    if not any(gains.values()):
        raise _bad_gains(parts)
    return gains


def render_mix(
    files: Mapping[Path, float],
    target: Path,
    format: str,
    depth: str | None,
    tags: Tags | None = None,
    clicks: Clicks | None = None,
) -> None:
    """Add parts up, each with its gain, into one file in constant memory.

    A mix beyond full scale is brought down as a whole.

    Args:
        files: part's file, as `find_part` gives it, to its gain.
        target: the file to write.
        format: its kind.
        depth: of the parts; lossless mixes have at least 24 bits where they had more than 16.
        tags: of the song.
        clicks: a metronome to add.
    """
    with soundfile.SoundFile(next(iter(files))) as first:
        rate, channels = first.samplerate, first.channels
    lossless = format in ("wav", "flac")
    chosen = AudioFormat(format, ("16" if depth == "16" else "24") if lossless else None)
    ceiling = full_scale(chosen.bits) if chosen.bits else 1.0
    peak = max((float(np.abs(block).max()) for block in _blocks(files, rate, clicks)), default=0.0)
    scale = np.float32(min(1.0, ceiling / peak) if peak > 0 else 1.0)
    written = chosen.supported_rate(rate)
    dither = np.random.default_rng(0)
    with AudioWriter(target, chosen, written, channels, tags=tags) as writer:
        scaled = (block * scale for block in _blocks(files, rate, clicks))
        for block in resample_blocks(scaled, rate, written, channels):
            whole = quantize(block, chosen.bits, dither) if chosen.bits else block
            writer.write(whole)


def _blocks(files: Mapping[Path, float], rate: int, clicks: Clicks | None) -> Iterator[np.ndarray]:
    blocks = _sums(files)
    return blocks if clicks is None else clicks.add_to(blocks, rate)


def _sums(files: Mapping[Path, float]) -> Iterator[np.ndarray]:
    parts = [read_part(path) for path in files]
    for blocks in zip(*parts, strict=False):  # lossy parts may end some samples apart
        length = min(block.shape[1] for block in blocks)
        total = np.zeros((blocks[0].shape[0], length), np.float32)
        for block, gain in zip(blocks, files.values(), strict=True):
            total += np.float32(gain) * block[:, :length]
        yield total


def _bad_gains(parts: Collection[str]) -> Refusal:
    return Refusal(
        422,
        "bad_gains",
        f"Name at least one of {', '.join(parts)}, each with a gain from 0 to {MOST_GAIN:g}, "
        "such as drums:1,bass:0.5.",
    )
