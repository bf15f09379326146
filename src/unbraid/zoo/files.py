"""A file of weights of any kind we read, told by its content: what it is, its spec, its model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from unbraid.errors import CheckpointError
from unbraid.models.base import ModelSpec
from unbraid.zoo.checkpoint import load_checkpoint, read_layout
from unbraid.zoo.foreign import ForeignModel
from unbraid.zoo.foreign_safetensors import read_metadata, read_public_safetensors
from unbraid.zoo.foreign_th import LEGACY_START, read_th


@dataclass(frozen=True)
class ModelFile:
    """A file that holds one model.

    Attributes:
        path: the file.
        spec: of the model, known before its weights are read.
        load: gives the model: on the CPU, float32, in evaluation mode.
        foreign: what a public file says of itself; None for ours.
    """

    path: Path
    spec: ModelSpec
    load: Callable[[], nn.Module]
    foreign: ForeignModel | None = None


def open_model(path: Path) -> ModelFile:
    """What the file at `path` holds, by its first bytes, whatever its name.

    Raises:
        CheckpointError: if it is damaged, refused, or no model at all.
    """
    start = _first_bytes(path)
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06", LEGACY_START)):
        return _foreign(read_th(path))
    if start[8:9] == b"{":
        if "unbraid" in (metadata := read_metadata(path)):
            return ModelFile(path, _own_spec(path), lambda: load_checkpoint(path))
        if "klass" in metadata:
            return _foreign(read_public_safetensors(path))
        raise CheckpointError(
            f"{path}: a safetensors file that does not say what model it holds; weights alone go "
            "with unbraid.from_official"
        )
    if start.startswith(b"\x80"):
        raise CheckpointError(f"{path}: a bare pickle, which no public model is; it was not read")
    raise CheckpointError(
        f"{path}: not a model; known are unbraid's and Demucs's safetensors and Demucs's .th"
    )


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(32)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from error


def _foreign(foreign: ForeignModel) -> ModelFile:
    return ModelFile(foreign.path, foreign.spec(), foreign.build, foreign)


def _own_spec(path: Path) -> ModelSpec:
    spec: ModelSpec = read_layout(path).spec  # type: ignore[assignment]
    return spec
