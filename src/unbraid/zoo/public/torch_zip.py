"""The zip file that `torch.save` writes: a pickle, and the bytes of each storage.

Nothing is unpacked to disk, and every size is checked against the file before memory is
allocated.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unbraid.errors import CheckpointError
from unbraid.zoo.public.pickles import MOST_BYTES, Maker, PlainDict, read_pickle
from unbraid.zoo.stored import KINDS, StoredTensor, values_of

_STORAGES: dict[str, str] = {
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

LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The first bytes of files from torch before 1.6."""

_MOST_ENTRIES = 100_000
_LOCAL_HEADER = 30  # bytes before the name of an entry
_ZIP_ERRORS = (
    zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, ValueError, LookupError,
    NotImplementedError, RuntimeError, OverflowError,
)  # fmt: skip


@dataclass(frozen=True)
class _Storage:
    key: str
    kind: str
    count: int

    @property
    def item_bytes(self) -> int:
        """Bytes of one value in the file."""
        return int(np.dtype(KINDS[self.kind]).itemsize)


def read_torch_zip(path: Path, names: Mapping[str, Maker]) -> Any:
    """The value in a file of `torch.save`, with a `StoredTensor` for each tensor.

    Args:
        names: names allowed in the pickle besides those of tensors; "module name" -> replacement.
    Raises:
        CheckpointError: if the file is damaged, not such a file, or names anything else.
    """
    with _refusing(path), zipfile.ZipFile(path) as file:
        archive = _Archive(path, _checked_entries(file, path.stat().st_size))
        data = file.read(archive.entry("data.pkl", MOST_BYTES))
        return read_pickle(data, {**names, **archive.names()}, archive.persistent)


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Name the file in errors, and turn errors of zip files into ours."""
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f"{path}: refused: {error}") from error
    except _ZIP_ERRORS as error:
        raise CheckpointError(
            f"{path}: not a readable torch file ({error!s:.200}); it may be cut short or altered, "
            "get it again"
        ) from error


def _checked_entries(file: zipfile.ZipFile, file_bytes: int) -> dict[str, zipfile.ZipInfo]:
    """Entries by name: uncompressed, in one folder, inside the file, without overlap."""
    infos = sorted(file.infolist(), key=lambda info: info.header_offset)
    if not 1 <= len(infos) <= _MOST_ENTRIES:
        raise CheckpointError(f"a zip file of {len(infos)} entries")
    end, entries, folder = 0, {}, infos[0].filename.split("/")[0]
    for info in infos:
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise CheckpointError("a compressed zip file, which torch never writes")
        if info.header_offset < end:
            raise CheckpointError("a zip file whose entries overlap")
        end = info.header_offset + 30 + len(info.filename) + info.file_size
        if end > file_bytes:
            raise CheckpointError("a zip file whose entries reach beyond its end")
        first, _, name = info.filename.partition("/")
        if not first or first != folder or not name or name in entries:
            raise CheckpointError(f"an odd entry in the zip file, {info.filename!r:.100}")
        entries[name] = info
    return entries


class _Archive:
    """Rebuilds tensors from the entries of one file."""

    def __init__(self, path: Path, entries: Mapping[str, zipfile.ZipInfo]) -> None:
        self.path, self.entries = path, entries
        self.values_left = sum(info.file_size for info in entries.values())
        if "byteorder" in entries:
            with zipfile.ZipFile(path) as file:
                if file.read(self.entry("byteorder", 16)) != b"little":
                    raise CheckpointError("a file from a machine of the other byte order")

    def entry(self, name: str, most: int | None = None) -> zipfile.ZipInfo:
        if name not in self.entries:
            raise CheckpointError(f"a zip file without {name!r:.100}")
        info = self.entries[name]
        if most is not None and info.file_size > most:
            raise CheckpointError(f"{name} of {info.file_size} bytes; at most {most} are read")
        return info

    def names(self) -> dict[str, Maker]:
        rebuild: dict[str, Callable[..., Any]] = {
            "collections OrderedDict": PlainDict,
            "torch._utils _rebuild_tensor_v2": self.tensor,
            "torch._utils _rebuild_parameter": self.parameter,
        }
        storages = {f"torch {name}": Maker(f"torch.{name}") for name in _STORAGES}
        return storages | {
            name: Maker(name.replace(" ", "."), make) for name, make in rebuild.items()
        }

    def persistent(self, value: Any) -> _Storage:
        if type(value) is not tuple or len(value) != 5 or value[0] != "storage":
            raise CheckpointError("a persistent id that is not a storage")
        _, kind, key, _, count = value
        if not isinstance(kind, Maker) or not kind.name.startswith("torch."):
            raise CheckpointError("a storage of no known type")
        if type(key) is not str or type(count) is not int:
            raise CheckpointError("a storage without key and size")
        known = _STORAGES.get(kind.name.removeprefix("torch."))
        if known is None:
            raise CheckpointError(f"a storage of type {kind.name}")
        storage = _Storage(key, known, count)
        bytes_there = self.entry(f"data/{key}").file_size
        if count < 0 or count * storage.item_bytes != bytes_there:
            raise CheckpointError(
                f"a storage of {count} {known} values where the file has {bytes_there} bytes"
            )
        return storage

    def tensor(
        self, storage: Any, offset: Any, size: Any, stride: Any, grad: Any, hooks: Any, *rest: Any
    ) -> StoredTensor:
        """A view inside a storage, without repeated values."""
        whole = (
            isinstance(storage, _Storage) and type(size) is tuple and type(stride) is tuple
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
        self.values_left -= count * storage.item_bytes
        if self.values_left < 0:
            raise CheckpointError("tensors of more values than the file has")
        read = partial(self._read, storage, offset, size, stride)
        return StoredTensor(size, storage.kind, read)

    def parameter(self, data: Any, grad: Any, hooks: Any) -> StoredTensor:
        if not isinstance(data, StoredTensor) or hooks:
            raise CheckpointError("a parameter that is not a tensor")
        return data

    def _read(
        self, storage: _Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...]
    ) -> np.ndarray:
        with _refusing(self.path):
            entry = self.entry(f"data/{storage.key}")
            if not entry.file_size:
                return np.zeros(size, KINDS[storage.kind])
            flat = values_of(self._content(entry), storage.kind)
            steps = [step * flat.itemsize for step in stride]
            return np.lib.stride_tricks.as_strided(flat[offset:], size, steps, writeable=False)

    def _content(self, entry: zipfile.ZipInfo) -> np.ndarray:
        """The bytes of an entry, in place. `zipfile` would read the list of all entries each
        time."""
        with self.path.open("rb") as file:
            file.seek(entry.header_offset)
            header = file.read(_LOCAL_HEADER)
        if header[:4] != b"PK\x03\x04" or len(header) < _LOCAL_HEADER:
            raise CheckpointError("an entry of the zip file is not where its list says")
        names = sum(struct.unpack_from("<HH", header, 26))
        start = entry.header_offset + _LOCAL_HEADER + names
        mapped = np.memmap(self.path, np.uint8, "r", offset=start, shape=(entry.file_size,))
        content = np.asarray(mapped)
        if zlib.crc32(content.data) != entry.CRC:
            raise CheckpointError(f"{entry.filename} is damaged; download the file again")
        return content
