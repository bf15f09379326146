"""Sound on disk while a song is on its way, and how others read it meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from unbraid.audio.levels import peak
from unbraid.closing import Closing
from unbraid.shapes import Float32

BLOCK_SAMPLES = 1 << 16
_SAMPLE_BYTES = 4


class Spool(Closing):
    """Sound that is written as it comes and read again in order: float32, no header.

    Samples are interleaved, so that blocks of any size may be written and read. `close()` ends
    writing; reading can continue.

    Args:
        path: file to make.
        rows: channels, or stems times channels.

    Attributes:
        samples: how many have been written.
        peak: their greatest magnitude.
    """

    def __init__(self, path: Path, rows: int) -> None:
        self.path = path
        self.rows = rows
        self.samples = 0
        self.peak = 0.0
        self._file: BinaryIO | None = path.open("wb", buffering=0)

    def append(self, block: np.ndarray) -> None:
        """Add a block (rows, samples).

        Raises:
            OSError: if the disk is full.
        """
        if self._file is None:
            raise ValueError("this spool is closed")
        if block.size == 0:
            return
        rest = np.ascontiguousarray(block.T, dtype=np.float32).data.cast("B")
        while rest:  # an unbuffered file may take less than all, without complaint
            rest = rest[self._file.write(rest) :]
        self.samples += block.shape[1]
        self.peak = max(self.peak, peak(block))

    def close(self) -> None:
        """End writing."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def blocks(self, block_samples: int = BLOCK_SAMPLES) -> Iterator[np.ndarray]:
        """All that was written, in new arrays (rows, block_samples); the last may be shorter."""
        with self.path.open("rb") as file:
            while True:
                flat = np.fromfile(file, np.float32, block_samples * self.rows)
                if flat.size == 0:
                    return
                yield np.ascontiguousarray(flat.reshape(-1, self.rows).T)

    def remove(self) -> None:
        """Give its disk space back."""
        self.close()
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class SpoolView:
    """The stems of a song during its separation, for listeners.

    It holds plain values, so it may be sent to another process. The samples are those that will be
    written, before the gain that all stems may get in the end and before rounding.

    Attributes:
        path: of the spool; its file is removed when the song is done.
        stems: their names, in order.
        channels: of each stem.
        sample_rate: Hz.
    """

    path: str
    stems: tuple[str, ...]
    channels: int
    sample_rate: int

    @property
    def samples(self) -> int:
        """How many samples of every stem are there by now; 0 once the spool is removed."""
        try:
            return Path(self.path).stat().st_size // (self._width * _SAMPLE_BYTES)
        except OSError:
            return 0

    def read(self, start: int, count: int) -> Float32[np.ndarray, "stems channels n"] | None:
        """Samples from `start` on, fewer than `count` if more are not ready yet.

        Returns:
            (stems, channels, samples); None once the spool is removed.
        """
        offset = start * self._width * _SAMPLE_BYTES
        try:
            flat = np.fromfile(self.path, np.float32, count * self._width, offset=offset)
        except OSError:
            return None
        whole = flat[: len(flat) // self._width * self._width]
        samples = whole.reshape(-1, len(self.stems), self.channels)
        stems: np.ndarray = samples.transpose(1, 2, 0)
        return stems

    @property
    def _width(self) -> int:
        return len(self.stems) * self.channels
