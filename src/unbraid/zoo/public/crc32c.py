"""CRC-32C (Castagnoli), as TensorFlow and LevelDB write it into their files.

A loop over bytes is too slow in Python for many megabytes of weights. Here the data are split into
rows of equal length; their checksums are computed in parallel and then joined: the checksum of
"a then b" is that of a, advanced by the length of b, XOR that of b.
"""

from __future__ import annotations

import functools

import numpy as np

_POLYNOMIAL = 0x82F63B78  # bits reversed
_ROW_BYTES = 4096


def crc32c(data: bytes | np.ndarray) -> int:
    """The checksum of some bytes.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    content = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else data.view(np.uint8)
    if content.size < 2 * _ROW_BYTES:
        return _in_a_loop(content.tobytes(), 0xFFFFFFFF) ^ 0xFFFFFFFF
    # Zeros in front change nothing when the register starts at 0; starting it at all ones is the
    # same as inverting the first four bytes.
    count = 1 << (-(-content.size // _ROW_BYTES) - 1).bit_length()
    rows = np.zeros(count * _ROW_BYTES, np.uint8)
    rows[-content.size :] = content
    rows[-content.size : 4 - content.size] ^= 0xFF
    columns = np.ascontiguousarray(rows.reshape(count, _ROW_BYTES).T)
    table = np.array(_table(), np.uint32)
    found = np.zeros(count, np.uint32)
    for column in columns:
        found = table[(found ^ column) & np.uint32(0xFF)] ^ (found >> np.uint32(8))
    operator = _moved_by_row()
    while len(found) > 1:
        found = _apply(operator, found[0::2]) ^ found[1::2]
        operator = _apply(operator, operator)
    return int(found[0]) ^ 0xFFFFFFFF


def masked_crc32c(data: bytes | np.ndarray) -> int:
    """The checksum as stored in files: rotated and offset, so that data may contain checksums."""
    found = crc32c(data)
    return ((found >> 15 | found << 17) + 0xA282EAD8) & 0xFFFFFFFF


@functools.cache
def _table() -> tuple[int, ...]:
    entries = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        entries.append(value)
    return tuple(entries)


def _in_a_loop(content: bytes, register: int) -> int:
    table = _table()
    for byte in content:
        register = table[(register ^ byte) & 0xFF] ^ register >> 8
    return register


@functools.cache
def _moved_by_row() -> np.ndarray:
    """What each bit of a register becomes after `_ROW_BYTES` zero bytes."""
    operator = np.array([_in_a_loop(b"\0", 1 << bit) for bit in range(32)], np.uint32)
    for _ in range(_ROW_BYTES.bit_length() - 1):
        operator = _apply(operator, operator)
    return operator


def _apply(operator: np.ndarray, registers: np.ndarray) -> np.ndarray:
    """A linear map over bits, on many registers."""
    found = np.zeros_like(registers)
    for bit in range(32):
        found ^= np.where(registers >> np.uint32(bit) & np.uint32(1), operator[bit], np.uint32(0))
    return found
