"""Graphs in ONNX files, read without onnx: nodes, and weights that stay in the file.

An ONNX file is a protocol buffer. Of it these are read: operators, their attributes and the names
that connect them; weights, which are raw bytes; the shape of the input; names of the metadata.
Nothing of a graph is run here. Every length is checked against the file before it is used.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from unbraid.errors import CheckpointError
from unbraid.zoo.public.protobuf import Buffer, Reader, signed
from unbraid.zoo.public.refusing import refusing
from unbraid.zoo.stored import KINDS, StoredTensor

_KIND = "ONNX file"
ONNX_SUFFIX = ".onnx"
"""Suffix of graphs; the format has no signature to recognize it by."""

OUR_METADATA = "unbraid"
"""Name of the metadata in what `unbraid export` writes."""

_MOST_NODES, _MOST_WEIGHTS, _MOST_DIMENSIONS, _LONGEST_NAME = 20_000, 20_000, 8, 1024
_TYPES = {1: "F32", 7: "I64", 10: "F16", 11: "F64"}
"""ONNX's number of a type -> type of the values."""

Value = int | float | tuple[int, ...]


@dataclass(frozen=True)
class Node:
    """An operator.

    Attributes:
        kind: its name in ONNX.
        inputs, outputs: names of what it takes and gives.
        attributes: its settings that are numbers.
    """

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """Nodes in the order in which they run.

    Attributes:
        nodes: without those that only rename a weight.
        weights: by name.
        inputs: shape of each input except weights, by name; 0 for an axis of any length.
        outputs: names.
    """

    nodes: tuple[Node, ...]
    weights: Mapping[str, StoredTensor]
    inputs: Mapping[str, tuple[int, ...]]
    outputs: tuple[str, ...]


def is_exported(path: Path) -> bool:
    """Whether this is a file of `unbraid export`, to be run by onnxruntime as it is.

    Raises:
        CheckpointError: if it is an ONNX file by name only.
    """
    if path.suffix != ONNX_SUFFIX or not path.is_file():
        return False
    with refusing(path, _KIND):
        _, entries = _model(path)
        return any(_text(_one(Reader(entry), 1)) == OUR_METADATA for entry in entries)


def read_graph(path: Path) -> Graph:
    """The graph in the file at `path`; the values of its weights are read later.

    Raises:
        CheckpointError: if the file is damaged, not ONNX, or keeps weights in another file.
    """
    with refusing(path, _KIND):
        content, _ = _model(path)
        return _graph(path, content)


def _model(path: Path) -> tuple[Reader, list[Buffer]]:
    """The graph of a file, and the entries of its metadata."""
    mapped = np.memmap(path, np.uint8, "r")
    reader, graph, entries = Reader(memoryview(mapped.data)), None, []
    try:
        for number, content in reader.fields():
            if number == 7 and not isinstance(content, int):
                graph = Reader(content, reader.position - len(content))
            if number == 14 and not isinstance(content, int):
                entries.append(content)
    except CheckpointError as error:
        raise CheckpointError(f"not an ONNX file, or a damaged one ({error})") from error
    if graph is None:
        raise CheckpointError("an ONNX file without a graph")
    return graph, entries


def _graph(path: Path, reader: Reader) -> Graph:
    nodes: list[Node] = []
    weights: dict[str, StoredTensor] = {}
    inputs: dict[str, tuple[int, ...]] = {}
    outputs: list[str] = []
    for number, content in reader.fields():
        if isinstance(content, int):
            continue
        if number == 1:
            nodes.append(_node(content))
        elif number == 5:
            weights |= _weight(path, Reader(content, reader.position - len(content)))
        elif number == 11:
            inputs[_text(_one(Reader(content), 1))] = _input_shape(content)
        elif number == 12:
            outputs.append(_text(_one(Reader(content), 1)))
        if len(nodes) > _MOST_NODES or len(weights) > _MOST_WEIGHTS:
            raise CheckpointError(f"more than {_MOST_NODES} nodes or {_MOST_WEIGHTS} weights")
    kept = []
    for node in nodes:  # equal weights are stored once and renamed
        if node.kind == "Identity" and node.inputs[:1] and node.inputs[0] in weights:
            weights.update(dict.fromkeys(node.outputs, weights[node.inputs[0]]))
        else:
            kept.append(node)
    real = {name: shape for name, shape in inputs.items() if name not in weights}
    return Graph(tuple(kept), weights, real, tuple(outputs))


