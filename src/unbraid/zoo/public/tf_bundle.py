"""Checkpoints of TensorFlow ("tensor bundles") without TensorFlow; nothing is executed.

NAME.index               a sorted table in LevelDB's format: tensor name -> place of its values
NAME.data-00000-of-00001 the values, raw

    index:  data blocks | index of blocks | footer (48 bytes)
    block:  entries | restart points | their number ‖ kind (1 byte) | checksum
    entry:  length shared with the previous key | rest of key | value
    value:  a small protobuf: type, shape, shard, offset, size, checksum

Every length is checked against the file before it is used, and every checksum is verified.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from unbraid.errors import CheckpointError
from unbraid.zoo.public.crc32c import masked_crc32c
from unbraid.zoo.public.protobuf import Buffer, Reader
from unbraid.zoo.public.refusing import refusing
from unbraid.zoo.stored import KINDS, StoredTensor

_KIND = "TensorFlow checkpoint"
INDEX_SUFFIX = ".index"
_MOST_INDEX_BYTES = 16 << 20
_MOST_TENSORS, _MOST_SHARDS, _MOST_DIMENSIONS = 100_000, 1024, 8
_LONGEST_NAME = 1024
_MAGIC, _FOOTER_BYTES, _TRAILER_BYTES = 0xDB4775248B80FB57, 48, 5
_TYPES = {1: "F32", 9: "I64"}
"""TensorFlow's number of a type -> type of the values."""


def read_bundle(index: Path) -> dict[str, StoredTensor]:
    """All tensors of a bundle by name; values are read and verified on demand.

    Args:
        index: the file NAME.index; the data are in the same folder.
    Raises:
        CheckpointError: if the file is not an index, damaged, or unlike any bundle of weights. A
            tensor's `read` raises it if the checksum of its bytes is wrong.
    """
    with refusing(index, _KIND):
        entries = _entries(_read_index(index))
        header = next(entries, None)
        if header is None or header[0] != b"":
            raise CheckpointError("an index without a header")
        shards = _shards(index, header[1])
        tensors: dict[str, StoredTensor] = {}
        for key, value in entries:
            if len(tensors) == _MOST_TENSORS:
                raise CheckpointError(f"more than {_MOST_TENSORS} tensors")
            tensors[key.decode("utf-8")] = _tensor(_place(value), shards)
        return tensors


