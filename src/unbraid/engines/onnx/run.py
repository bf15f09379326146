"""An exported model as everything else takes it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np

from unbraid.engines.arrays import ArrayModel
from unbraid.engines.onnx.graph import OnnxGraph
from unbraid.models.base import ModelSpec
from unbraid.shapes import Float32
from unbraid.threads import get_threads


class OnnxModel(ArrayModel):
    """A file that `unbraid export` wrote. (b c t) -> (b s c t) for any t up to its segment.

    The graph computes on segments of one length, so a shorter mixture counts as one with silence
    behind it; the separation gives real neighbours instead, as `valid_samples` asks for.

    Args:
        path: the file.
        device: "cpu", "cuda" or "cuda:N"; arrays come and go on the CPU in any case.
    Raises:
        CheckpointError: if it cannot be read, or was not exported by unbraid.
        SettingsError: if onnxruntime is not installed, or not for that device.
    """

    engine = "onnxruntime"

    def __init__(self, path: str | Path, device: str = "cpu") -> None:
        self._place = device
        self._threads = get_threads()
        self._graph = OnnxGraph(path, self._threads, device)
        self.licence = self._graph.info.licence

    @property
    def spec(self) -> ModelSpec:
        """Its segment is the only length that the graph computes on."""
        spec: ModelSpec = self._graph.info.config.spec
        return spec

    @cached_property
    def _digest(self) -> str:
        return self._graph.fingerprint()

    def fingerprint(self) -> str:
        """Digest of the whole file."""
        return self._digest

    def valid_samples(self, samples: int) -> int:
        """The length of the graph, whatever is asked."""
        return max(samples, self.spec.segment_samples)

    def separate(self, mixture: Float32[np.ndarray, "b c t"]) -> Float32[np.ndarray, "b s c t"]:
        """Separate songs one after the other, on as many threads as are set by now."""
        if get_threads() != self._threads:
            self._threads = get_threads()
            self._graph = OnnxGraph(self._graph.path, self._threads, self._place)
        samples = mixture.shape[-1]
        missing = self.valid_samples(samples) - samples
        songs = np.pad(mixture, [(0, 0), (0, 0), (0, missing)])
        estimates = np.stack([self._graph.estimate(song) for song in songs])
        return np.ascontiguousarray(estimates[..., :samples])