def _one(reader: Reader, wanted: int) -> Buffer:
    """The last value of a field of bytes; empty if there is none."""
    found: Buffer = b""
    for number, content in reader.fields():
        if number == wanted and not isinstance(content, int):
            found = content
    return found


def _text(content: int | Buffer) -> str:
    if isinstance(content, int) or len(content) > _LONGEST_NAME:
        raise CheckpointError("a name of impossible length")
    return bytes(content).decode("utf-8")


def _node(content: Buffer) -> Node:
    inputs, outputs, attributes, kind = [], [], {}, ""
    for number, value in Reader(content).fields():
        if number == 1:
            inputs.append(_text(value))
        elif number == 2:
            outputs.append(_text(value))
        elif number == 4:
            kind = _text(value)
        elif number == 5 and not isinstance(value, int):
            name, setting = _attribute(value)
            if setting is not None:
                attributes[name] = setting
    return Node(kind, tuple(inputs), tuple(outputs), attributes)


def _attribute(content: Buffer) -> tuple[str, Value | None]:
    """Name and value of a setting; None for one that is not a number."""
    name, several = "", []
    found: Value | None = None
    for number, value in Reader(content).fields():
        if number == 1:
            name = _text(value)
        elif number == 2 and isinstance(value, int):
            (found,) = struct.unpack("<f", struct.pack("<I", value))
        elif number == 3 and isinstance(value, int):
            found = signed(value)
        elif number == 8:
            several += _numbers(value)
    return name, tuple(several) if several else found


def _numbers(value: int | Buffer) -> list[int]:
    """A repeated number: one of them, or all in one field."""
    if isinstance(value, int):
        return [signed(value)]
    reader, found = Reader(value), []
    while not reader.done:
        found.append(signed(reader.varint()))
    return found


def _weight(path: Path, reader: Reader) -> dict[str, StoredTensor]:
    """A weight by its name; none if it is not of a type that networks are made of."""
    shape: list[int] = []
    name, kind, place = "", 0, None
    for number, value in reader.fields():
        if number == 1:
            shape += _numbers(value)
        elif number == 2 and isinstance(value, int):
            kind = value
        elif number == 8:
            name = _text(value)
        elif number == 9 and not isinstance(value, int):
            place = reader.position - len(value), len(value)
        elif number in (13, 14) and value:
            raise CheckpointError("a graph with weights in another file")
    if kind not in _TYPES:
        return {}
    if len(shape) > _MOST_DIMENSIONS or min(shape, default=0) < 0:
        raise CheckpointError(f"weight {name!r:.100} of shape {shape!s:.80}")
    stored = _TYPES[kind]
    needed = math.prod(shape) * np.dtype(KINDS[stored]).itemsize
    start, size = place or (0, 0)
    if size != needed:
        raise CheckpointError(f"weight {name!r:.100} of shape {tuple(shape)} in {size} raw bytes")
    read = partial(_read, path, stored, start, shape)
    return {name: StoredTensor(tuple(shape), stored, read)}


def _read(path: Path, kind: str, start: int, shape: list[int]) -> np.ndarray:
    with refusing(path, _KIND):
        if not math.prod(shape):
            return np.zeros(shape, KINDS[kind])
        size = math.prod(shape) * np.dtype(KINDS[kind]).itemsize
        content = np.asarray(np.memmap(path, np.uint8, "r", offset=start, shape=(size,)))
        result: np.ndarray = content.view(np.dtype(KINDS[kind]).newbyteorder("<")).reshape(shape)
        return result


def _input_shape(content: Buffer) -> tuple[int, ...]:
    """Lengths of the axes of an input."""
    tensor = _one(Reader(_one(Reader(content), 2)), 1)
    lengths: list[int] = []
    for number, axis in Reader(_one(Reader(tensor), 2)).fields():
        if number != 1 or isinstance(axis, int) or len(lengths) == _MOST_DIMENSIONS:
            raise CheckpointError("an input of impossible shape")
        fixed = [value for field, value in Reader(axis).fields() if field == 1]
        lengths.append(int(fixed[-1]) if fixed and isinstance(fixed[-1], int) else 0)
    return tuple(lengths)
