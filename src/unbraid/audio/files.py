"""Sound files: what they are and what they hold, whole or in blocks of constant memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from unbraid.audio.decoder import Decoder
from unbraid.audio.signal import Signal, recut
from unbraid.closing import Closing
from unbraid.errors import SettingsError

BLOCK_SAMPLES = 1 << 16


@dataclass(frozen=True)
class AudioInfo:
    """What a sound file is, by its header and its first samples.

    Attributes:
        path: the file.
        container, codec: FFmpeg's names, such as "wav" and "pcm_s16le".
        sample_rate: Hz.
        channels: number of channels.
        channel_names: FFmpeg's name of each channel: ("FL", "FR"), ("FC",); CH1, CH2, … if unknown.
        bit_depth: bits of a sample if lossless (DSD counts as 24), None if lossy.
        is_float: lossless, with floating point samples.
        is_lossless: PCM or a lossless codec.
        duration_s: length in seconds by the header; an estimate, None if unknown.
        stream: number of the audio stream that is read, counted from 1.
        stream_names: title or language of every audio stream, empty where it has none; as many as
            there are streams.
        delay_s: how long after the picture of a video its sound starts. What is read begins with
            as much silence, so that sample 0 is the first picture.
    """

    path: Path
    container: str
    codec: str
    sample_rate: int
    channels: int
    channel_names: tuple[str, ...]
    bit_depth: int | None
    is_float: bool
    is_lossless: bool
    duration_s: float | None
    stream: int = 1
    stream_names: tuple[str, ...] = ("",)
    delay_s: float = 0.0


class OpenFile(Closing):
    """A sound file that tells what it is, and then what it holds: `probe` and `read_blocks` in one.

    To open a file can take longer than to decode a minute of it: of a WAV file FFmpeg reads a
    megabyte, which may be DTS.

    Args:
        path, stream: as for `probe`.
    Attributes:
        info: what it is.
    Raises:
        AudioReadError: as `probe`.
    """

    def __init__(self, path: str | PathLike[str], *, stream: int | None = None) -> None:
        self._decoder = Decoder(Path(path), stream=stream)
        self.info = _info(Path(path), self._decoder)

    def close(self) -> None:
        """Close the file. Twice is fine."""
        self._decoder.close()

    def blocks(self, block_samples: int = BLOCK_SAMPLES) -> Iterator[np.ndarray]:
        """As `read_blocks`; once only.

        Raises:
            AudioReadError: if it is damaged beyond use.
        """
        return recut(self._decoder.blocks(), self._decoder.channels, block_samples)


def probe(path: str | PathLike[str], *, stream: int | None = None) -> AudioInfo:
    """Tell what the sound file at `path` is, from its header and its first samples.

    Args:
        path: the file.
        stream: which of several audio streams, counted from 1; None takes the one that players
            take: the first of those marked as default, else the first.
    Raises:
        AudioReadError: if it is missing, empty, not audio, or holds no sound that decodes, or no
            stream of that number.
    """
    with Decoder(Path(path), stream=stream) as decoder:
        return _info(Path(path), decoder)


def read_blocks(
    path: str | PathLike[str], block_samples: int = BLOCK_SAMPLES, *, stream: int | None = None
) -> Iterator[np.ndarray]:
    """Read a whole file in constant memory, sample for sample as FFmpeg decodes it.

    All blocks except the last have `block_samples`; none is empty. Damaged stretches are left out,
    as in FFmpeg. If the rate or the channels change midway, they are brought to those of the start.
    The file is opened with the first block and closed with the last, or with the iterator.

    Args:
        path: the file; only it is opened, never anything it points at.
        block_samples: length of a block.
        stream: which of several audio streams, as for `probe`.
    Returns:
        float32 arrays (channels, block_samples), full scale at ±1, values beyond kept.
    Raises:
        AudioReadError: if it is missing, empty, not audio, or damaged beyond use.
        SettingsError: if `block_samples` is below 1.
    """
    if block_samples < 1:
        raise SettingsError(f"a block has at least 1 sample, got {block_samples}")
    return _read_blocks(Path(path), block_samples, stream)


def read(path: str | PathLike[str], *, stream: int | None = None) -> tuple[Signal, int]:
    """Read a whole file into memory.

    Args:
        path: the file.
        stream: which of several audio streams, as for `probe`.
    Returns:
        the signal (channels, samples), full scale at ±1, and its sample rate.
    Raises:
        AudioReadError: as `read_blocks`.
    """
    with Decoder(Path(path), stream=stream) as decoder:
        blocks = list(recut(decoder.blocks(), decoder.channels, BLOCK_SAMPLES))
        return np.concatenate(blocks, axis=1), decoder.sample_rate


def _read_blocks(path: Path, block_samples: int, stream: int | None) -> Iterator[np.ndarray]:
    with Decoder(path, stream=stream) as decoder:
        yield from recut(decoder.blocks(), decoder.channels, block_samples)


def _info(path: Path, decoder: Decoder) -> AudioInfo:
    return AudioInfo(
        path=path,
        container=decoder.container,
        codec=decoder.codec,
        sample_rate=decoder.sample_rate,
        channels=decoder.channels,
        channel_names=decoder.channel_names,
        bit_depth=decoder.bit_depth,
        is_float=decoder.is_float,
        is_lossless=decoder.is_lossless,
        duration_s=decoder.duration_s,
        stream=decoder.stream,
        stream_names=decoder.stream_names,
        delay_s=decoder.delay_s,
    )
