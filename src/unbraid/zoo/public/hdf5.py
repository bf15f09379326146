"""Arrays in HDF5 files without HDF5: as much of the format as Keras uses for weights.

    superblock ─► object header of the root group
    group:    header message 0x11 ─► B-tree "TREE" ─► symbol tables "SNOD" ─► members
                                 └─► heap "HEAP", their names
    array:    header messages 0x01 shape, 0x03 type, 0x08 place of the values, in one piece

This is the oldest form of each part, which libraries write by default.
Arrays of other types, in chunks or compressed are left out. Every address is checked against the
file before it is used, none is followed twice, and values stay in the file until they are read.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from unbraid.errors import CheckpointError
from unbraid.zoo.public.refusing import refusing
from unbraid.zoo.stored import KINDS, StoredTensor

_KIND = "HDF5 file"
SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""The first bytes of such a file."""

_MOST_PARTS, _MOST_MESSAGES = 200_000, 1_000_000
_DEEPEST, _MOST_DIMENSIONS, _LONGEST_NAME = 16, 8, 1024
_NOWHERE = (1 << 64) - 1
_SHAPE, _TYPE, _PLACE, _CONTINUED, _GROUP = 0x01, 0x03, 0x08, 0x10, 0x11
_FLOATS = {
    struct.pack("<BBBBIHHBBBBI", 0x11, 0x20, 31, 0, 4, 0, 32, 23, 8, 0, 23, 127): "F32",
    struct.pack("<BBBBIHHBBBBI", 0x11, 0x20, 63, 0, 8, 0, 64, 52, 11, 0, 52, 1023): "F64",
}
"""Description of a type -> type of the values."""


def read_hdf5(path: Path) -> dict[str, StoredTensor]:
    """All arrays of floating-point numbers in the file, by their path in it ("group/name").

    Raises:
        CheckpointError: if the file is damaged, or of a newer form.
    """
    with refusing(path, _KIND):
        return _File(path).arrays()


