"""Small TensorFlow bundles, written byte by byte as TensorFlow writes them."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from unbraid.zoo.public.crc32c import masked_crc32c

TYPES = {"float32": 1, "int64": 9}


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3) + varint(value)


def entry(values: np.ndarray, at: int, **changed: int) -> bytes:
    """What the index says of a tensor; `changed` replaces kind, shard, start, size or checksum."""
    facts = {
        "kind": TYPES[str(values.dtype)],
        "shard": 0,
        "start": at,
        "size": values.nbytes,
        "checksum": masked_crc32c(values.tobytes()),
    } | changed
    shape = b"".join(field(2, field(1, length)) for length in values.shape)
    return (
        field(1, facts["kind"]) + field(2, shape) + field(3, facts["shard"])
        + field(4, facts["start"]) + field(5, facts["size"])
        + varint(6 << 3 | 5) + struct.pack("<I", facts["checksum"])
    )  # fmt: skip


def block(entries: Mapping[bytes, bytes]) -> bytes:
    """Keys share what they have in common with the one before."""
    out, previous = b"", b""
    for key, value in entries.items():
        shared = 0
        while shared < min(len(key), len(previous)) and key[shared] == previous[shared]:
            shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value))
        out, previous = out + key[shared:] + value, key
    return out + struct.pack("<II", 0, 1)


def with_trailer(content: bytes, kind: int = 0) -> bytes:
    whole = content + bytes([kind])
    return whole + struct.pack("<I", masked_crc32c(whole))


def index(entries: Mapping[bytes, bytes], kind: int = 0) -> bytes:
    data = block(entries)
    blocks = block({b"zzz": varint(0) + varint(len(data))})
    file = with_trailer(data, kind)
    where = varint(0) + varint(0) + varint(len(file)) + varint(len(blocks))
    footer = where.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
    return file + with_trailer(blocks) + footer


HEADER = field(1, 1) + field(3, field(1, 1))


def write_bundle(
    folder: Path, tensors: Mapping[str, np.ndarray], header: bytes = HEADER, **changed: int
) -> Path:
    """Writes NAME.index and its data; returns the path of the index."""
    content, entries = b"", {b"": header}
    for name in sorted(tensors):
        entries[name.encode()] = entry(tensors[name], len(content), **changed)
        content += tensors[name].tobytes()
    path = folder / "model.index"
    path.write_bytes(index(entries))
    (folder / "model.data-00000-of-00001").write_bytes(content)
    return path
