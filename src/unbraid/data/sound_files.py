"""One sound file of a dataset: what it is, and any stretch of it at another rate and width."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from unbraid.audio.container import shown
from unbraid.audio.files import AudioInfo, probe, read, read_blocks
from unbraid.audio.resample import resample, resampled_length
from unbraid.audio.signal import Signal
from unbraid.errors import AudioReadError
from unbraid.shapes import Float32

_EXACT_SEEKS = frozenset({"PCM_U8", "PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT"})
_EXACT_CONTAINERS = frozenset({"WAV", "WAVEX", "RF64", "W64", "AIFF", "CAF", "FLAC"})


@dataclass(frozen=True)
class SoundFile:
    """A file of a dataset, as it was when it was looked at.

    Attributes:
        path: absolute.
        size, mtime_ns: to detect later changes.
        samples: its length at its own rate, exact.
        sample_rate: Hz.
        channels: number of channels.
        seekable: any stretch of it can be read without what comes before.
        is_16_bit: lossless integers of 16 bits at most.
    """

    path: Path
    size: int
    mtime_ns: int
    samples: int
    sample_rate: int
    channels: int
    seekable: bool
    is_16_bit: bool

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.samples / self.sample_rate


def stamp(path: Path) -> tuple[int, int]:
    """Size and time of change of a file.

    Raises:
        AudioReadError: if it is gone or may not be looked at.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise AudioReadError(f"{shown(path)} cannot be read: {error.strerror}") from error
    return status.st_size, status.st_mtime_ns


def look_at(path: Path) -> SoundFile:
    """What the file at `path` is. Where its header cannot be relied on it is decoded throughout.

    Raises:
        AudioReadError: if it is missing, empty, not audio, or damaged beyond use.
    """
    path = Path(path).absolute()
    size, mtime_ns = stamp(path)
    info = probe(path)
    samples = _header_samples(path, info)
    seekable = samples is not None
    if samples is None:
        samples = sum(block.shape[1] for block in read_blocks(path))
    is_16_bit = info.is_lossless and not info.is_float and (info.bit_depth or 99) <= 16
    return SoundFile(
        *(path, size, mtime_ns, samples, info.sample_rate, info.channels),
        seekable=seekable,
        is_16_bit=is_16_bit,
    )


def resampled_samples(file: SoundFile, sample_rate: int) -> int:
    """Length of the file at another rate, as `read_whole` gives it."""
    return resampled_length(file.samples, file.sample_rate, sample_rate)


def read_stretch(
    file: SoundFile, start: int, samples: int, sample_rate: int, channels: int
) -> Signal:
    """`samples` samples from `start` on, fewer at the end of the file.

    Files that can seek and need no other rate are read just there; all others are decoded whole
    (use a `SampleCache` for those).

    Args:
        start: in samples at `sample_rate`, 0 or later.
        samples: how many at most, at `sample_rate`.
        sample_rate: Hz of the result.
        channels: of the result, see `with_channels`.
    Raises:
        AudioReadError: if it is damaged, or other than when it was looked at.
    """
    if not file.seekable or file.sample_rate != sample_rate:
        return read_whole(file, sample_rate, channels)[:, start : start + samples]
    start = min(start, file.samples)
    count = min(samples, file.samples - start)
    try:
        with soundfile.SoundFile(file.path) as sound:
            sound.seek(start)
            frames = sound.read(count, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise AudioReadError(f"{shown(file.path)} cannot be read: {_reason(error)}") from error
    if frames.shape != (count, file.channels):
        raise AudioReadError(
            f"{shown(file.path)} has changed or is cut off: {count} samples from {start} on were "
            f"requested, {len(frames)} read; rebuild the index"
        )
    return with_channels(np.ascontiguousarray(frames.T), channels)


def read_whole(file: SoundFile, sample_rate: int, channels: int) -> Signal:
    """All of a file at `sample_rate`, with `channels`.

    Raises:
        AudioReadError: if it is damaged, or other than when it was looked at.
    """
    signal, rate = read(file.path)
    if (rate, signal.shape[1]) != (file.sample_rate, file.samples):
        raise AudioReadError(
            f"{shown(file.path)} has changed: {file.samples} samples at {file.sample_rate} Hz were "
            f"indexed, {signal.shape[1]} at {rate} Hz came; rebuild the index"
        )
    return resample(with_channels(signal, channels), rate, sample_rate)


def mapped(file: SoundFile, sample_rate: int, channels: int) -> np.ndarray | None:
    """The samples of a wav where they lie, if they need no change but of type.

    Returns:
        a memory map (samples, channels) of 16-bit integers or float32; None for any other file, and
        for one that has changed since it was indexed.
    """
    alike = file.seekable and (file.sample_rate, file.channels) == (sample_rate, channels)
    if not alike or file.path.suffix.lower() != ".wav":
        return None
    from scipy.io import wavfile

    try:
        if stamp(file.path) != (file.size, file.mtime_ns):
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about chunks that hold no sound
            samples: np.ndarray = wavfile.read(file.path, mmap=True)[1]
    except Exception:  # of many kinds; the file is then read as any other
        return None
    fits = samples.dtype in (np.int16, np.float32) and samples.shape == (file.samples, channels)
    return samples if fits else None


def blocks_of(file: SoundFile, block_samples: int) -> Iterator[np.ndarray]:
    """The whole file in blocks of float32 (channels, block_samples), the last one shorter.

    Raises:
        AudioReadError: if it is damaged, or other than when it was looked at.
    """
    if not file.seekable:
        yield from read_blocks(file.path, block_samples)
        return
    for start in range(0, file.samples, block_samples):
        yield read_stretch(file, start, block_samples, file.sample_rate, file.channels)


def with_channels(signal: Signal, channels: int) -> Float32[np.ndarray, "d t"]:
    """A signal with another number of channels.

    Mono is copied to all; of more the first ones are taken; to mono they are averaged.
    Source: the public Demucs data loader.

    >>> with_channels(np.array([[1.0], [0.0], [0.5]], np.float32), 1)
    array([[0.5]], dtype=float32)
    >>> with_channels(np.ones((1, 4), np.float32), 2).shape
    (2, 4)
    """
    there = signal.shape[0]
    if there == channels:
        return signal
    if channels == 1:
        mono: np.ndarray = signal.mean(axis=0, keepdims=True)
        return mono
    if there == 1:
        return np.repeat(signal, channels, axis=0)
    if there > channels:
        return signal[:channels]
    missing = np.zeros((channels - there, signal.shape[1]), np.float32)
    return np.concatenate([signal, missing])


def _header_samples(path: Path, info: AudioInfo) -> int | None:
    """The length by the header, if it is true and any sample can be read alone; else None.

    libsndfile reads single stretches, so it has to see the same file as FFmpeg does.
    """
    try:
        with soundfile.SoundFile(path) as sound:
            kind = sound.subtype in _EXACT_SEEKS and sound.format in _EXACT_CONTAINERS
            length = round((info.duration_s or 0.0) * info.sample_rate)
            theirs = (sound.samplerate, sound.channels, sound.frames)
            same = theirs == (info.sample_rate, info.channels, length)
            is_float = sound.subtype == "FLOAT"
            if not (kind and same and is_float == info.is_float and sound.seekable()):
                return None
            if sound.frames < 1:
                return None
            sound.seek(sound.frames - 1)
            return int(sound.frames) if len(sound.read(1)) == 1 else None
    except (OSError, RuntimeError):
        return None


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
