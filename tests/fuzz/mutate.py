"""Small, random damage to files: in the header more often than behind it."""

from __future__ import annotations

import numpy as np

_EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1)


def mutated(content: bytes, others: list[bytes], rng: np.random.Generator) -> bytes:
    """A copy with one to eight changes; `others` are files of which pieces may come in."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 9))):
        if not data:
            break
        reach = int(rng.choice([64, 512, 4096, len(data)], p=[0.4, 0.3, 0.15, 0.15]))
        at = int(rng.integers(min(reach, len(data))))
        _change(data, at, others, rng)
    return bytes(data)


def _change(data: bytearray, at: int, others: list[bytes], rng: np.random.Generator) -> None:
    kind = rng.choice(["bit", "byte", "number", "cut", "repeat", "drop", "piece"],
                      p=[0.25, 0.2, 0.3, 0.04, 0.07, 0.07, 0.07])  # fmt: skip
    length = int(rng.integers(1, 200))
    if kind == "bit":
        data[at] ^= 1 << int(rng.integers(8))
    elif kind == "byte":
        data[at] = int(rng.integers(256))
    elif kind == "number":
        size = int(rng.choice([1, 2, 4, 8]))
        value = int(rng.choice(_EXTREMES)) % (1 << 8 * size)
        data[at : at + size] = value.to_bytes(size, str(rng.choice(["little", "big"])))
    elif kind == "cut":
        del data[at:]
    elif kind == "repeat":
        data[at:at] = data[at : at + length]
    elif kind == "drop":
        del data[at : at + length]
    else:
        other = others[int(rng.integers(len(others)))]
        start = int(rng.integers(max(1, len(other) - length)))
        data[at : at + length] = other[start : start + length]
