"""Files of `torch.save` before version 1.6: pickles, one after the other, and then the storages.

    magic number · protocol · machine · value · keys of the storages · for each key: count, values

Open-Unmix (umx, umxhq) and the first Demucs were published so. Sizes are checked against the file
before memory is allocated, and nothing is executed.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unbraid.errors import CheckpointError
from unbraid.zoo.public.pickles import MOST_BYTES, Maker, read_pickle_at
from unbraid.zoo.public.torch_tensors import Rebuilder, Storage, refusing

LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The first bytes of such a file: its magic number."""

_PROTOCOL = 1001


def read_torch_legacy(path: Path, names: Mapping[str, Maker]) -> Any:
    """The value in the file, with a `StoredTensor` for each tensor.

    Args:
        names: names allowed in the pickle besides those of tensors; "module name" -> replacement.
    Raises:
        CheckpointError: if the file is damaged, not such a file, or names anything else.
    """
    with refusing(path), path.open("rb") as file:
        start = file.read(MOST_BYTES)
        storages = _Storages(path, path.stat().st_size)
        protocol, at = read_pickle_at(start, len(LEGACY_START))
        machine, at = read_pickle_at(start, at)
        if protocol != _PROTOCOL or not isinstance(machine, dict):
            raise CheckpointError("a torch file of an unknown version")
        if machine.get("little_endian") is not True:
            raise CheckpointError("a file from a machine of the other byte order")
        value, at = read_pickle_at(start, at, {**names, **storages.names()}, storages.persistent)
        keys, at = read_pickle_at(start, at)
        storages.locate(keys, at)
        return value


class _Storages(Rebuilder):
    """Rebuilds tensors from the storages behind the pickles."""

    def __init__(self, path: Path, file_bytes: int) -> None:
        super().__init__(path, file_bytes)
        self._file_bytes = file_bytes
        self._needed: dict[str, Storage] = {}
        self._starts: dict[str, int] = {}

    def persistent(self, value: Any) -> Any:
        """A storage; or the class of a whole model, whose source code follows and is not read."""
        if type(value) is tuple and len(value) == 4 and value[0] == "module":
            return value[1]
        if type(value) is not tuple or len(value) != 6 or value[5] is not None:
            raise CheckpointError("a persistent id that is not a storage")
        return super().persistent(value[:5])

    def check(self, storage: Storage) -> None:
        """Remember it: where it lies is said at the end."""
        if self._needed.setdefault(storage.key, storage) != storage:
            raise CheckpointError(f"storage {storage.key!s:.100} is said to have two sizes")

    def locate(self, keys: Any, at: int) -> None:
        """Where each storage lies; `keys` is their order, `at` where the first begins."""
        if not isinstance(keys, list) or set(map(str, keys)) != self._needed.keys():
            raise CheckpointError("the storages are not those that its tensors need")
        with self.path.open("rb") as file:
            for key in keys:
                storage = self._needed[key]
                file.seek(at)
                (count,) = struct.unpack("<q", file.read(8))
                end = at + 8 + storage.count * storage.item_bytes
                if count != storage.count or end > self._file_bytes:
                    raise CheckpointError(
                        f"a storage of {storage.count} {storage.kind} values where the file has "
                        f"{min(count, self._file_bytes - at)}"
                    )
                self._starts[key], at = at + 8, end

    def content(self, storage: Storage) -> np.ndarray:
        """Its bytes, in place."""
        size, start = storage.count * storage.item_bytes, self._starts[storage.key]
        return self.file.part(start, size)
