"""A model that is ready to separate: loaded, placed, named, and known by what it holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from unbraid.arrays import is_module
from unbraid.engines.devices import check_precision, choose_device
from unbraid.engines.load import load_to_run
from unbraid.engines.ready import as_model
from unbraid.errors import ModelError, SettingsError
from unbraid.models.base import SeparationModel, TensorModel
from unbraid.zoo.open import licence_of
from unbraid.zoo.public.onnx_graph import is_exported

__all__ = ["ReadyModel", "prepare_model"]


@dataclass(frozen=True)
class ReadyModel:
    """A model on its device.

    Attributes:
        model: the model or bag.
        name: as file names and reports show it.
        device: as torch names it.
        precision: "auto", "fp32", "bf16" or "fp16".
        licence: of the weights; empty if it is not known.
    """

    model: SeparationModel
    name: str
    device: str
    precision: str
    licence: str = ""

    @property
    def engine(self) -> str:
        """What runs it; for torch also why the kernels of our own do not. In words, to be shown."""
        return self.model.engine

    def fingerprint(self) -> str:
        """Digest of architecture and weights: changes when the stems may."""
        return self.model.fingerprint()


def prepare_model(
    model: SeparationModel | TensorModel | str | Path,
    device: str = "auto",
    precision: str = "auto",
    config: str | Path | None = None,
) -> ReadyModel:
    """Load a model by name or path, or use a given one.

    A model that is passed in stays where it is when `device` is "auto", and is moved otherwise.

    Args:
        config: the YAML for a file of plain weights, if it is not next to the file.
    Raises:
        SettingsError: if the device is not there or does not compute in `precision`.
        ModelError: if no model has that name, or its file is refused.
    """
    if isinstance(model, (str, Path)):
        exported = is_exported(Path(model))
        place = "cpu" if exported and device == "auto" else choose_device(device)
        check_precision(precision, place)
        if exported and precision not in ("auto", "fp32"):
            raise SettingsError(f"an exported model computes in fp32, not in {precision}")
        loaded = as_model(load_to_run(model, place, precision, config=config), precision)
        licence = _licence_of_export(loaded) if exported else _licence(model)
        return ReadyModel(loaded, _short_name(model), place, precision, licence)
    if is_module(model) and device != "auto":
        model.to(choose_device(device))  # type: ignore[union-attr]
    ready = as_model(model, precision)
    place = ready.device if device == "auto" else choose_device(device)
    check_precision(precision, place)
    return ReadyModel(ready, type(model).__name__.lower(), place, precision)


def _short_name(name: str | Path) -> str:
    path = Path(name)
    return path.stem if path.is_file() else str(name)


def _licence_of_export(loaded: SeparationModel) -> str:
    from unbraid.engines.onnx.run import OnnxModel  # which few models need

    return loaded.licence if isinstance(loaded, OnnxModel) else ""


def _licence(name: str | Path) -> str:
    try:
        return licence_of(name)
    except ModelError:
        return ""  # not a name or a path at all
