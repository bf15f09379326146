"""Which engine runs a model: the first in the list that has no reason not to.

An engine is a folder here whose package has three functions:

    reason_not(stored, device, precision)      why it does not run this model here; None if it does
    words(reasons)                             its name, for people, with the reason that matters
    load(stored, device, precision, words)     the model, ready to run; words for its `engine`

The kernels of our own (`native/`) compute what torch computes, faster, and without loading torch,
which takes longer than a short song does.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from unbraid.errors import ModelError, SettingsError
from unbraid.models.base import SeparationModel
from unbraid.zoo.stored import StoredModel

ENGINES = ("native", "numpy", "onnx", "torch")
"""In the order in which they are asked."""

NOT_FOR_IT = ""
"""The reason of an engine for models of another kind altogether, not worth a word."""

_BESIDE_TORCH = ("torch", "onnx")

VARIABLE = "UNBRAID_RUNTIME"
"""In the environment: "torch" or "native" instead of the choice that is made here."""

_TORCH_ONLY = f"{VARIABLE} is torch"


@dataclass(frozen=True)
class Engine:
    """What can run models.

    Attributes:
        reason_not, words, load: see above.
    """

    reason_not: Callable[[StoredModel, str, str], str | None]
    words: Callable[[list[str]], str]
    load: Callable[[StoredModel, str, str, str], SeparationModel]


def choose(
    stored: StoredModel, device: str = "cpu", precision: str = "auto"
) -> tuple[Engine, list[str]]:
    """The engine that runs a single model (not one made of models), and why none before it does.

    Raises:
        SettingsError: if UNBRAID_RUNTIME asks for an engine that cannot run here.
        ModelError: if no engine runs it; says why for each.
    """
    asked = _asked(device, precision)
    reasons: list[str] = []
    for name in ENGINES:
        engine = _engine(name)
        reason = engine.reason_not(stored, device, precision)
        if asked == "torch" and name not in _BESIDE_TORCH:
            reason = _TORCH_ONLY
        if reason is None:
            return engine, reasons
        if reason != NOT_FOR_IT and reason not in reasons:
            reasons.append(reason)
    raise ModelError(f"{stored.path.name}: no engine runs this model here: {'; '.join(reasons)}")


def engine_words(stored: StoredModel, device: str = "cpu", precision: str = "auto") -> str:
    """The chosen engine of a single model in words, and why it is not one before it.

    Raises:
        SettingsError, ModelError: as `choose`.
    """
    engine, reasons = choose(stored, device, precision)
    return engine.words(reasons)


def kernels_missing(device: str = "cpu", precision: str = "auto") -> str | None:
    """Why the kernels are missing here; None if they are there, or could not run here anyway."""
    from unbraid.engines.native.library import could_run

    if device != "cpu" or precision not in ("auto", "fp32") or os.environ.get(VARIABLE):
        return None
    missing = _native_missing(device, precision)
    return missing if missing is not None and could_run() else None


def would_run_faster(stored: StoredModel, device: str = "cpu", precision: str = "auto") -> bool:
    """Whether the kernels, which are missing, would run a single model faster here."""
    from unbraid.engines.native.model import why_not

    on_numpy = _engine("numpy").reason_not(stored, device, precision) is None
    return on_numpy or why_not(stored) is None


def why_torch(device: str, precision: str = "auto") -> str | None:
    """Why models run in torch here; None where the kernels run those that they know.

    Raises:
        SettingsError: if UNBRAID_RUNTIME asks for an engine that cannot run here.
    """
    if _asked(device, precision) == "torch":
        return _TORCH_ONLY
    return _native_missing(device, precision)


def torch_is_missing(
    architectures: Iterable[str], device: str = "cpu", precision: str = "auto"
) -> str | None:
    """Why torch would have to run one of these architectures here, if it is not installed.

    Before a download, when of the config no more is known: None if an engine is there that runs
    models of each of them, most configs at least.

    Raises:
        SettingsError: if UNBRAID_RUNTIME asks for an engine that cannot run here.
    """
    from unbraid.engines import torch
    from unbraid.engines.native.model import knows, why_not_asked
    from unbraid.engines.numpy.model import KNOWN

    lacking = torch.is_missing()
    if lacking is None:
        return None
    asked, no_kernels = _asked(device, precision), why_torch(device, precision)
    for name in architectures:
        reason = no_kernels if knows(name) else "the native kernels do not run this model"
        if name in KNOWN:  # on numpy, with the kernels or without
            reason = _TORCH_ONLY if asked == "torch" else why_not_asked(device, precision)
        if reason is not None:
            return f"{reason}; {lacking}"
    return None


def _asked(device: str, precision: str) -> str:
    asked = os.environ.get(VARIABLE, "")
    if asked not in ("", "torch", "native"):
        raise SettingsError(f"{VARIABLE} is torch or native, got {asked!r}")
    if asked == "native" and (reason := _native_missing(device, precision)) is not None:
        raise SettingsError(f"{VARIABLE} asks for the native engine, but {reason}")
    return asked


def _native_missing(device: str, precision: str) -> str | None:
    from unbraid.engines.native.model import why_not_here

    return why_not_here(device, precision)


def _engine(name: str) -> Engine:
    module: Any = importlib.import_module(f"unbraid.engines.{name}")
    return Engine(module.reason_not, module.words, module.load)
