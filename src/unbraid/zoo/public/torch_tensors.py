"""Tensors in the pickles of `torch.save`: views inside storages, checked before reading."""

from __future__ import annotations

import struct
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unbraid.errors import CheckpointError
from unbraid.zoo.mapped import MappedFile
from unbraid.zoo.public.pickles import Maker, PlainDict
from unbraid.zoo.public.refusing import refusing as refusing_files
from unbraid.zoo.stored import KINDS, StoredTensor, values_of

STORAGES: dict[str, str] = {
    "FloatStorage": "F32",
    "HalfStorage": "F16",
    "DoubleStorage": "F64",
    "BFloat16Storage": "BF16",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ShortStorage": "I16",
    "CharStorage": "I8",
    "ByteStorage": "U8",
    "BoolStorage": "BOOL",
}
"""Name of a storage class in a pickle -> type of its values."""

_FILE_ERRORS = (
    zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, ValueError, LookupError,
    NotImplementedError, RuntimeError, OverflowError,
)  # fmt: skip


def refusing(path: Path) -> AbstractContextManager[None]:
    """`refusing` of all readers, for what torch's files may raise."""
    return refusing_files(path, "torch file", _FILE_ERRORS)


@dataclass(frozen=True)
class Storage:
    """Values that tensors are views of.

    Attributes:
        key: its name in the file.
        kind: type of the values, one of `KINDS`.
        count: number of values.
    """

    key: str
    kind: str
    count: int

    @property
    def item_bytes(self) -> int:
        """Bytes of one value in the file."""
        return int(np.dtype(KINDS[self.kind]).itemsize)


class Rebuilder(ABC):
    """Rebuilds the tensors of one file.

    Args:
        path: the file.
        bytes_there: of all values in it; tensors may not need more.
    """

    def __init__(self, path: Path, bytes_there: int) -> None:
        self.path, self._bytes_left = path, bytes_there
        self.file = MappedFile(path)

    @abstractmethod
    def check(self, storage: Storage) -> None:
        """Raise `CheckpointError` if the file has no such storage of that size."""

    @abstractmethod
    def content(self, storage: Storage) -> np.ndarray:
        """The bytes of a storage, in place."""

    def names(self) -> dict[str, Maker]:
        """The names in a pickle of tensors, and what they make."""
        rebuild: dict[str, Callable[..., Any]] = {
            "collections OrderedDict": PlainDict,
            "torch._utils _rebuild_tensor_v2": self.tensor,
            "torch._utils _rebuild_parameter": self.parameter,
        }
        storages = {f"torch {name}": Maker(f"torch.{name}") for name in STORAGES}
        return storages | {
            name: Maker(name.replace(" ", "."), make) for name, make in rebuild.items()
        }

    def persistent(self, value: Any) -> Any:
        """The storage that a persistent id names."""
        if type(value) is not tuple or len(value) != 5 or value[0] != "storage":
            raise CheckpointError("a persistent id that is not a storage")
        _, kind, key, _, count = value
        if not isinstance(kind, Maker) or not kind.name.startswith("torch."):
            raise CheckpointError("a storage of no known type")
        if type(key) is not str or type(count) is not int or count < 0:
            raise CheckpointError("a storage without key and size")
        known = STORAGES.get(kind.name.removeprefix("torch."))
        if known is None:
            raise CheckpointError(f"a storage of type {kind.name}")
        storage = Storage(key, known, count)
        self.check(storage)
        return storage

    def tensor(
        self, storage: Any, offset: Any, size: Any, stride: Any, grad: Any, hooks: Any, *rest: Any
    ) -> StoredTensor:
        """A view inside a storage, without repeated values."""
        whole = (
            isinstance(storage, Storage) and type(size) is tuple and type(stride) is tuple
        ) and all(type(number) is int and number >= 0 for number in (offset, *size, *stride))
        if not whole or len(size) != len(stride) or len(size) > 8 or hooks or rest:
            raise CheckpointError("a tensor of impossible shape")
        count, last = 1, offset
        for length, step in zip(size, stride, strict=True):
            count *= length
            last += (length - 1) * step
        if count > storage.count or (count and last >= storage.count):
            raise CheckpointError("a tensor that reaches beyond its storage")
        # Otherwise many tensors on one storage could need more memory than the file has bytes.
        self._bytes_left -= count * storage.item_bytes
        if self._bytes_left < 0:
            raise CheckpointError("tensors of more values than the file has")
        read = partial(self._read, storage, offset, size, stride)
        return StoredTensor(size, storage.kind, read)

    def parameter(self, data: Any, grad: Any, hooks: Any) -> StoredTensor:
        """The tensor of a parameter."""
        if not isinstance(data, StoredTensor) or hooks:
            raise CheckpointError("a parameter that is not a tensor")
        return data

    def _read(
        self, storage: Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...]
    ) -> np.ndarray:
        with refusing(self.path):
            if not storage.count:
                return np.zeros(size, KINDS[storage.kind])
            flat = values_of(self.content(storage), storage.kind)
            steps = [step * flat.itemsize for step in stride]
            return np.lib.stride_tricks.as_strided(flat[offset:], size, steps, writeable=False)
