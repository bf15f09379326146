"""Stems of songs as one zip, made while it is sent: nothing is compressed or stored."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

_PIECE = 1 << 18
# What zipfile writes around the data (APPNOTE 4.3): a header with sizes in 64 bits before each
# file, a descriptor with its sum after it, an entry in the directory, and the end.
_HEADER, _DESCRIPTOR, _ENTRY, _END, _END_64 = 30 + 20, 24, 46, 22, 56 + 20


class _Outlet:
    """The output of zipfile; it cannot seek, so sizes come after each file."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Does nothing: no bytes are buffered."""

    def taken(self) -> bytes:
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data


def stream_zip(files: Mapping[str, Path]) -> Iterator[bytes]:
    """The bytes of a zip of these files, uncompressed.

    Args:
        files: name in the archive to file.
    """
    outlet = _Outlet()
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]
        for name, path in files.items():
            stamp = time.localtime(path.stat().st_mtime)[:6]
            info = zipfile.ZipInfo(name, max(stamp, (1980, 1, 1, 0, 0, 0)))
            info.external_attr = 0o644 << 16
            with path.open("rb") as source, archive.open(info, "w", force_zip64=True) as target:
                while piece := source.read(_PIECE):
                    target.write(piece)
                    yield outlet.taken()
    yield outlet.taken()


def zip_size(files: Mapping[str, Path]) -> int:
    """Bytes of what `stream_zip` will make of these files, unless they change."""
    offset = directory = 0
    for name, path in files.items():
        size, name_bytes = path.stat().st_size, len(name.encode())
        large = 2 * (size > zipfile.ZIP64_LIMIT) + (offset > zipfile.ZIP64_LIMIT)
        directory += _ENTRY + name_bytes + (4 + 8 * large if large else 0)
        offset += _HEADER + name_bytes + size + _DESCRIPTOR
    is_large = max(offset, directory) > zipfile.ZIP64_LIMIT
    is_large |= len(files) > zipfile.ZIP_FILECOUNT_LIMIT
    return offset + directory + _END + (_END_64 if is_large else 0)


def unlike(name: str, taken: Collection[str]) -> str:
    """`name`, with a number behind it if another one is the same on some file system.

    >>> unlike("Song", ["song", "Song (2)"]), unlike("Song", [])
    ('Song (3)', 'Song')
    """
    used = {other.casefold() for other in taken}
    number, found = 1, name
    while found.casefold() in used:
        number += 1
        found = f"{name} ({number})"
    return found
