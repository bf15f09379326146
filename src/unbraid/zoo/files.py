"""A file of weights of any kind we read, told by its content: what it is, its spec, its model.

Torch is loaded only for what cannot be read or run without it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unbraid.errors import CheckpointError
from unbraid.models.base import ModelSpec, SeparationModel
from unbraid.runtimes.cpu_engine import kernels_fit, native_model
from unbraid.zoo.header import has_arrays, hybrid_config, read_metadata, read_weights

if TYPE_CHECKING:
    from unbraid.zoo.foreign import ForeignModel

LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""How files of torch before 1.6 start."""


def _nothing() -> None:
    """For what does not run in the kernels."""


@dataclass(frozen=True)
class ModelFile:
    """A file that holds one model.

    Attributes:
        path: the file.
        spec: of the model, known before its weights are read.
        load: gives the model of torch: on the CPU, float32, in evaluation mode.
        foreign: what a public file says of itself, a `ForeignModel`; None for ours.
        native: gives the model in the kernels of our own; None if they do not run it.
    """

    path: Path
    spec: ModelSpec
    load: Callable[[], Any]
    foreign: Any = None
    native: Callable[[], SeparationModel | None] = _nothing


def open_model(path: Path) -> ModelFile:
    """What the file at `path` holds, by its first bytes, whatever its name.

    Raises:
        CheckpointError: if it is damaged, refused, or no model at all.
    """
    start = _first_bytes(path)
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06", LEGACY_START)):
        from unbraid.zoo.foreign_th import read_th

        return _foreign(read_th(path))
    if start[8:9] == b"{":
        if "unbraid" in (metadata := read_metadata(path)):
            return _own(path)
        if "klass" in metadata:
            from unbraid.zoo.foreign_safetensors import read_public_safetensors

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


def _own(path: Path) -> ModelFile:
    config = hybrid_config(path)

    def load() -> Any:
        from unbraid.zoo.checkpoint import load_checkpoint

        return load_checkpoint(path)

    def native() -> SeparationModel | None:
        if config is None or not kernels_fit(config) or not has_arrays(path):
            return None
        return native_model(config, dict(read_weights(path, config)))

    if config is not None:
        return ModelFile(path, config.spec, load, native=native)
    from unbraid.zoo.checkpoint import read_layout

    spec: ModelSpec = read_layout(path).spec  # type: ignore[assignment]
    return ModelFile(path, spec, load)


def _foreign(foreign: ForeignModel) -> ModelFile:
    def native() -> SeparationModel | None:
        config = foreign.hybrid_config
        if config is None or not kernels_fit(config):
            return None
        return native_model(config, dict(foreign.arrays()))

    return ModelFile(foreign.path, foreign.spec, foreign.build, foreign, native)