class _File:
    """Walks through the groups of one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._content = memoryview(np.memmap(path, np.uint8, "r").data)
        self._seen: set[int] = set()
        self._messages_left = _MOST_MESSAGES
        self._found: dict[str, StoredTensor] = {}

    def arrays(self) -> dict[str, StoredTensor]:
        start = bytes(self._bytes(0, 96))
        if not start.startswith(SIGNATURE):
            raise CheckpointError("not an HDF5 file: its first bytes differ")
        version, offsets, lengths = start[8], start[13], start[14]
        if version > 1 or (offsets, lengths) != (8, 8):
            raise CheckpointError(f"an HDF5 file of version {version}; 0 and 1 are read")
        base, root = struct.unpack_from("<Q", start, 24 + 4 * version)[0], 24 + 4 * version + 40
        if base:
            raise CheckpointError("an HDF5 file that begins inside another file")
        self._object(struct.unpack_from("<Q", start, root)[0], "", 0)
        return self._found

    def _bytes(self, start: int, size: int) -> memoryview:
        if start + size > len(self._content):
            raise CheckpointError("a part that reaches beyond the end of the file")
        return self._content[start : start + size]

    def _visit(self, start: int) -> None:
        """Note that a part is being read; none is part of two others."""
        if start in self._seen or len(self._seen) >= _MOST_PARTS:
            raise CheckpointError("parts that go round in a circle, or too many of them")
        self._seen.add(start)

    def _object(self, start: int, name: str, depth: int) -> None:
        """A group, or an array."""
        if depth > _DEEPEST:
            raise CheckpointError(f"groups more than {_DEEPEST} deep")
        messages = dict(self._messages(start))
        if _GROUP in messages:
            tree, heap = struct.unpack_from("<QQ", messages[_GROUP])
            names = self._heap(heap)
            for child, place in self._members(tree, names, 0):
                self._object(place, f"{name}/{child}" if name else child, depth + 1)
        elif _SHAPE in messages and _PLACE in messages:
            array = self._array(messages)
            if array is not None:
                self._found[name] = array

    def _messages(self, start: int) -> Iterator[tuple[int, memoryview]]:
        """Kind and content of the messages of an object, which may lie in several blocks."""
        self._visit(start)
        version, _, _, _, size = struct.unpack("<BBHII", self._bytes(start, 12))
        if version != 1:
            raise CheckpointError("a group or array of a newer form of HDF5")
        blocks = [(start + 16, size)]
        while blocks:
            at, left = blocks.pop()
            while left >= 8:
                self._messages_left -= 1
                if self._messages_left < 0:
                    raise CheckpointError(f"more than {_MOST_MESSAGES} messages")
                kind, size, flags = struct.unpack("<HHB", self._bytes(at, 5))
                content = self._bytes(at + 8, size)
                if kind == _CONTINUED:
                    place, length = struct.unpack_from("<QQ", content)
                    self._visit(place)
                    blocks.append((place, length))
                elif not flags & 2:  # otherwise the content is elsewhere, shared by several
                    yield kind, content
                at, left = at + 8 + size, left - 8 - size

    def _heap(self, start: int) -> memoryview:
        """The names of a group, one after the other."""
        self._visit(start)
        if bytes(self._bytes(start, 4)) != b"HEAP":
            raise CheckpointError("a group without names")
        size, _, place = struct.unpack("<QQQ", self._bytes(start + 8, 24))
        return self._bytes(place, size)

    def _members(self, start: int, names: memoryview, depth: int) -> Iterator[tuple[str, int]]:
        """Name and place of the members of a group, from the nodes of its B-tree."""
        self._visit(start)
        mark, kind, level, count = struct.unpack("<4sBBH", self._bytes(start, 8))
        if mark != b"TREE" or kind != 0 or depth > _DEEPEST:
            raise CheckpointError("a group whose list of members is damaged")
        for index in range(count):
            (child,) = struct.unpack("<Q", self._bytes(start + 32 + 16 * index, 8))
            if level:
                yield from self._members(child, names, depth + 1)
            else:
                yield from self._symbols(child, names)

    def _symbols(self, start: int, names: memoryview) -> Iterator[tuple[str, int]]:
        self._visit(start)
        mark, version, _, count = struct.unpack("<4sBBH", self._bytes(start, 8))
        if mark != b"SNOD" or version != 1:
            raise CheckpointError("a group whose list of members is damaged")
        for index in range(count):
            at, place = struct.unpack("<QQ", self._bytes(start + 8 + 40 * index, 16))
            name, end, _ = bytes(names[at : at + _LONGEST_NAME]).partition(b"\0")
            if not name or not end:
                raise CheckpointError("a member of a group without a name")
            if place != _NOWHERE:  # a link to another name
                yield name.decode("utf-8"), place

    def _array(self, messages: dict[int, memoryview]) -> StoredTensor | None:
        """The array that these messages describe; None for types and places that are not read."""
        shape = _shape(messages[_SHAPE])
        kind = _FLOATS.get(bytes(messages.get(_TYPE, b"")[:20]))
        place = messages[_PLACE]
        if kind is None or shape is None or bytes(place[:2]) != b"\x03\x01":
            return None
        start, size = struct.unpack_from("<QQ", place, 2)
        if math.prod(shape) * np.dtype(KINDS[kind]).itemsize != size:
            raise CheckpointError(f"an array of shape {shape} in {size} bytes")
        if not size:
            return StoredTensor(shape, kind, partial(np.zeros, shape, KINDS[kind]))
        self._bytes(start, size)
        return StoredTensor(shape, kind, partial(_read, self._path, kind, start, size, shape))


def _shape(content: memoryview) -> tuple[int, ...] | None:
    version, rank = content[0], content[1]
    if version not in (1, 2) or rank > _MOST_DIMENSIONS:
        return None
    return struct.unpack_from(f"<{rank}Q", content, 8 if version == 1 else 4)


def _read(path: Path, kind: str, start: int, size: int, shape: tuple[int, ...]) -> np.ndarray:
    with refusing(path, _KIND):
        content = np.asarray(np.memmap(path, np.uint8, "r", offset=start, shape=(size,)))
        result: np.ndarray = content.view(np.dtype(KINDS[kind]).newbyteorder("<")).reshape(shape)
        return result
