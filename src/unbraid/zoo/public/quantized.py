"""Weights that public models hold in a few bits each (DiffQ, Défossez et al. 2021,
arXiv:2104.09987).

Large parameters are stored in groups of values, each group with its own bit width. Parameters have
no names; they are in the order in which the public code registers them. Bits are stored in planes:

    value  line * 2048 + o * 32 + q,  bit j   ──►   word [line, j, q],  bit o

Before version 0.2, DiffQ stored a byte or two for each value, and did not say how it was set.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unbraid.errors import CheckpointError
from unbraid.zoo.stored import StoredTensor, is_float, kind_of, need_tensor, read_array

MARKER = "__quantized"
LINE = 64 * 32
"""Values in one line of words."""

MIN_BITS = 2
MAX_BITS = 15


def is_quantized(state: Mapping[Any, Any]) -> bool:
    """Whether a state is quantized."""
    return bool(state.get(MARKER))


def unpack_state(
    state: Mapping[Any, Any], shapes: Mapping[str, tuple[int, ...]], names: Mapping[str, str]
) -> dict[str, Any]:
    """The tensors of a quantized state by public name; each is unpacked when it is read.

    Args:
        state: as stored in the file.
        shapes: of the model's weights, by our names.
        names: our names -> public ones, in the public order.
    Raises:
        CheckpointError: if the state does not fit the model, or has an unknown form.
    """
    old = "meta" not in state
    counts = [math.prod(shapes[own]) for own in names]
    group_size, least = (0, _least(counts, state)) if old else _settings(state["meta"])
    large, small = _items(state, "quantized"), _items(state, "others")
    if any(True for _ in _items(state, "float16")):
        raise CheckpointError("a quantized state with half-precision parts; this form is unknown")
    unpacked = {}
    for own, public in names.items():
        shape = shapes[own]
        quantized = math.prod(shape) > least
        item = next(large if quantized else small, None)
        if item is None:
            raise CheckpointError(f"a quantized state that ends before {public}")
        if not quantized:
            unpacked[public] = need_tensor(item, public)
        elif old:
            unpacked[public] = _stored_levels(item, shape, public)
        else:
            unpacked[public] = _stored(item, shape, group_size, public)
    if next(large, None) is not None or next(small, None) is not None:
        raise CheckpointError("a quantized state with more parameters than the model")
    return unpacked


def _items(state: Mapping[Any, Any], key: str) -> Iterator[Any]:
    items = state.get(key)
    if not isinstance(items, (list, tuple)):
        raise CheckpointError(f"a quantized state without its {key!r}")
    return iter(items)


def _least(counts: list[int], state: Mapping[Any, Any]) -> int:
    """The number of values up to which a parameter is not quantized: the largest ones are."""
    large = sum(1 for _ in _items(state, "quantized"))
    ordered = sorted(counts, reverse=True)
    least = ordered[large] if large < len(ordered) else 0
    if large > len(ordered) or (large and ordered[large - 1] <= least):
        raise CheckpointError("a quantized state of other parameters than the model")
    return least


def _settings(meta: Any) -> tuple[int, int]:
    """Group size, and the number of values up to which a parameter is not quantized."""
    arguments = meta.get("init_kwargs") if isinstance(meta, dict) else None
    if not isinstance(arguments, dict) or meta.get("packed") is not True:
        raise CheckpointError("a quantized state that is not packed in the known way")
    group_size, megabytes = arguments.get("group_size", 1), arguments.get("min_size", 0.01)
    if arguments.get("float16") or arguments.get("min_bits", MIN_BITS) != MIN_BITS:
        raise CheckpointError("a quantized state of unknown settings")
    if type(group_size) is not int or not 1 <= group_size <= 1024:
        raise CheckpointError("a quantized state of unknown group size")
    if not isinstance(megabytes, (int, float)) or not 0 <= megabytes < 1e6:
        raise CheckpointError("a quantized state of unknown least size")
    return group_size, int(megabytes * 2**20 / 4)


def _stored(item: Any, shape: tuple[int, ...], group_size: int, name: str) -> StoredTensor:
    levels, bounds, widths = _parts(item, name)
    groups, rest = divmod(math.prod(shape), group_size)
    if rest:
        raise CheckpointError(f"{name} does not divide into groups of {group_size}")
    _check_words(widths, groups, name)
    for words in levels:
        if words is not None:
            _check_words(words, None, name)
    read = partial(_unpack, levels, bounds, widths, shape, group_size, name)
    return StoredTensor(shape, "F32", read)


def _stored_levels(item: Any, shape: tuple[int, ...], name: str) -> StoredTensor:
    """A parameter of which each value has a level of its own, and each group a number of bits."""
    if not isinstance(item, (list, tuple)) or len(item) != 3:
        raise CheckpointError(f"{name} is not quantized in the known way")
    levels, bounds, widths = item
    if not isinstance(bounds, (list, tuple)) or len(bounds) != 2:
        raise CheckpointError(f"{name} is not quantized in the known way")
    low, high = (_number(bound, name) for bound in bounds)
    kinds = kind_of(need_tensor(levels, name)), kind_of(need_tensor(widths, name))
    groups, count = math.prod(widths.shape), math.prod(levels.shape)
    if kinds[0] not in ("U8", "I16") or kinds[1] != "U8" or len(levels.shape) != 2:
        raise CheckpointError(f"{name} has levels of no known type, {kinds}")
    if count != math.prod(shape) or levels.shape[0] != groups:
        raise CheckpointError(f"{name} has levels for {count} values in {groups} groups")

    def read() -> np.ndarray:
        bits = read_array(widths).reshape(-1, 1)
        values = _values(read_array(levels), bits, low, high)
        return values.reshape(shape)

    return StoredTensor(shape, "F32", read)


def _values(level: np.ndarray, bits: Any, low: float, high: float) -> NDArray[np.float32]:
    """Levels of so many bits as numbers from `low` to `high`, rounded as DiffQ rounds."""
    unit = np.float32(1) / (np.float32(2) ** np.asarray(bits, np.float32) - np.float32(1))
    values = level.astype(np.float32) * unit
    scaled: NDArray[np.float32] = values * np.float32(high - low) + np.float32(low)
    return scaled


def _parts(item: Any, name: str) -> tuple[list[Any], tuple[float, float], Any]:
    if not isinstance(item, (list, tuple)) or len(item) != 3:
        raise CheckpointError(f"{name} is not quantized in the known way")
    levels, bounds, widths = item
    fine = isinstance(levels, (list, tuple)) and len(levels) < MAX_BITS
    if not fine or not isinstance(bounds, (list, tuple)) or len(bounds) != 2:
        raise CheckpointError(f"{name} is not quantized in the known way")
    checked = [None if words is None else need_tensor(words, name) for words in levels]
    low, high = (_number(bound, name) for bound in bounds)
    return checked, (low, high), need_tensor(widths, name)


def _number(value: Any, name: str) -> float:
    if is_float(value) and math.prod(value.shape) == 1:
        value = float(read_array(value).reshape(()))
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        raise CheckpointError(f"{name} has no bounds")
    return float(value)


def _check_words(words: Any, values: int | None, name: str) -> None:
    """Planes of bits for this many values (None: not known yet)."""
    shape = tuple(words.shape)
    kind = kind_of(words)
    if kind != "I64" or len(shape) != 3 or shape[2] != 32 or shape[1] > MAX_BITS:
        raise CheckpointError(f"{name} is packed in no known way: {kind} {shape}")
    if values is not None and shape[0] != -(-values // LINE):
        raise CheckpointError(f"{name} has bit widths for other groups than its own")


def _unpack(
    levels: list[Any],
    bounds: tuple[float, float],
    widths: Any,
    shape: tuple[int, ...],
    group_size: int,
    name: str,
) -> np.ndarray:
    groups = math.prod(shape) // group_size
    bits = unpack_bits(read_array(widths), groups) + MIN_BITS
    values = np.empty((groups, group_size), dtype=np.float32)
    low, high = bounds
    for width in np.unique(bits):
        rows = np.flatnonzero(bits == width)
        words = levels[width - 1] if width - 1 < len(levels) else None
        if words is None:
            raise CheckpointError(f"{name} has groups of {width} bits, and no levels for them")
        _check_words(words, len(rows) * group_size, name)
        level = unpack_bits(read_array(words), len(rows) * group_size)
        values[rows] = _values(level.reshape(len(rows), group_size), int(width), low, high)
    return values.reshape(shape)


def unpack_bits(words: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The first `count` numbers in planes of bits, int64 (lines, bits, 32).

    >>> words = np.zeros((1, 2, 32), dtype=np.int64)
    >>> words[0, 1, 3] = 1  # bit 1 of value 3
    >>> unpack_bits(words, 5)
    array([0, 0, 0, 2, 0])
    """
    planes = words.astype("<i8", copy=False).view("<u8")
    lines, bits, _ = planes.shape
    values = np.zeros((lines, 64, 32), dtype=np.int64)
    places = np.arange(64, dtype=np.uint64)[None, :, None]
    for bit in range(bits):
        values |= ((planes[:, bit, None, :] >> places) & np.uint64(1)).astype(np.int64) << bit
    return values.reshape(-1)[:count]
