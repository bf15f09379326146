"""A public model as a file describes it: class, arguments, weights. Each format has a reader of
its own.

    .th          foreign_th.py            a zip of torch with a pickle, read by a machine of ours
    .safetensors foreign_safetensors.py   weights, and JSON that says what they are

Both give a `ForeignModel`, which knows its spec before any weight is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from unbraid.errors import CheckpointError
from unbraid.models.base import ModelSpec
from unbraid.models.configs.hybrid_demucs import HybridDemucsConfig
from unbraid.models.hybrid_demucs import HybridDemucs
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
        spec: ModelSpec = self._outline.spec  # type: ignore[assignment]
        return spec

    def hybrid_config(self) -> HybridDemucsConfig | None:
        """The config, if it is a Hybrid Demucs."""
        return self._outline.config if type(self._outline) is HybridDemucs else None

    @cached_property
    def _outline(self) -> nn.Module:
        """A layout to ask, which is never filled."""
        return self.layout()

    def arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        """Our names and the weights, in the order of the network.

        Raises:
            CheckpointError: if arguments and weights do not fit each other.
        """
        for name, weight in self.build().state_dict().items():
            yield name, weight.numpy()

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
