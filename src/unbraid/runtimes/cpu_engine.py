"""Which engine runs a model on the CPU: kernels of our own, or torch.

The kernels (`runtimes/native/`) compute what torch computes, faster, and without loading torch,
which takes longer than a short song does. Where they cannot run, torch does.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from unbraid.errors import SettingsError
from unbraid.models.base import ModelSpec
from unbraid.models.configs.hybrid_demucs import HybridDemucsConfig
from unbraid.models.configs.two_rate_demucs import TwoRateDemucsConfig
from unbraid.runtimes.arrays import alike, as_array
from unbraid.runtimes.threads import get_threads
from unbraid.runtimes.two_rate import TwoRateArrays

VARIABLE = "UNBRAID_RUNTIME"
"""In the environment: "torch" or "native" instead of the choice that is made here."""


def why_torch(device: str, precision: str = "auto") -> str | None:
    """Why models run in torch here; None where the kernels run those that they know.

    Raises:
        SettingsError: if UNBRAID_RUNTIME asks for what there is not.
    """
    asked = os.environ.get(VARIABLE, "")
    if asked not in ("", "torch", "native"):
        raise SettingsError(f"{VARIABLE} is torch or native, got {asked!r}")
    reason = _why_torch(device, precision)
    if asked == "torch":
        return f"{VARIABLE} says so"
    if asked == "native" and reason is not None:
        raise SettingsError(f"{VARIABLE} asks for the native engine, but {reason}")
    return reason


def _why_torch(device: str, precision: str) -> str | None:
    if device != "cpu":
        return f"the device is {device}"
    if precision not in ("auto", "fp32"):
        return f"the precision is {precision}"
    kernels = _kernels()
    if kernels is None:
        return "this installation has no kernels"
    found: str | None = kernels.find()
    return found


def _kernels() -> Any:
    """`runtimes.native`, imported when it is asked for; None where the package came without it."""
    try:
        return importlib.import_module("unbraid.runtimes.native")
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("unbraid.runtimes.native"):
            raise
        return None


def kernels_fit(config: HybridDemucsConfig) -> bool:
    """Whether the kernels run such a model."""
    if isinstance(config, TwoRateDemucsConfig):
        return kernels_fit(config.full) and kernels_fit(config.low)
    return bool(_kernels().fits(config))


def native_model(
    config: HybridDemucsConfig, state: Mapping[str, np.ndarray]
) -> NativeModel | TwoRateArrays:
    """The model in the kernels, from a config that `kernels_fit` and its weights by our names."""
    if isinstance(config, TwoRateDemucsConfig):
        full = NativeModel(config.full, _under("full.", state))
        return TwoRateArrays(config, full, NativeModel(config.low, _under("low.", state)))
    return NativeModel(config, state)


def _under(prefix: str, state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        name.removeprefix(prefix): weight
        for name, weight in state.items()
        if name.startswith(prefix)
    }


class NativeModel:
    """A Hybrid Demucs in the kernels, as the engine takes it. Arrays or tensors in, alike out.

    One pass at a time: its buffers are its own.

    Args:
        config: one that `kernels_fit`.
        state: weights by our names, float32 or float16; none of them is kept.
    """

    takes_arrays = True

    def __init__(
        self,
        config: HybridDemucsConfig,
        state: Mapping[str, np.ndarray],
    ) -> None:
        self._config = config
        # On a thread: meanwhile the first song is decoded.
        packer = ThreadPoolExecutor(1, "unbraid-pack")
        self._engine = packer.submit(_kernels().NativeHybridDemucs, config, state, get_threads())
        packer.shutdown(wait=False)
        self._lock = threading.Lock()

    @property
    def spec(self) -> ModelSpec:
        """Stems, rate, channels and segment; any length is fine."""
        return self._config.spec

    def valid_samples(self, samples: int) -> int:
        """Any length will do."""
        return samples

    def memory_bytes(self, samples: int) -> int:
        """Memory of one pass over `samples`, beside the weights."""
        return int(_kernels().memory_bytes(self._config, samples))

    def __call__(self, mixture: Any) -> Any:
        """(b c t) -> (b s c t), on as many threads as are set by now."""
        with self._lock:
            engine = self._engine.result()
            engine.threads = get_threads()
            estimates = engine(np.ascontiguousarray(as_array(mixture), np.float32))
        return alike(mixture, estimates)
