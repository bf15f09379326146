"""The zip file that `torch.save` writes: a pickle, and the bytes of each storage.

Nothing is unpacked to disk, and every size is checked against the file before memory is
allocated.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unbraid.errors import CheckpointError
from unbraid.words import counted
from unbraid.zoo.public.pickles import MOST_TEXT, Maker, read_pickle
from unbraid.zoo.public.torch_tensors import Rebuilder, Storage, refusing

_MOST_ENTRIES = 100_000
_LOCAL_HEADER = 30  # bytes before the name of an entry


def read_torch_zip(path: Path, names: Mapping[str, Maker]) -> Any:
    """The value in a file of `torch.save`, with a `StoredTensor` for each tensor.

    Args:
        names: names allowed in the pickle besides those of tensors; "module name" -> replacement.
    Raises:
        CheckpointError: if the file is damaged, not such a file, or names anything else.
    """
    with refusing(path), zipfile.ZipFile(path) as file:
        archive = _Archive(path, _checked_entries(file, path.stat().st_size))
        data = file.read(archive.entry("data.pkl", MOST_TEXT))
        return read_pickle(data, {**names, **archive.names()}, archive.persistent)


def _checked_entries(file: zipfile.ZipFile, file_bytes: int) -> dict[str, zipfile.ZipInfo]:
    """Entries by name: uncompressed, in one folder, inside the file, without overlap."""
    infos = sorted(file.infolist(), key=lambda info: info.header_offset)
    if not 1 <= len(infos) <= _MOST_ENTRIES:
        raise CheckpointError(f"a zip file of {counted(len(infos), 'entry', 'entries')}")
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


class _Archive(Rebuilder):
    """Rebuilds tensors from the entries of one file."""

    def __init__(self, path: Path, entries: Mapping[str, zipfile.ZipInfo]) -> None:
        super().__init__(path, sum(info.file_size for info in entries.values()))
        self.entries = entries
        if "byteorder" in entries:
            with zipfile.ZipFile(path) as file:
                if file.read(self.entry("byteorder", 16)) != b"little":
                    raise CheckpointError("a file from a machine of the other byte order")

    def entry(self, name: str, most: int | None = None) -> zipfile.ZipInfo:
        """The entry of that name, of at most so many bytes."""
        if name not in self.entries:
            raise CheckpointError(f"a zip file without {name!r:.100}")
        info = self.entries[name]
        if most is not None and info.file_size > most:
            raise CheckpointError(f"{name} of {info.file_size} bytes; at most {most} are read")
        return info

    def check(self, storage: Storage) -> None:
        """Compare the size of its entry."""
        bytes_there = self.entry(f"data/{storage.key}").file_size
        if storage.count * storage.item_bytes != bytes_there:
            raise CheckpointError(
                f"a storage of {storage.count} {storage.kind} values where the file has "
                f"{bytes_there} bytes"
            )

    def content(self, storage: Storage) -> np.ndarray:
        """The bytes of its entry, in place. `zipfile` would read the list of all entries each
        time."""
        entry = self.entry(f"data/{storage.key}")
        header = bytes(self.file.part(entry.header_offset, _LOCAL_HEADER))
        if header[:4] != b"PK\x03\x04":
            raise CheckpointError("an entry of the zip file is not where its list says")
        names = sum(struct.unpack_from("<HH", header, 26))
        start = entry.header_offset + _LOCAL_HEADER + names
        content = self.file.part(start, entry.file_size)
        if zlib.crc32(content.data) != entry.CRC:
            raise CheckpointError(f"{entry.filename} is damaged; download the file again")
        return content
