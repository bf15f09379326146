"""What all networks in the kernels share: songs side by side, in memory that is used again."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from unbraid.engines.native.sheets import Pool
from unbraid.shapes import Float32
from unbraid.threads import get_threads

_FURTHER = 400_000_000
"""Bytes that further songs at the same time may take."""


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
        self._copies: list[NativeNetwork] = []

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
    def at_once(cls, config: Any, samples: int, threads: int) -> int:
        """How many songs of so many samples such threads compute side by side: each thread then
        waits for no other. One where that would take much memory."""
        return max(1, min(threads, 1 + _FURTHER // cls.memory_bytes(config, samples)))

    @classmethod
    def fresh_pools(cls, config: Any, samples: int, count: int) -> list[Pool]:
        """Memory of passes over so many songs at once, for `use_pools`; the system gives it now,
        which takes a while."""
        pools = [Pool(cls.pool_floats(config, samples)) for _ in range(count)]
        for pool in pools:
            pool.touch()
        return pools

    def use_pools(self, pools: Sequence[Pool]) -> None:
        """Take memory from there."""
        self._copies = [self._copy(pool) for pool in pools]

    def _copy(self, pool: Pool) -> NativeNetwork:
        """The same network, its weights shared, with memory of its own."""
        made = copy.copy(self)
        made._pool = pool
        return made

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
        """Separate songs, as many side by side as `at_once` says.

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
        songs = list(zip(mixture, estimates, strict=True))
        together = self.at_once(self.config, length, self.threads)
        for first in range(0, batch, together):
            self._separate_some(songs[first : first + together])
        return estimates[..., :samples]

    def _separate_some(self, songs: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
        """Songs side by side, on equal shares of the threads."""
        count = len(songs)
        needed = self.pool_floats(self.config, songs[0][0].shape[1])
        while len(self._copies) < count:
            self._copies.append(self._copy(Pool(0)))
        copies = self._copies[:count]
        for number, network in enumerate(copies):
            network.threads = self.threads // count + (number < self.threads % count)
            if network._pool.floats < needed:
                network._pool = Pool(needed)
            network._pool.forget()
        if count == 1:
            copies[0].separate(*songs[0])
            return
        with ThreadPoolExecutor(count, "unbraid-song") as executor:
            work = [
                executor.submit(network.separate, *song)
                for network, song in zip(copies, songs, strict=True)
            ]
        for done in work:
            done.result()
