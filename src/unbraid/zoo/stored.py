"""Models as plain data: an architecture, its config, and weights that are still in a file.

Nothing here loads torch, but a state given by the caller may hold torch tensors.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from unbraid.arrays import as_array, is_tensor
from unbraid.errors import CheckpointError
from unbraid.models.base import ModelSpec
from unbraid.zoo.hashes import Digest

KINDS: dict[str, Any] = {
    "F16": np.float16,
    "BF16": np.uint16,  # not a numpy type: the upper half of a float32
    "F32": np.float32,
    "F64": np.float64,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
"""Type of a weight by its safetensors name -> numpy type of its values in the file."""

_FLOATS = ("F16", "BF16", "F32", "F64")

_TORCH_KINDS = {
    "torch.float16": "F16",
    "torch.bfloat16": "BF16",
    "torch.float32": "F32",
    "torch.float64": "F64",
    "torch.int64": "I64",
}


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file.

    Attributes:
        shape: of the tensor.
        kind: one of `KINDS`.
        read: returns its values, perhaps a view of the file; BF16 as float32.
    """

    shape: tuple[int, ...]
    kind: str
    read: Callable[[], np.ndarray]

    @property
    def count(self) -> int:
        """Number of values."""
        return math.prod(self.shape)


@dataclass(frozen=True, eq=False)
class StoredModel:
    """A model as stored in a file: everything an engine needs, as plain data.

    Attributes:
        architecture: a name of `models.registry`.
        config: its config dataclass; None for an exported ONNX file, which describes itself.
        weights: our names -> weights; read on demand.
        path: the file, or the path that a bag was opened by.
        digest: hash of the file's content.
        licence: of the weights; "" if unknown.
        provenance: origin of the weights; plain JSON.
        public_class: the class named in a public file; "" for unbraid's own.
        members: members of a bag by name, each in its own file.
    """

    architecture: str
    config: Any
    weights: Mapping[str, StoredTensor]
    path: Path
    digest: Digest
    licence: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    public_class: str = ""
    members: Mapping[str, StoredModel] = field(default_factory=dict)

    @property
    def spec(self) -> ModelSpec:
        """Stems, sample rate, channels and lengths of the model."""
        spec: ModelSpec = self.config.spec
        return spec

    def fingerprint(self) -> str:
        """A digest of the file, hexadecimal; the same for every engine."""
        return self.digest.result()

    def member(self, name: str) -> StoredModel:
        """A member of a model made of models: its own file, or a part of this one."""
        if name in self.members:
            return self.members[name]
        member = self.config.members[name]
        return StoredModel(
            member.architecture,
            member.config,
            Renamed(self.weights, removed=f"{name}."),
            self.path,
            self.digest,
            self.licence,
            self.provenance,
            self.public_class,
        )


class OnFirstUse(Mapping[str, StoredTensor], ABC):
    """Weights of a file by our names, checked against the network when the first one is wanted."""

    @cached_property
    @abstractmethod
    def _found(self) -> dict[str, StoredTensor]:
        """All weights, checked.

        Raises:
            CheckpointError: if they do not fit.
        """

    def __getitem__(self, name: str) -> StoredTensor:
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


class Renamed(Mapping[str, StoredTensor]):
    """Weights under other names, still read on demand.

    Args:
        weights: all weights.
        removed: prefix to remove; weights without it are left out.
        added: prefix to add to each name.
    """

    def __init__(
        self, weights: Mapping[str, StoredTensor], removed: str = "", added: str = ""
    ) -> None:
        self._weights, self._removed, self._added = weights, removed, added

    def __getitem__(self, name: str) -> StoredTensor:
        if not name.startswith(self._added):
            raise KeyError(name)
        return self._weights[self._removed + name.removeprefix(self._added)]

    def __iter__(self) -> Iterator[str]:
        for name in self._weights:
            if name.startswith(self._removed):
                yield self._added + name.removeprefix(self._removed)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def as_stored(value: Any) -> StoredTensor:
    """A weight as a stored tensor, unchanged if it is one."""
    if isinstance(value, StoredTensor):
        return value
    return StoredTensor(tuple(value.shape), kind_of(value), lambda: as_array(value))


def values_of(content: np.ndarray, kind: str) -> np.ndarray:
    """Bytes of a file as numbers; a view, except for BF16."""
    values: np.ndarray = content.view(KINDS[kind])
    if kind == "BF16":
        values = (values.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return values


def kind_of(value: object) -> str:
    """The type of a weight; "" for other values and for uncommon types."""
    if isinstance(value, StoredTensor):
        return value.kind
    return _TORCH_KINDS.get(str(getattr(value, "dtype", "")), "") if is_tensor(value) else ""


def is_float(value: object) -> bool:
    """Whether this is a tensor of floating-point numbers."""
    return kind_of(value) in _FLOATS


def read_array(value: Any) -> np.ndarray:
    """The values of a stored tensor or of a torch tensor; perhaps a view.

    Raises:
        CheckpointError: if the file can no longer be read.
    """
    return value.read() if isinstance(value, StoredTensor) else as_array(value)


def need_tensor(value: object, what: str) -> Any:
    """The value itself, if it is a tensor.

    Raises:
        CheckpointError: if not.
    """
    if not isinstance(value, StoredTensor) and not is_tensor(value):
        raise CheckpointError(f"{what} is not a tensor but a {type(value).__name__}")
    return value
