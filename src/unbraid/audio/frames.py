"""Decoded frames as arrays: one rate, one number of channels, float32."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame

from unbraid.audio.container import shown
from unbraid.errors import AudioReadError

_MAX_RATE_RATIO = 64
_DTYPES = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}
_INTEGER_SCALES = {"u8": 2.0**-7, "s16": 2.0**-15, "s32": 2.0**-31, "s64": 2.0**-63}


class Conformer:
    """Brings frames that change rate or channels midway to those of the first frame."""

    def __init__(self, path: Path, first: AudioFrame) -> None:
        self._path = path
        self._layout = first.layout
        self._target = (first.sample_rate, first.layout.nb_channels)
        self._current = self._target
        self._resampler: av.AudioResampler | None = None

    def conform(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        """The frame at the rate and with the channels of the first one, perhaps in several frames.

        Raises:
            AudioReadError: if its rate or its channels cannot be converted.
        """
        kind = (frame.sample_rate, frame.layout.nb_channels)
        if kind != self._current:
            yield from self.flush()
            self._current = kind
            self._resampler = None if kind == self._target else self._converter(frame)
        if self._resampler is None:
            yield frame
            return
        frame.pts = None  # the graph would fill gaps between stamps of the old rate
        yield from self._run(frame)

    def flush(self) -> Iterator[AudioFrame]:
        """What the conversion still holds, after the last frame."""
        if self._resampler is not None:
            yield from self._run(None)
            self._resampler = None
            self._current = self._target

    def _converter(self, frame: AudioFrame) -> av.AudioResampler:
        rates = sorted((frame.sample_rate, self._target[0]))
        if rates[1] > _MAX_RATE_RATIO * rates[0]:
            raise self._cannot_follow(frame)
        return av.AudioResampler(format="fltp", layout=self._layout, rate=self._target[0])

    def _run(self, frame: AudioFrame | None) -> list[AudioFrame]:
        assert self._resampler is not None
        try:
            return self._resampler.resample(frame)
        except Exception as error:
            raise self._cannot_follow(frame) from error

    def _cannot_follow(self, frame: AudioFrame | None) -> AudioReadError:
        now = f" to {frame.sample_rate} Hz, {frame.layout.name}" if frame is not None else ""
        return AudioReadError(
            f"{shown(self._path)} changes midway from {self._target[0]} Hz, "
            f"{self._layout.name}{now}; convert it to one format first"
        )


def to_float(frame: AudioFrame) -> np.ndarray:
    """Samples of a frame as float32 (channels, samples); exact for integers of up to 24 bits."""
    samples = _samples(frame)
    kind = frame.format.name.removesuffix("p")
    if kind not in _INTEGER_SCALES:
        with np.errstate(over="ignore", invalid="ignore"):  # doubles beyond float32 become infinite
            return samples.astype(np.float32, copy=False)
    floats = samples.astype(np.float32)
    if kind == "u8":
        floats -= 128
    floats *= np.float32(_INTEGER_SCALES[kind])
    return floats


def _samples(frame: AudioFrame) -> np.ndarray:
    """Samples of a frame, unconverted, (channels, samples)."""
    # PyAV 18 looks for planes beyond the last one: harmless up to 8 channels, not above.
    channels = frame.layout.nb_channels
    kind = frame.format.name.removesuffix("p")
    if frame.format.is_planar and channels > 8:
        frame.pts = None
        (frame,) = av.AudioResampler(format=kind).resample(frame)
    dtype = np.dtype(_DTYPES[kind])
    if not frame.format.is_planar:
        count = frame.samples * channels  # the plane itself may be longer
        rows = np.frombuffer(memoryview(frame.planes[0]), dtype, count).reshape(-1, channels)
        return np.asarray(rows.T)
    planes = [memoryview(plane) for plane in frame.planes[:channels]]
    return np.stack([np.frombuffer(plane, dtype, count=frame.samples) for plane in planes])
