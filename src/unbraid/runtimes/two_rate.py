"""Two models at two rates as one model of arrays, whatever runs each of them."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np

from unbraid.models.base import ModelSpec
from unbraid.models.configs.two_rate_demucs import TwoRateDemucsConfig
from unbraid.runtimes.arrays import alike, as_array
from unbraid.runtimes.rates import to_quarter_rate, with_low_band


@runtime_checkable
class _Part(Protocol):
    """A model of arrays that knows what a pass takes."""

    def memory_bytes(self, samples: int) -> int: ...
    def __call__(self, mixture: Any) -> Any: ...


class TwoRateArrays:
    """A Two-rate Demucs of two models of arrays. (b c t) -> (b s c t), arrays or tensors alike."""

    takes_arrays = True

    def __init__(self, config: TwoRateDemucsConfig, full: _Part, low: _Part) -> None:
        self._config, self._full, self._low = config, full, low

    @property
    def spec(self) -> ModelSpec:
        """Stems, rate, channels and segment; any length is fine."""
        return self._config.spec

    def valid_samples(self, samples: int) -> int:
        """Any length will do."""
        return samples

    def memory_bytes(self, samples: int) -> int:
        """Memory of one pass over `samples`, beside the weights."""
        spec, low_samples = self.spec, -(-samples // 4)
        joining = 4 * (samples + 3 * low_samples) * spec.channels * len(spec.stems)
        return self._full.memory_bytes(samples) + self._low.memory_bytes(low_samples) + joining

    def __call__(self, mixture: Any) -> Any:
        """Separate songs (b c t): (b s c t)."""
        signal = np.ascontiguousarray(as_array(mixture), np.float32)
        low = self._low(to_quarter_rate(signal))
        return alike(mixture, with_low_band(self._full(signal), low))
