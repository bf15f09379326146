"""An exported model as a `SeparationModel`, so that everything runs it like any other."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from unbraid.models.base import ModelSpec
from unbraid.runtimes.arrays import alike, as_array
from unbraid.runtimes.onnx_graph import OnnxGraph
from unbraid.runtimes.threads import get_threads

SUFFIX = ".onnx"
"""By which a path is known as an exported model; the format has no mark of its own."""


class OnnxModel:
    """A file that `unbraid export` wrote. (b c t) -> (b s c t) for any t up to its segment.

    The graph computes on segments of one length, so a shorter mixture counts as one with silence
    behind it; the engine gives real neighbours instead, as `valid_samples` asks for.

    Args:
        path: the file.
        device: "cpu", "cuda" or "cuda:N"; arrays come and go on the CPU in any case.
    Raises:
        CheckpointError: if it cannot be read, or was not exported by unbraid.
        SettingsError: if onnxruntime is not installed, or not for that device.
    """

    takes_arrays = True

    def __init__(self, path: str | Path, device: str = "cpu") -> None:
        self.device = device
        self._threads = get_threads()
        self._graph = OnnxGraph(path, self._threads, device)
        info = self._graph.info
        self.licence = info.licence
        self.spec = ModelSpec(
            stems=info.stems,
            sample_rate=info.sample_rate,
            channels=info.channels,
            segment_samples=info.samples,
            longest_samples=info.samples,
            ratio_masks=info.ratio_masks,
        )

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the whole file."""
        return self._graph.fingerprint()

    def valid_samples(self, samples: int) -> int:
        """The length of the graph, whatever is asked."""
        return max(samples, self.spec.segment_samples)

    def __call__(self, mixture: Any) -> Any:
        """Separate songs (b c t), one after the other, on as many threads as are set by now.

        Arrays or tensors in, alike out: (b s c t).
        """
        if get_threads() != self._threads:
            self._threads = get_threads()
            self._graph = OnnxGraph(self._graph.path, self._threads, self.device)
        samples = mixture.shape[-1]
        missing = self.valid_samples(samples) - samples
        songs = np.pad(as_array(mixture).astype(np.float32), [(0, 0), (0, 0), (0, missing)])
        estimates = np.stack([self._graph.estimate(song) for song in songs])
        return alike(mixture, np.ascontiguousarray(estimates[..., :samples]))
