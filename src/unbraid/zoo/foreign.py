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
from typing import TYPE_CHECKING, Any

import numpy as np

from unbraid.errors import CheckpointError, SettingsError
from unbraid.models.base import ModelSpec
from unbraid.models.configs import make_config
from unbraid.models.configs.hybrid_demucs import HybridDemucsConfig
from unbraid.models.configs.weights import weight_shapes
from unbraid.zoo.public_classes import fitting, names_of, our_config, public_class
from unbraid.zoo.quantized import is_quantized, unpack_state
from unbraid.zoo.stored import kind_of, read_array

if TYPE_CHECKING:
    from torch import nn

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
        import torch

        from unbraid.zoo.convert import build_official

        with torch.device("meta"), naming(self.path):
            return build_official(self.class_name, self.kwargs, self.args)

    @cached_property
    def spec(self) -> ModelSpec:
        """What a caller must know of it."""
        if self.hybrid_config is not None:
            return self.hybrid_config.spec
        spec: ModelSpec = self.layout().spec  # type: ignore[assignment]
        return spec

    @cached_property
    def hybrid_config(self) -> HybridDemucsConfig | None:
        """The config, if it is a Hybrid Demucs whose weights can be told without building it."""
        try:
            architecture, given = our_config(self.class_name, self.kwargs, self.args)
            if architecture != "hybrid_demucs":
                return None
            config: HybridDemucsConfig = make_config(architecture, given)
            weight_shapes(config)
        except (TypeError, ValueError, ArithmeticError, SettingsError, CheckpointError):
            return None  # building it says why it makes no model
        return config

    def arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        """Our names and the weights of a Hybrid Demucs, in the order of the network: float16 where
        the file has that, else float32; perhaps views of the file.

        Raises:
            CheckpointError: if arguments and weights do not fit each other.
        """
        assert self.hybrid_config is not None
        shapes = weight_shapes(self.hybrid_config)
        names = names_of("hybrid_demucs", list(shapes), self.hybrid_config)
        with naming(self.path):
            state = fitting(shapes, names, self._state(shapes, names))
            for name in shapes:
                kind = np.float16 if kind_of(state[name]) == "F16" else np.float32
                yield name, np.asarray(read_array(state[name]), kind)

    def _state(
        self, shapes: Mapping[str, tuple[int, ...]], names: Mapping[str, str]
    ) -> Mapping[str, Any]:
        """Weights under today's public names."""
        state = self.state
        if is_quantized(state):
            state = unpack_state(state, shapes, names)
        return public_class(self.class_name).mend(state)

    def build(self) -> nn.Module:
        """The model: on the CPU, float32, in evaluation mode.

        Raises:
            CheckpointError: if arguments and weights do not fit each other.
        """
        from unbraid.zoo.convert import load_official_state, public_names, shapes_of

        model = self.layout()
        with naming(self.path):
            state = self._state(shapes_of(model), public_names(model))
            load_official_state(model, state)
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
