"""A network on arrays as everything else takes it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from unbraid.engines.arrays import ArrayModel
from unbraid.engines.numpy import band_unet, mask_unet
from unbraid.engines.numpy.products import one_thread_each
from unbraid.models.base import ModelSpec
from unbraid.models.registry import weight_shapes
from unbraid.shapes import Float32
from unbraid.threads import get_threads
from unbraid.zoo.header import check_shapes
from unbraid.zoo.stored import StoredModel


@dataclass(frozen=True)
class Kind:
    """How an architecture runs on arrays.

    Attributes:
        why_not: why a config does not, in a few words; None if it does.
        make: from config and weights to what has `separate(song, wanted stems, threads)`.
        pass_bytes: memory of one pass over so many samples, an upper bound.
    """

    why_not: Callable[[Any], str | None]
    make: Callable[[Any, Mapping[str, np.ndarray]], Any]
    pass_bytes: Callable[[Any, int], int]


KNOWN = {
    "mask_unet": Kind(mask_unet.why_not, mask_unet.ArrayMaskUNet, mask_unet.pass_bytes),
    "band_unet": Kind(band_unet.why_not, band_unet.ArrayBandUNet, band_unet.pass_bytes),
}
"""Architecture -> how it runs."""


class NumpyModel(ArrayModel):
    """A network on arrays. One pass at a time: its memory is used again.

    Args:
        stored: of an architecture in `KNOWN` that has no reason not to run.
        engine: what runs it, in words.
    Raises:
        CheckpointError: if its weights do not fit its config.
    """

    def __init__(self, stored: StoredModel, engine: str = "numpy") -> None:
        self.engine = engine
        self._stored, self._kind = stored, KNOWN[stored.architecture]
        wanted = weight_shapes(stored.architecture, stored.config)
        check_shapes(stored.path, wanted, {k: tuple(w.shape) for k, w in stored.weights.items()})
        self._stems = frozenset(range(len(stored.spec.stems)))
        # On a thread: meanwhile the first song is decoded.
        maker = ThreadPoolExecutor(1, "unbraid-pack")
        self._network = maker.submit(self._make, list(wanted))
        maker.shutdown(wait=False)
        self._lock = threading.Lock()

    def _make(self, names: list[str]) -> Any:
        weights = {name: _array(self._stored, name) for name in names}
        return self._kind.make(self._stored.config, weights)

    @property
    def spec(self) -> ModelSpec:
        """As the config states it."""
        return self._stored.spec

    def pass_bytes(self, samples: int) -> int:
        """Memory of one pass over `samples`, the weights not counted."""
        return self._kind.pass_bytes(self._stored.config, samples)

    def fingerprint(self) -> str:
        """That of the file."""
        return self._stored.fingerprint()

    def narrow(self, stems: Collection[str]) -> NumpyModel:
        """The same network; other stems come out silent."""
        narrow = object.__new__(NumpyModel)
        narrow.__dict__.update(self.__dict__)
        narrow._stems = frozenset(
            number for number, stem in enumerate(self.spec.stems) if stem in stems
        )
        return narrow

    def separate(self, mixture: Float32[np.ndarray, "b c t"]) -> Float32[np.ndarray, "b s c t"]:
        """Separate songs, on as many threads as are set by now."""
        with self._lock, one_thread_each():
            network, threads = self._network.result(), get_threads()
            songs = [network.separate(song, sorted(self._stems), threads) for song in mixture]
        return np.stack(songs)


def _array(stored: StoredModel, name: str) -> np.ndarray:
    """A weight, perhaps a view of the file; float16 stays so."""
    weight = stored.weights[name]
    return np.asarray(weight.read(), np.float16 if weight.kind == "F16" else np.float32)
