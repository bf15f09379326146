"""KUIELAB-MDX-Net in ONNX, as its authors publish it: a graph for each stem.

    input (b, 4, bins, frames) ── Conv · Relu · Transpose ── blocks ── Transpose · Conv ── output

Norms behind convolutions are merged into them, and names say nothing, so weights are found by the
order of the nodes: the graph is walked along the network's own way, and every node, connection and
setting that differs is refused. A merged norm comes back as one that changes nothing.

A file says neither its stem nor the size of its STFT: they follow from its name (bass.onnx, ...)
as in the published four, or are in the YAML of its training, next to it or given.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unbraid.errors import CheckpointError
from unbraid.zoo.public.onnx_graph import Graph, Node, read_graph
from unbraid.zoo.public.package import naming
from unbraid.zoo.public.systems import stem_in, stored_system
from unbraid.zoo.public.weights import settings_beside
from unbraid.zoo.public.yaml_data import read_yaml
from unbraid.zoo.stored import StoredModel, StoredTensor

EPSILON = 1e-5
"""Of all norms of this network."""

_N_FFT_OF_BINS = {"bass": 8, "drums": 2, "other": 4, "vocals": 3}
"""Stem -> size of its STFT for each bin that its network sees, in all published files."""
_HOP, _RATE = 1024, 44100
_GIVEN = {"n_fft": "n_fft", "hop_length": "hop"}
_SWAP = (0, 1, 3, 2)


def open_graph(path: Path, settings: Path | None = None) -> StoredModel:
    """The network in the graph at `path`; weights are read on demand.

    Args:
        settings: YAML with `n_fft`, `hop_length` and `target_name`; None: next to the file, if any.
    Raises:
        CheckpointError: if it is damaged, or any other graph.
    """
    graph = read_graph(path)
    with naming(path):
        state = _Walk(graph).network()
        bins, frames = _input(graph)
        given = _given(settings or settings_beside(path))
        stem = given.pop("stem", None) or stem_in(path.stem)
        n_fft = given.pop("n_fft", None) or bins * _N_FFT_OF_BINS.get(stem, 0)
        if not n_fft:
            raise CheckpointError(
                "the graph does not say the size of its STFT, and its name no known stem "
                f"({', '.join(_N_FFT_OF_BINS)}); give it a YAML with n_fft and target_name "
                "(--config FILE)"
            )
        hop = given.pop("hop", _HOP)
        changes = {"stems": (stem,), "bins": bins, "hop": hop, "n_ffts": (n_fft,)}
        changes["segment_s"] = hop * (frames - 1) / _RATE
    found = stored_system(path, {**state, "window": _filled((1,), 1.0)}, changes)
    assert found is not None  # its weights tell the system
    return found


def _given(settings: Path | None) -> dict[str, Any]:
    """What a YAML says of the STFT and the stem."""
    if settings is None:
        return {}
    content = read_yaml(settings)
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{settings}: not a table of settings")
    found: dict[str, Any] = {}
    for theirs, ours in _GIVEN.items():
        value = content.get(theirs)
        if value is not None and (type(value) is not int or not 1 <= value <= 1 << 17):
            raise CheckpointError(f"{settings}: {theirs} is a whole number, got {value!r:.80}")
        if value is not None:
            found[ours] = value
    if isinstance(stem := content.get("target_name"), str):
        found["stem"] = stem
    return found


def _input(graph: Graph) -> tuple[int, int]:
    """Bins and frames that the graph takes."""
    shapes = list(graph.inputs.values())
    if len(shapes) != 1 or len(shapes[0]) != 4 or not min(shapes[0][2:]):
        raise CheckpointError(f"a graph with inputs {shapes!s:.100}, not (batch, 4, bins, frames)")
    return shapes[0][2], shapes[0][3]


def _filled(shape: tuple[int, ...], value: float) -> StoredTensor:
    return StoredTensor(shape, "F32", lambda: np.full(shape, value, np.float32))


class _Walk:
    """Goes through the nodes one by one and collects weights under their names in training."""

    def __init__(self, graph: Graph) -> None:
        self._graph, self._at = graph, 0
        self._state: dict[str, StoredTensor] = {}
        self._last = next(iter(graph.inputs), "")

    def network(self) -> dict[str, StoredTensor]:
        """All weights; the layers are named in the order of the figure."""
        levels = sum(node.kind == "ConvTranspose" for node in self._graph.nodes)
        self._convolve("first_conv", 1)
        self._take("Transpose", perm=_SWAP)
        skips = []
        for level in range(levels):
            self._block(f"encoding_blocks.{level}")
            skips.append(self._last)
            self._convolve(f"ds.{level}", 2)
        self._block("bottleneck_block")
        for level in range(levels):
            self._convolve(f"us.{level}", 2, "ConvTranspose")
            self._take("Mul", with_=skips.pop())
            self._block(f"decoding_blocks.{level}")
        self._take("Transpose", perm=_SWAP)
        self._weights("final_conv.0", self._convolution("Conv", 1))
        if self._at != len(self._graph.nodes) or self._graph.outputs != (self._last,):
            raise _unlike("it goes on behind the last convolution")
        return self._state

    def _block(self, name: str) -> None:
        layer = 0
        while self._next("Conv") and self._node.attributes.get("strides") == (1, 1):
            self._convolve(f"{name}.tfc.H.{layer}", 1)
            layer += 1
        before, step = self._last, 0
        while self._next("MatMul"):
            self._linear(f"{name}.tdf.{step}")
            self._norm(f"{name}.tdf.{step + 1}", None)
            self._take("Relu")
            step += 3
        if step:
            self._take("Add", with_=before)

    def _convolve(self, name: str, stride: int, kind: str = "Conv") -> None:
        """A convolution, its norm, ReLU."""
        node = self._convolution(kind, stride)
        self._weights(f"{name}.0", node)
        features = self._weight(node.inputs[2]).shape[0]
        self._norm(f"{name}.1", features)
        self._take("Relu")

    def _convolution(self, kind: str, stride: int) -> Node:
        node = self._take(kind, strides=(stride, stride))
        if len(node.inputs) != 3:
            raise _unlike("a convolution without a bias")
        kernel = self._weight(node.inputs[1]).shape[2:]
        pads = (kernel[0] // 2,) * 4 if stride == 1 and kernel else (0, 0, 0, 0)
        if len(set(kernel)) != 1 or node.attributes.get("pads", (0, 0, 0, 0)) != pads:
            raise _unlike(f"a convolution of size {kernel} with other margins")
        if node.attributes.get("group", 1) != 1 or {*_ints(node, "dilations")} - {1}:
            raise _unlike("a convolution in groups or with gaps")
        return node

    def _weights(self, name: str, node: Node) -> None:
        for kind, weight in zip(("weight", "bias"), node.inputs[1:], strict=True):
            self._state[f"{name}.{kind}"] = self._weight(weight)

    def _linear(self, name: str) -> None:
        """A matrix product over frequency, and perhaps a bias behind it."""
        node = self._take("MatMul")
        stored = self._weight(node.inputs[-1])
        turned = StoredTensor(
            stored.shape[::-1], stored.kind, lambda: np.ascontiguousarray(stored.read().T)
        )
        self._state[f"{name}.weight"] = turned
        if self._next("Add"):
            inputs = [key for key in self._take("Add").inputs if key in self._graph.weights]
            self._state[f"{name}.bias"] = self._weight(inputs[0] if inputs else "")

    def _norm(self, name: str, merged: int | None) -> None:
        """A batch norm; if it was merged, one of `merged` features that changes nothing."""
        names = ("weight", "bias", "running_mean", "running_var")
        if merged is not None and not self._next("BatchNormalization"):
            values = (1.0, 0.0, 0.0, 1.0 - EPSILON)
            found = {
                key: _filled((merged,), value) for key, value in zip(names, values, strict=True)
            }
        else:
            node = self._take("BatchNormalization")
            epsilon = node.attributes.get("epsilon", EPSILON)
            if not isinstance(epsilon, float) or abs(epsilon - EPSILON) > 1e-9:
                raise _unlike(f"a norm with epsilon {epsilon}")
            if len(node.inputs) != 5:
                raise _unlike("a norm without statistics")
            found = {
                key: self._weight(value) for key, value in zip(names, node.inputs[1:], strict=True)
            }
        self._state |= {f"{name}.{key}": value for key, value in found.items()}

    @property
    def _node(self) -> Node:
        return self._graph.nodes[self._at]

    def _next(self, kind: str) -> bool:
        return self._at < len(self._graph.nodes) and self._node.kind == kind

    def _take(self, kind: str, with_: str = "", **settings: tuple[int, ...]) -> Node:
        """The next node, which must be of this kind and go on from the one before.

        Args:
            with_: a further input.
            settings: attributes that it must have.
        """
        if not self._next(kind):
            there = self._node.kind if self._at < len(self._graph.nodes) else "the end"
            raise _unlike(f"it has {there!s:.80} where {kind} belongs (node {self._at})")
        node = self._node
        inputs = node.inputs if kind in ("Add", "Mul") else node.inputs[:1]
        fits = all(node.attributes.get(key) == value for key, value in settings.items())
        if self._last not in inputs or not {with_} <= {"", *inputs} or not node.outputs or not fits:
            raise _unlike(f"its {kind} (node {self._at}) is connected or set differently")
        self._at += 1
        self._last = node.outputs[0]
        return node

    def _weight(self, name: str) -> StoredTensor:
        if name not in self._graph.weights:
            raise _unlike(f"no weight {name!r:.100}")
        return self._graph.weights[name]


def _ints(node: Node, name: str) -> tuple[int, ...]:
    value = node.attributes.get(name, ())
    return value if isinstance(value, tuple) else ()


def _unlike(what: str) -> CheckpointError:
    return CheckpointError(
        "neither a file of unbraid export nor a KUIELAB-MDX-Net, the only network that is read "
        f"from other ONNX files: {what}"
    )
