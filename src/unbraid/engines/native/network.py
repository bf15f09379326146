"""What all networks in the kernels share: songs one by one, in memory that is used again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from unbraid.engines.native.sheets import Pool
from unbraid.shapes import Float32
from unbraid.threads import get_threads


class NativeNetwork(ABC):
    """(b c t) -> (b s c t) on arrays, the same as the network of torch to float32 accuracy.

    A subclass is one network: which of its configs the kernels run, the memory of a pass, and the
    way of one song through it. It is made of a config, the weights by name, as the network's
    `state_dict()` has them, of any float type, and a number of threads.

    Args:
        config: for which `fits`.
        threads: to compute on; None for as many as models run on in this process.
    """

    def __init__(self, config: Any, threads: int | None = None) -> None:
        self.config = config
        self.threads = threads or get_threads()
        self._pool = Pool(0)

    @staticmethod
    @abstractmethod
    def fits(config: Any) -> bool:
        """Whether the kernels run such a model."""

    @staticmethod
    @abstractmethod
    def pool_floats(config: Any, samples: int) -> int:
        """Floats that a pass over `samples` takes from the pool at most."""

    @staticmethod
    def other_floats(config: Any, samples: int) -> int:
        """Floats of arrays outside the pool and of the threads, an upper bound; by default none."""
        return 0

    @classmethod
    def memory_bytes(cls, config: Any, samples: int) -> int:
        """Working memory of one pass over `samples`, besides the weights; an upper bound."""
        return 4 * (cls.pool_floats(config, samples) + cls.other_floats(config, samples))

    @staticmethod
    def valid_samples(config: Any, samples: int) -> int:
        """The length, at least `samples`, that a pass computes; by default any length will do."""
        return samples

    @classmethod
    def fresh_pool(cls, config: Any, samples: int) -> Pool:
        """Memory of a pass over `samples`, for `use_pool`; the system gives it now, which takes a
        while."""
        pool = Pool(cls.pool_floats(config, samples))
        pool.touch()
        return pool

    def use_pool(self, pool: Pool) -> None:
        """Take memory from there."""
        self._pool = pool

    @abstractmethod
    def separate(
        self, song: Float32[np.ndarray, "c t"], estimates: Float32[np.ndarray, "s c t"]
    ) -> None:
        """Estimates <- the stems of one song, of a valid length; the whole pool is free before."""

    def __call__(
        self,
        mixture: Float32[np.ndarray, "b c t"],
        memory: Float32[np.ndarray, " n"] | None = None,
    ) -> Float32[np.ndarray, "b s c t"]:
        """Separate songs, one after the other: together they would only share the cache.

        Args:
            mixture: the songs, any length; zeros extend them to a valid one.
            memory: for the estimates, if it is large enough.
        """
        samples = mixture.shape[2]
        missing = self.valid_samples(self.config, samples) - samples
        if missing:
            mixture = np.pad(mixture, ((0, 0), (0, 0), (0, missing)))
        batch, channels, length = mixture.shape
        shape = (batch, len(self.config.stems), channels, length)
        size = int(np.prod(shape))
        if memory is None or memory.size < size:
            memory = np.empty(size, np.float32)
        estimates = memory[:size].reshape(shape)
        needed = self.pool_floats(self.config, length)
        if self._pool.floats < needed:
            self._pool = Pool(needed)
        for song, stems in zip(mixture, estimates, strict=True):
            self._pool.forget()
            self.separate(song, stems)
        return estimates[..., :samples]
