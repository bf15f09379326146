"""A model in the kernels as everything else takes it."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from unbraid.engines.arrays import ArrayModel
from unbraid.engines.native.library import find
from unbraid.engines.native.network import NativeNetwork
from unbraid.models.base import ModelSpec
from unbraid.models.registry import weight_shapes
from unbraid.shapes import Float32
from unbraid.threads import get_threads
from unbraid.zoo.header import check_shapes
from unbraid.zoo.mapped import release
from unbraid.zoo.stored import StoredModel, StoredTensor

_KINDS = {"F16", "F32", "F64"}
_COUNTED = "num_batches_tracked"
"""Of a batch norm, which only training reads."""


def why_not_asked(device: str, precision: str) -> str | None:
    """Why the kernels are not what is requested; None if they may be."""
    if device != "cpu":
        return f"the device is {device}"
    if precision not in ("auto", "fp32"):
        return f"the precision is {precision}"
    return None


def why_not_here(device: str, precision: str) -> str | None:
    """Why the kernels run nothing here; None if they run what they know."""
    return why_not_asked(device, precision) or find()


_NETWORKS = {
    "hybrid_demucs": ("hybrid", "NativeHybridDemucs"),
    "htdemucs": ("htdemucs", "NativeHTDemucs"),
    "bs_roformer": ("roformer", "NativeRoformer"),
    "mel_band_roformer": ("roformer", "NativeRoformer"),
    "scnet": ("scnet", "NativeSCNet"),
    "tfc_tdf": ("tfc_tdf", "NativeTFCTDF"),
}
"""Architecture -> module here, and the class in it that runs it."""


def _network(architecture: str) -> type[NativeNetwork]:
    """What runs models of an architecture that `knows` knows; imported on first use."""
    module, name = _NETWORKS[architecture]
    found: type[NativeNetwork] = getattr(
        importlib.import_module(f"unbraid.engines.native.{module}"), name
    )
    return found


def knows(architecture: str) -> bool:
    """Whether the kernels run models of an architecture, most of its configs at least."""
    return architecture in _NETWORKS


def why_not(stored: StoredModel) -> str | None:
    """Why the kernels do not run a model; None if they do."""
    fits = knows(stored.architecture) and _network(stored.architecture).fits(stored.config)
    kinds = {w.kind for name, w in stored.weights.items() if not name.endswith(_COUNTED)}
    if not fits or not kinds <= _KINDS:
        return "the native kernels do not run this model"
    return None


class NativeModel(ArrayModel):
    """A model in the kernels, of one of `_NETWORKS`. One pass at a time: its buffers are its own.

    Args:
        stored: a model for which `why_not` is None. None of its weights is kept.
    Raises:
        CheckpointError: if its weights do not fit its config.
    """

    engine = "native kernels"

    def __init__(self, stored: StoredModel) -> None:
        self._stored, self._config = stored, stored.config
        wanted = weight_shapes(stored.architecture, stored.config)
        check_shapes(stored.path, wanted, {k: tuple(w.shape) for k, w in stored.weights.items()})
        state = _State({name: stored.weights[name] for name in wanted})
        # On threads: meanwhile the first song is decoded.
        packer = ThreadPoolExecutor(2, "unbraid-pack")
        self._network = _network(stored.architecture)
        made: Any = self._network
        self._engine = packer.submit(made, self._config, state, get_threads())
        longest = self._config.spec.longest_samples
        self._pools = None
        if longest:
            count = self.at_once(longest)
            self._pools = packer.submit(made.fresh_pools, self._config, longest, count)
        packer.shutdown(wait=False)
        self._lock = threading.Lock()
        self._spare: np.ndarray | None = None

    @property
    def spec(self) -> ModelSpec:
        """Stems, rate, channels and segment."""
        spec: ModelSpec = self._config.spec
        return spec

    def valid_samples(self, samples: int) -> int:
        """That of the network."""
        return self._network.valid_samples(self._config, samples)

    def pass_bytes(self, samples: int) -> int:
        """Memory of one pass over `samples`, the weights not counted."""
        return self._network.memory_bytes(self._config, samples)

    def at_once(self, samples: int) -> int:
        """Songs side by side, on as many threads as are set by now."""
        return self._network.at_once(self._config, samples, get_threads())

    def fingerprint(self) -> str:
        """That of the file."""
        return self._stored.fingerprint()

    def separate(self, mixture: Float32[np.ndarray, "b c t"]) -> Float32[np.ndarray, "b s c t"]:
        """Separate songs, on as many threads as are set by now."""
        with self._lock:
            engine = self._engine.result()
            if self._pools is not None:
                engine.use_pools(self._pools.result())
                self._pools = None
            engine.threads = get_threads()
            spare, self._spare = self._spare, None
            estimates: np.ndarray = engine(mixture, spare)
            return estimates

    def take_back(self, estimates: Any) -> None:
        """Kept for the next pass, which may write to them."""
        if isinstance(estimates, np.ndarray) and estimates.flags.c_contiguous:
            self._spare = estimates.reshape(-1)


class _State(Mapping[str, np.ndarray]):
    """Weights as arrays, perhaps views of a file; float16 stays so.

    Each is read at once, so that damage is told, but of the file no more stays in memory than one.
    """

    def __init__(self, weights: Mapping[str, StoredTensor]) -> None:
        self._kinds = {name: weight.kind for name, weight in weights.items()}
        self._values, self._last = {}, np.empty(0)
        for name, weight in weights.items():
            self._values[name] = weight.read()
            release(self._values[name])

    def __getitem__(self, name: str) -> np.ndarray:
        """Whatever was taken before has been packed by now."""
        release(self._last)
        self._last = self._values[name]
        kind = np.float16 if self._kinds[name] == "F16" else np.float32
        return np.asarray(self._last, kind)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)
