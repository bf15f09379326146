"""A public model as a file describes it: class, arguments, weights. Each format has a reader of
its own.

    .th          foreign_th.py            a zip of torch with a pickle, read by a machine of ours
    .safetensors foreign_safetensors.py   weights, and JSON that says what they are

Both give a `ForeignModel`, which knows its spec before any weight is read.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from unbraid.errors import CheckpointError
from unbraid.models.base import ModelSpec
from unbraid.zoo.convert import PUBLIC_CLASSES, build_official, load_official_state
from unbraid.zoo.quantized import is_quantized, unpack_state

CLASS_PATHS: dict[str, str] = {
    "demucs.hdemucs.HDemucs": "HDemucs",
    "demucs.demucs.Demucs": "Demucs",
    "demucs.wdemucs.WDemucs": "HDemucs",
}
"""Path of a class as public files name it -> its name here. Looked up, never imported."""

LATER_CLASSES = frozenset({"demucs.htdemucs.HTDemucs"})
"""Known, but of a later family that is not built here yet."""


@dataclass(frozen=True)
class ForeignModel:
    """What a public file holds.

    Attributes:
        path: the file.
        class_name: of the public class, as `PUBLIC_CLASSES` names it.
        args, kwargs: of its constructor.
        state: weights under the public names, or a quantized state.
        training: what the file says of its training, not looked at.
    """

    path: Path
    class_name: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    state: Mapping[str, Any]
    training: Any = field(default=None, repr=False)

    def layout(self) -> nn.Module:
        """The model without memory for its weights."""
        with torch.device("meta"), naming(self.path):
            return build_official(self.class_name, self.kwargs, self.args)

    def spec(self) -> ModelSpec:
        """What a caller must know of it."""
        spec: ModelSpec = self.layout().spec  # type: ignore[assignment]
        return spec

    def build(self) -> nn.Module:
        """The model: on the CPU, float32, in evaluation mode.

        Raises:
            CheckpointError: if arguments and weights do not fit each other.
        """
        model = self.layout()
        with naming(self.path):
            state = self.state
            if is_quantized(state):
                state = unpack_state(state, model)
            load_official_state(model, PUBLIC_CLASSES[self.class_name].mend(state))
        return model.eval()


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put the path of the file before an error."""
    try:
        yield
    except CheckpointError as error:
        named = str(error) if str(error).startswith(str(path)) else f"{path}: {error}"
        raise CheckpointError(named) from error


def class_of(path: str) -> str:
    """Our name of the public class that a file names.

    Raises:
        CheckpointError: if it is not in the table.
    """
    if path in LATER_CLASSES:
        raise CheckpointError(f"it holds a {path}, of the v4 family, which is not supported yet")
    if path not in CLASS_PATHS:
        raise CheckpointError(
            f"it names the class {path!r:.120}, which is none of {', '.join(CLASS_PATHS)}; "
            "nothing was imported"
        )
    return CLASS_PATHS[path]


def sha256_of(path: Path) -> str:
    """Hash of the whole file, as hex.

    Raises:
        CheckpointError: if it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from error
    return digest.hexdigest()


def named_hash(path: Path) -> str | None:
    """The first 8 digits of the hash that a public file name states: signature-HASH.ending.

    >>> named_hash(Path("e51eebcc-c1b80bdd.th"))
    'c1b80bdd'
    """
    anyone = r"[0-9a-f]{8}" if path.suffix != ".th" else r".*"
    found = re.fullmatch(rf"{anyone}-([0-9a-f]{{8}})\.\w+", path.name)
    return found[1] if found else None


def check_named_hash(path: Path) -> None:
    """Compare a file with the hash in its name, if there is one.

    Raises:
        CheckpointError: if it is another.
    """
    wanted = named_hash(path)
    if wanted is not None and (found := sha256_of(path)[:8]) != wanted:
        raise CheckpointError(
            f"{path}: its SHA-256 starts with {found}, its name says {wanted}; it is cut short or "
            "altered, get it again"
        )
