"""Sound inside a page: MP3 in base64, small enough for one page.

Chrome, Chromium, Firefox and Safari all play MP3. All previews of a page get the same
settings, so that the encoder's delay is the same for all and they stay in step.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unbraid.audio.files import probe, read_blocks
from unbraid.audio.formats import AudioFormat
from unbraid.audio.resample import resample_blocks
from unbraid.audio.write import AudioWriter

BUDGET_BYTES = 8_600_000
"""Of all sound in a page, in base64: with pictures the page stays below 10 MB."""

_LONGEST_S = 900.0
_OVERHEAD_BYTES = 2000


@dataclass(frozen=True)
class Preview:
    """How the previews of a page are encoded.

    Attributes:
        kbps: bit rate of each.
        sample_rate: Hz.
        channels: 1 or 2.
        seconds: length of the preview, from the start.
    """

    kbps: int
    sample_rate: int
    channels: int
    seconds: float


_STEPS = (
    *((128, 44100, 2), (96, 44100, 2), (80, 44100, 2), (64, 44100, 2)),
    *((56, 44100, 1), (48, 44100, 1), (40, 32000, 1), (32, 32000, 1), (24, 24000, 1)),
)


def choose_preview(
    seconds: float, parts: int, channels: int, budget_bytes: int = BUDGET_BYTES
) -> Preview:
    """The best quality that keeps `parts` sounds of `seconds` each within the budget.

    >>> choose_preview(240.0, 5, 2).kbps
    40
    """
    for kbps, sample_rate, most in _STEPS:
        if _bytes(kbps, seconds) * parts <= budget_bytes and seconds <= _LONGEST_S:
            return Preview(kbps, sample_rate, min(most, channels), seconds)
    kbps, sample_rate, most = _STEPS[-1]
    fitting = (budget_bytes / parts - _OVERHEAD_BYTES) / (_bytes(kbps, 1.0) - _OVERHEAD_BYTES)
    return Preview(kbps, sample_rate, most, min(seconds, fitting, _LONGEST_S))


def encode(
    blocks: Iterable[np.ndarray], sample_rate: int, channels: int, preview: Preview
) -> bytes:
    """MP3 of a stream of blocks (channels, samples)."""
    blocks = _limited(_mixed_down(blocks, preview.channels), round(preview.seconds * sample_rate))
    kept = 1 if preview.channels == 1 else min(channels, 2)
    resampled = resample_blocks(blocks, sample_rate, preview.sample_rate, kept)
    with tempfile.TemporaryDirectory(prefix="unbraid-preview-") as folder:
        path = Path(folder) / "preview.mp3"
        format = AudioFormat("mp3", None, preview.kbps)
        with AudioWriter(path, format, preview.sample_rate, kept, quick=True) as writer:
            for block in resampled:
                writer.write(block.astype(np.float32))
        return path.read_bytes()


def encode_file(path: Path, preview: Preview) -> bytes:
    """MP3 of a sound file, from its start, in constant memory.

    Raises:
        AudioReadError: if it cannot be read.
    """
    info = probe(path)
    return encode(read_blocks(path), info.sample_rate, info.channels, preview)


def encode_excerpt(signal: np.ndarray, sample_rate: int, kbps: int = 96) -> bytes:
    """MP3 of a signal (channels, samples), stereo at most."""
    rate = AudioFormat("mp3").supported_rate(sample_rate)
    preview = Preview(kbps, rate, min(2, len(signal)), signal.shape[1] / sample_rate)
    return encode([signal.astype(np.float32)], sample_rate, len(signal), preview)


def read_spans(path: Path, spans: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    """Pieces (start, length) in samples of a sound file, read in one pass.

    A piece that reaches beyond the end is cut there.
    """
    pieces: list[list[np.ndarray]] = [[] for _ in spans]
    end = max((start + length for start, length in spans), default=0)
    at = 0
    for block in read_blocks(path):
        for piece, (start, length) in zip(pieces, spans, strict=True):
            first, last = max(start - at, 0), min(start + length - at, block.shape[1])
            if first < last:
                piece.append(block[:, first:last].copy())
        at += block.shape[1]
        if at >= end:
            break
    empty = np.zeros((probe(path).channels, 0), np.float32)
    return [np.concatenate(piece, axis=1) if piece else empty for piece in pieces]


def file_seconds(path: Path) -> float:
    """Length by the header; by reading the file if the header has none."""
    info = probe(path)
    if info.duration_s is not None:
        return info.duration_s
    samples: int = sum(block.shape[1] for block in read_blocks(path))
    return samples / info.sample_rate


def _bytes(kbps: int, seconds: float) -> float:
    return kbps * 1000 / 8 * seconds * 4 / 3 + _OVERHEAD_BYTES


def _mixed_down(blocks: Iterable[np.ndarray], channels: int) -> Iterator[np.ndarray]:
    """The first two channels, or the mean of all."""
    for block in blocks:
        if channels == 1 and len(block) > 1:
            yield block.mean(axis=0, keepdims=True, dtype=np.float32)
        else:
            yield block[:2]


def _limited(blocks: Iterable[np.ndarray], samples: int) -> Iterator[np.ndarray]:
    left = samples
    for block in blocks:
        if left <= 0:
            return
        yield block[:, :left]
        left -= block.shape[1]
