"""Compressed weights, uncompressed once into the cache, where they can be read piece by piece."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from pathlib import Path

from unbraid.atomic import replacing
from unbraid.cache_root import cache_root
from unbraid.errors import CheckpointError
from unbraid.zoo.hashes import sha256_of

GZIP_START = b"\x1f\x8b"
"""The first bytes of a file compressed by gzip."""

MOST_BYTES = 8 << 30
MOST_RATIO = 1100
"""Nothing that deflate compresses is more times as large as this."""
_BLOCK = 1 << 20


def unpack_gzip(path: Path) -> Path:
    """The content of the gzip file at `path`, as a file in the cache.

    Raises:
        CheckpointError: if it is damaged or too large, or the cache cannot be written.
    """
    return _unpacked(path, sha256_of(path), path.stat().st_size, _of_gzip(path))


def unpack_bytes(path: Path, content: bytes) -> Path:
    """What zlib compressed to `content`, as a file in the cache.

    Args:
        path: the file that holds it, for messages.
    Raises:
        CheckpointError: as `unpack_gzip`.
    """
    digest = hashlib.sha256(content).hexdigest()
    return _unpacked(path, digest, len(content), _of_bytes(content))


def _of_gzip(path: Path) -> Iterator[bytes]:
    with gzip.open(path) as file:
        while block := file.read(_BLOCK):
            yield block


def _of_bytes(content: bytes) -> Iterator[bytes]:
    decoder, left = zlib.decompressobj(), content
    while block := decoder.decompress(left, _BLOCK):
        yield block
        left = decoder.unconsumed_tail
    if not decoder.eof:
        raise EOFError("the compressed weights end too early")


def _unpacked(path: Path, digest: str, packed_bytes: int, blocks: Iterator[bytes]) -> Path:
    folder = cache_root() / "unpacked"
    target = folder / f"{digest}.th"
    if target.is_file():
        return target
    most = min(MOST_BYTES, MOST_RATIO * packed_bytes)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(target) as part, part.open("wb") as file:
            for block in blocks:
                if file.tell() + len(block) > most:
                    raise CheckpointError(f"{path}: refused: it unpacks to more than {most} bytes")
                file.write(block)
    except (OSError, EOFError, zlib.error) as error:
        raise CheckpointError(
            f"{path}: cannot be unpacked into {folder} ({error!s:.200}); get the file again, or "
            "make room"
        ) from error
    return target
