"""Any stretch of a song that arrives in blocks, holding no more of it than is still needed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np

from unbraid.errors import ShapeError
from unbraid.shapes import Float


class SongReader:
    """A window that slides over blocks (b c n); beyond the ends of the song there is silence.

    Args:
        blocks: the song in order, in blocks of any lengths, all with the same batch and channels.
        channels: what the model takes.
        samples: length of the song.
    """

    def __init__(
        self, blocks: Iterable[Float[np.ndarray, "b c _n"]], channels: int, samples: int
    ) -> None:
        self._blocks: Iterator[np.ndarray] = iter(blocks)
        self._channels = channels
        self._samples = samples
        self._held: deque[np.ndarray] = deque()
        self._start = self._stop = 0  # of what is held, in samples of the song

    @property
    def held_samples(self) -> int:
        """How many samples of the song are in memory."""
        return self._stop - self._start

    def read(self, start: int, stop: int) -> Float[np.ndarray, "b c n"]:
        """The stretch [start, stop), which touches the song; possibly a view: do not write to it.

        Raises:
            ShapeError: if the blocks end before the song should, or change their shape.
        """
        first, last = max(start, 0), min(stop, self._samples)
        while self._stop < last:
            self._load()
        parts, position = [], self._start
        for block in self._held:
            lower, upper = max(first - position, 0), min(last - position, block.shape[-1])
            if lower < upper:
                parts.append(block[..., lower:upper])
            position += block.shape[-1]
        stretch = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
        if (first, last) == (start, stop):
            return stretch
        padded = np.zeros((*stretch.shape[:-1], stop - start), np.float32)
        padded[..., first - start : last - start] = stretch
        return padded

    def forget(self, until: int) -> None:
        """Drop the blocks that lie wholly before sample `until`."""
        while self._held and self._start + self._held[0].shape[-1] <= until:
            self._start += self._held.popleft().shape[-1]

    def finish(self) -> None:
        """After the last `read`: make sure that the song ends where it should.

        Raises:
            ShapeError: if more comes than the announced samples.
        """
        for block in self._blocks:
            if block.shape[-1]:
                raise ShapeError(
                    f"the song continues after the {self._samples} samples announced; "
                    "was the file changed meanwhile?"
                )

    def _load(self) -> None:
        block = next(self._blocks, None)
        if block is None:
            raise ShapeError(
                f"the song ends after {self._stop} samples, {self._samples} were announced; "
                "was the file changed meanwhile?"
            )
        shape = tuple(block.shape)
        if block.ndim != 3 or shape[1] != self._channels:
            raise ShapeError(
                f"the model takes (batch, {self._channels} channels, samples), got {shape}"
            )
        if self._held and shape[0] != self._held[-1].shape[0]:
            raise ShapeError(
                f"a song keeps its batch of {self._held[-1].shape[0]} in all blocks, got {shape}"
            )
        if self._stop + shape[-1] > self._samples:
            raise ShapeError(
                f"the song has {self._stop + shape[-1]} samples or more, {self._samples} were "
                "announced; was the file changed meanwhile?"
            )
        self._held.append(block.astype(np.float32, copy=False))
        self._stop += shape[-1]
