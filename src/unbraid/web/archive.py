"""All stems of a song as one zip, made while it is sent: nothing is compressed or stored."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

_PIECE = 1 << 18


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
