"""Decoded sound kept on the disk and read as memory maps, so that decoding never holds training up.

A file is decoded once, converted to the requested sample rate and channels, and stored as a
plain `.npy` of (samples, channels): 16-bit integers where that is exact, float32 elsewhere. Any
number of processes share a folder; the operating system keeps what is read often in memory. A wav
that holds just these samples in one of these types is mapped where it lies.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import time
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from unbraid.atomic import replacing
from unbraid.audio.signal import Signal
from unbraid.cache_root import cache_root
from unbraid.data.sound_files import (
    SoundFile,
    mapped,
    read_stretch,
    read_whole,
    resampled_samples,
)
from unbraid.errors import SettingsError
from unbraid.locks import locked

DEFAULT_BYTES = 100 << 30
"""MUSDB18-HQ at its own rate takes some 18 GB."""

_OPEN_MAPS = 256  # each holds a file open
_TOUCH_S = 600.0
_IDLE_S = 3600.0
_SCALE = np.float32(2.0**-15)


class SampleCache:
    """Decoded files below a folder, up to a size.

    When it is full, entries unused for an hour are deleted, the oldest first; a file that
    finds no room is read from where it is, with the same samples. Can be sent to other processes.

    Args:
        folder: where (`samples/` of the cache folder).
        max_bytes: how much it may hold.
    Raises:
        SettingsError: if the folder cannot be made.
    """

    def __init__(
        self, folder: str | os.PathLike[str] | None = None, max_bytes: int = DEFAULT_BYTES
    ) -> None:
        self.folder = Path(folder) if folder is not None else cache_root() / "samples"
        self.max_bytes = max_bytes
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(
                f"{str(self.folder)!r} cannot hold the cache of samples: {error.strerror}"
            ) from error
        self._maps: OrderedDict[Path, tuple[np.ndarray, float]] = OrderedDict()
        self._no_room: dict[Path, float] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "max_bytes": self.max_bytes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["folder"], state["max_bytes"])  # type: ignore[misc]

    def read(
        self, file: SoundFile, start: int, samples: int, sample_rate: int, channels: int
    ) -> Signal:
        """As `read_stretch`, from the cache; the file is decoded and kept if it is not there yet.

        Raises:
            AudioReadError: as `read_stretch`.
        """
        kept = self._kept(file, sample_rate, channels)
        if kept is None:
            return read_stretch(file, start, samples, sample_rate, channels)
        stretch = np.ascontiguousarray(kept[start : start + samples].T)
        return stretch.astype(np.float32) * _SCALE if stretch.dtype == np.int16 else stretch

    def used_bytes(self) -> int:
        """Size of all that is kept."""
        return sum(size for _, size, _ in self._entries())

    def _kept(self, file: SoundFile, sample_rate: int, channels: int) -> np.ndarray | None:
        path = self._path(file, sample_rate, channels)
        now = time.time()
        if path in self._maps:
            samples, touched = self._maps[path]
            self._maps.move_to_end(path)
            if now - touched > _TOUCH_S:
                _touch(path)
                self._maps[path] = samples, now
            return samples
        if now - self._no_room.get(path, -_IDLE_S) < _TOUCH_S:
            return None
        opened = mapped(file, sample_rate, channels)
        if opened is not None:
            self._remember(path, opened, math.inf)
            return opened
        opened = _open(path) if path.exists() else None
        if opened is None:
            if not self._store(path, file, sample_rate, channels):
                self._no_room[path] = now
                return None
            opened = _open(path)
            if opened is None:
                return None
        _touch(path)
        self._remember(path, opened, now)
        return opened

    def _remember(self, path: Path, opened: np.ndarray, touched: float) -> None:
        self._maps[path] = opened, touched
        if len(self._maps) > _OPEN_MAPS:
            self._maps.popitem(last=False)

    def _path(self, file: SoundFile, sample_rate: int, channels: int) -> Path:
        state = f"{file.path}\0{file.size}\0{file.mtime_ns}\0{sample_rate}\0{channels}"
        key = hashlib.sha256(state.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        return self.folder / f"{key}.npy"

    def _store(self, path: Path, file: SoundFile, sample_rate: int, channels: int) -> bool:
        """Decode a file into the cache; False if the cache is full."""
        exact = (
            file.is_16_bit
            and file.sample_rate == sample_rate
            and not (channels == 1 < file.channels)
        )
        width = 2 if exact else 4
        needed = resampled_samples(file, sample_rate) * channels * width
        if not self._has_room(needed):
            return False  # before it is decoded for nothing
        signal = read_whole(file, sample_rate, channels)
        frames = np.ascontiguousarray(signal.T)
        if exact:
            frames = (frames * np.float32(2**15)).astype(np.int16)
        try:
            with locked(self.folder / "lock"):
                if path.exists():
                    return True
                if not self._make_room(frames.nbytes):
                    return False
                with replacing(path) as temporary, temporary.open("wb") as out:
                    np.save(out, frames)
        except OSError:  # the disk is full before the limit is reached
            return False
        return True

    def _has_room(self, needed: int) -> bool:
        kept = sum(size for _, size, used_at in self._entries() if not _is_idle(used_at))
        return kept + needed <= self.max_bytes

    def _make_room(self, needed: int) -> bool:
        """Remove what has long been idle, as far as it must be; False if that is not enough."""
        if not self._has_room(needed):
            return False
        entries = sorted(self._entries(), key=lambda entry: entry[2])
        used = sum(size for _, size, _ in entries)
        for path, size, used_at in entries:
            if used + needed <= self.max_bytes:
                break
            if _is_idle(used_at):
                path.unlink(missing_ok=True)
                used -= size
        return True

    def _entries(self) -> Iterator[tuple[Path, int, float]]:
        """Path, size and time of last use of all that is kept."""
        for path in self.folder.glob("*.npy"):
            with contextlib.suppress(OSError):
                status = path.stat()
                yield path, status.st_size, status.st_mtime


def _open(path: Path) -> np.ndarray | None:
    try:
        samples: np.ndarray = np.load(path, mmap_mode="r")
    except (OSError, ValueError):
        return None  # just deleted, or not a cache file
    return samples if samples.ndim == 2 else None


def _is_idle(used_at: float) -> bool:
    return time.time() - used_at >= _IDLE_S


def _touch(path: Path) -> None:
    with contextlib.suppress(OSError):
        os.utime(path)