def _read_index(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(_MOST_INDEX_BYTES + 1)
    if len(content) > _MOST_INDEX_BYTES:
        raise CheckpointError(f"an index of more than {_MOST_INDEX_BYTES} bytes")
    return content


def _entries(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of the table, in growing order of keys."""
    footer = content[-_FOOTER_BYTES:]
    if len(footer) < _FOOTER_BYTES or int.from_bytes(footer[-8:], "little") != _MAGIC:
        raise CheckpointError("not an index of TensorFlow: its last bytes differ")
    reader = Reader(footer)
    reader.varint(), reader.varint()  # the place of the metaindex block, which is empty
    previous, end = None, 0
    for _, handle in _block(content, reader.varint(), reader.varint()):
        where = Reader(handle)
        start, size = where.varint(), where.varint()
        if start < end:
            raise CheckpointError("blocks that overlap")
        end = start + size + _TRAILER_BYTES
        for key, value in _block(content, start, size):
            if previous is not None and key <= previous:
                raise CheckpointError(f"keys out of order at {key!r:.100}")
            yield key, value
            previous = key


def _block(content: bytes, start: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of one block."""
    if start + size + _TRAILER_BYTES > len(content) - _FOOTER_BYTES:
        raise CheckpointError("a block that reaches beyond the file")
    block, kind = content[start : start + size], content[start + size]
    (checksum,) = struct.unpack_from("<I", content, start + size + 1)
    if kind != 0:
        raise CheckpointError("a compressed index, which TensorFlow does not write")
    if masked_crc32c(content[start : start + size + 1]) != checksum:
        raise CheckpointError("a block of the index is damaged; get the file again")
    (restarts,) = struct.unpack_from("<I", block, size - 4)
    stop = size - 4 * (restarts + 1)
    if stop < 0:
        raise CheckpointError("a block of impossible size")
    reader, key = Reader(block[:stop]), b""
    while not reader.done:
        shared, rest, length = reader.varint(), reader.varint(), reader.varint()
        if shared > len(key) or shared + rest > _LONGEST_NAME:
            raise CheckpointError("a key of impossible length")
        key = key[:shared] + bytes(reader.take(rest))
        yield key, bytes(reader.take(length))


@dataclass(frozen=True)
class _Place:
    """Place, type and shape of a tensor, from the index."""

    kind: str
    shape: tuple[int, ...]
    shard: int
    start: int
    size: int
    checksum: int


def _place(value: bytes) -> _Place:
    found: dict[int, int | Buffer] = {1: 0, 2: b"", 3: 0, 4: 0, 5: 0}
    for number, content in Reader(value).fields():
        if number not in range(1, 7):
            raise CheckpointError("a tensor in slices, or of a newer format")
        if isinstance(content, int) == (number == 2):
            raise CheckpointError("an entry with a field of the wrong kind")
        found[number] = content
    kind, shape = found[1], found[2]
    if kind not in _TYPES or isinstance(shape, int) or 6 not in found:
        raise CheckpointError(
            f"TensorFlow's type {kind!r}; only float32 and int64 with a checksum are read"
        )
    shard, start, size, checksum = (_number(found[number]) for number in (3, 4, 5, 6))
    return _Place(_TYPES[_number(kind)], _shape(shape), shard, start, size, checksum)


def _number(value: int | Buffer) -> int:
    if not isinstance(value, int):
        raise CheckpointError("an entry with a field of the wrong kind")
    return value


def _shape(content: Buffer) -> tuple[int, ...]:
    lengths: list[int] = []
    for number, dimension in Reader(content).fields():
        if number != 2 or isinstance(dimension, int) or len(lengths) == _MOST_DIMENSIONS:
            raise CheckpointError("a tensor of impossible shape")
        sizes = [size for field, size in Reader(dimension).fields() if field == 1]
        lengths.append(int(sizes[-1]) if sizes and isinstance(sizes[-1], int) else 0)
    return tuple(lengths)


def data_files(index: Path) -> list[Path]:
    """The files with the values of the bundle with this index."""
    with refusing(index, _KIND):
        _, header = next(_entries(_read_index(index)))
        return [path for path, _ in _shards(index, header)]


def _shards(index: Path, header: bytes) -> list[tuple[Path, int]]:
    """The files with data, and their sizes."""
    found: dict[int, int | Buffer] = {1: 0, 2: 0}
    found.update(Reader(header).fields())
    count = found[1]
    if not isinstance(count, int) or not 1 <= count <= _MOST_SHARDS or found[2] != 0:
        raise CheckpointError(f"a bundle of 1 to {_MOST_SHARDS} little-endian files is read")
    names = (f"{index.stem}.data-{shard:05d}-of-{count:05d}" for shard in range(count))
    paths = [index.with_name(name) for name in names]
    return [(path, path.stat().st_size) for path in paths]


def _tensor(place: _Place, shards: list[tuple[Path, int]]) -> StoredTensor:
    if place.shard >= len(shards):
        raise CheckpointError(f"a tensor in file {place.shard} of {len(shards)}")
    path, file_bytes = shards[place.shard]
    if place.start + place.size > file_bytes:
        raise CheckpointError(f"a tensor that reaches beyond the end of {path.name}")
    if math.prod(place.shape) * np.dtype(KINDS[place.kind]).itemsize != place.size:
        raise CheckpointError(f"a tensor of shape {place.shape} in {place.size} bytes")
    return StoredTensor(place.shape, place.kind, partial(_read, path, place))


def _read(path: Path, place: _Place) -> np.ndarray:
    with refusing(path, _KIND):
        if place.size == 0:
            return np.zeros(place.shape, KINDS[place.kind])
        content = np.asarray(
            np.memmap(path, np.uint8, "r", offset=place.start, shape=(place.size,))
        )
        if masked_crc32c(content) != place.checksum:
            raise CheckpointError("values with a wrong checksum; download the file again")
        result: np.ndarray = content.view(np.dtype(KINDS[place.kind]).newbyteorder("<")).reshape(
            place.shape
        )
        return result
