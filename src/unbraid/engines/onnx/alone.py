"""Separating with an exported model where there is no torch: numpy and onnxruntime alone.

For programs that take unbraid's models along and not its network code; `unbraid separate` itself
runs these files through `run.py`. Both give the same stems.

    from unbraid.engines.onnx.alone import OnnxSeparator

    stems = OnnxSeparator("mini.onnx").separate(signal, sample_rate)
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from unbraid.audio.resample import resample
from unbraid.engines.onnx.graph import GraphInfo, OnnxGraph
from unbraid.errors import AudioError, SettingsError, ShapeError

_EPSILON = 1e-8


class OnnxSeparator:
    """A file that `unbraid export` wrote; takes signals.

    Args:
        path: the file.
        overlap: share of a segment that the next one covers again, in [0, 1).
        threads: of onnxruntime; None for its own choice.
        device: "cpu", "cuda" or "cuda:N".
    Raises:
        CheckpointError: if the file cannot be read, or was not exported by unbraid.
        SettingsError: for an overlap out of range, or if onnxruntime is not there for the device.
    """

    def __init__(
        self,
        path: str | Path,
        overlap: float = 0.25,
        threads: int | None = None,
        device: str = "cpu",
    ) -> None:
        if not 0 <= overlap < 1:
            raise SettingsError(f"overlap is 0 or more and below 1, got {overlap}")
        self._graph = OnnxGraph(path, threads, device)
        self._stride = max(1, int((1 - overlap) * self.info.samples))

    @property
    def info(self) -> GraphInfo:
        """Stems, sample rate, channels, length of a segment."""
        return self._graph.info

    def separate(self, signal: np.ndarray, sample_rate: int) -> dict[str, np.ndarray]:
        """Separate a signal of any length, segment by segment.

        Args:
            signal: (channels, samples), floating point, full scale at ±1, with the model's channels
                or a single one. It is not changed.
            sample_rate: of the signal, Hz.
        Returns:
            for each stem a float32 array of the same shape.
        Raises:
            ShapeError: if it is not such a signal.
            AudioError: if it holds numbers that are not finite.
        """
        info = self.info
        self._check(signal)
        song = resample(signal.astype(np.float32), sample_rate, info.sample_rate)
        song = np.broadcast_to(song, (info.channels, song.shape[1]))
        mean, std = _loudness(song)
        if std == 0.0:
            estimates = np.zeros((len(info.stems), *song.shape), np.float32)
        else:
            estimates = self._overlap_add((song - mean) / (std + np.float32(_EPSILON)))
        estimates = estimates * (std + np.float32(_EPSILON)) + mean / np.float32(len(info.stems))
        if signal.shape[0] == 1:
            estimates = estimates.mean(axis=1, keepdims=True)
        return {
            stem: _fit(resample(part, info.sample_rate, sample_rate), signal.shape[1])
            for stem, part in zip(info.stems, estimates, strict=True)
        }

    def _check(self, signal: np.ndarray) -> None:
        channels = self.info.channels
        fits = signal.ndim == 2 and signal.shape[0] in (1, channels) and signal.shape[1] > 0
        if not fits or not np.issubdtype(signal.dtype, np.floating):
            raise ShapeError(
                f"a signal is floating point, (1 or {channels} channels, 1 sample or more), "
                f"got {signal.dtype} of shape {signal.shape}"
            )
        if not np.isfinite(signal).all():
            raise AudioError("the signal holds numbers that are not finite; repair it")

    def _overlap_add(self, song: np.ndarray) -> np.ndarray:
        """Every segment through the graph; where several cover a sample, their weighted mean."""
        samples, length = song.shape[1], self.info.samples
        position = np.arange(length)
        window = np.minimum(position + 1, length - position) / ((length + 1) // 2)
        weight = np.zeros(samples)
        for start, stop in self._segments(samples):
            weight[start:stop] += window[: stop - start]
        total = np.zeros((len(self.info.stems), *song.shape), np.float32)
        for start, stop in self._segments(samples):
            # A segment at the end of the song sees as much of what is before it as of silence.
            first = start - (length - (stop - start)) // 2
            estimates = self._graph.estimate(_stretch(song, first, first + length))
            share = (window[: stop - start] / weight[start:stop]).astype(np.float32)
            total[..., start:stop] += share * estimates[..., start - first : stop - first]
        return total

    def _segments(self, samples: int) -> Iterator[tuple[int, int]]:
        for start in range(0, samples, self._stride):
            yield start, min(start + self.info.samples, samples)


def _stretch(song: np.ndarray, start: int, stop: int) -> np.ndarray:
    """The song from sample `start` to `stop`; silence beyond its ends."""
    before, after = max(0, -start), max(0, stop - song.shape[1])
    return np.pad(song[:, max(0, start) : stop], [(0, 0), (before, after)])


def _loudness(song: np.ndarray) -> tuple[np.float32, np.float32]:
    """Mean, and deviation of the channels' middle; of all samples where the channels cancel."""
    middle = song.mean(axis=0, dtype=np.float64)
    mean = middle.mean()
    variance = np.square(middle - mean).sum() / max(1, len(middle) - 1)
    side = np.square(song - middle).mean()
    if variance < 1e-6 * side or len(middle) == 1:
        variance = np.square(middle - mean).mean() + side
    return np.float32(mean), np.float32(np.sqrt(variance))


def _fit(part: np.ndarray, samples: int) -> np.ndarray:
    """Two conversions of the rate may round by one apart."""
    return np.pad(part[:, :samples], [(0, 0), (0, max(0, samples - part.shape[1]))])
