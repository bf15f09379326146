"""A public model as its file describes it: class, arguments, weights. One reader per format.

    .th          th.py            torch's zip with a pickle, read by our own interpreter
    .safetensors safetensors.py   weights, and JSON that describes them

Both return a `PublicModel`, which becomes a `StoredModel` without reading any weight.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from unbraid.errors import CheckpointError, SettingsError
from unbraid.models.registry import make_config, weight_shapes
from unbraid.zoo.hashes import Digest
from unbraid.zoo.public.classes import fitting, names_of, our_config, public_class
from unbraid.zoo.public.quantized import is_quantized, unpack_state
from unbraid.zoo.stored import OnFirstUse, StoredModel, StoredTensor, as_stored

CLASS_PATHS: dict[str, str] = {
    "demucs.hdemucs.HDemucs": "HDemucs",
    "demucs.demucs.Demucs": "Demucs",
    "demucs.wdemucs.WDemucs": "HDemucs",
    "demucs.htdemucs.HTDemucs": "HTDemucs",
}
"""Path of a class in public files -> its name here. Looked up, never imported."""


@dataclass(frozen=True)
class PublicModel:
    """The contents of a public file.

    Attributes:
        path: the file; None for weights in memory.
        class_name: of the public class, as `PUBLIC_CLASSES` names it.
        args, kwargs: of its constructor.
        state: weights under the public names, or a quantized state.
        training: training details in the file, kept unchanged.
    """

    path: Path | None
    class_name: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    state: Mapping[str, Any]
    training: Any = field(default=None, repr=False)

    def stored(self) -> StoredModel:
        """The same model as one of our architectures; weights are read on demand.

        Raises:
            CheckpointError: if the arguments are invalid.
        """
        with naming(self.path):
            try:
                architecture, given = our_config(self.class_name, self.kwargs, self.args)
                config = make_config(architecture, given)
            except (TypeError, ValueError, ArithmeticError, SettingsError) as error:
                raise CheckpointError(
                    f"{self.class_name} arguments that make no model: {error}"
                ) from error
        path = self.path or Path(self.class_name)
        return StoredModel(
            architecture,
            config,
            _OurNames(self, architecture, config),
            path,
            Digest([path]),
            public_class=self.class_name,
        )


class _OurNames(OnFirstUse):
    """The weights of a public file."""

    def __init__(self, model: PublicModel, architecture: str, config: Any) -> None:
        self._model, self._architecture, self._config = model, architecture, config

    @cached_property
    def _found(self) -> dict[str, StoredTensor]:
        model, config = self._model, self._config
        with naming(model.path):
            shapes = weight_shapes(self._architecture, config)
            names = names_of(self._architecture, list(shapes), config)
            state = model.state
            if is_quantized(state):
                state = unpack_state(state, shapes, names)
            state = public_class(model.class_name).mend(state)
            found = fitting(shapes, names, state)
        return {name: as_stored(found[name]) for name in shapes}


@contextmanager
def naming(path: Path | None) -> Iterator[None]:
    """Put the path of the file in front of an error message."""
    try:
        yield
    except (CheckpointError, SettingsError) as error:
        text = str(error)
        named = text if path is None or text.startswith(str(path)) else f"{path}: {text}"
        raise CheckpointError(named) from error


def class_of(path: str) -> str:
    """Our name for the public class named in a file.

    Raises:
        CheckpointError: if it is not in the table.
    """
    if path not in CLASS_PATHS:
        raise CheckpointError(
            f"it names the class {path!r:.120}, not one of {', '.join(CLASS_PATHS)}; "
            "nothing was imported"
        )
    return CLASS_PATHS[path]
