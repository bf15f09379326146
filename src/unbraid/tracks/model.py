"""A model that is ready to separate: loaded, placed, named, and known by what it holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from unbraid.errors import ModelError, SettingsError
from unbraid.models.bag import Bag
from unbraid.models.base import SeparationModel
from unbraid.runtimes.arrays import device_of, is_module
from unbraid.runtimes.cpu_engine import NativeModel, why_torch
from unbraid.runtimes.devices import check_precision, choose_device
from unbraid.runtimes.fingerprint import fingerprint
from unbraid.runtimes.onnx_runtime import SUFFIX, OnnxModel
from unbraid.runtimes.two_rate import TwoRateArrays
from unbraid.zoo.load import licence_of, load_to_run

__all__ = ["ReadyModel", "fingerprint", "prepare_model"]


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
        if isinstance(self.model, (NativeModel, TwoRateArrays)):
            return "native kernels"
        if isinstance(self.model, OnnxModel):
            return "onnxruntime"
        why = why_torch(self.device, self.precision)
        if why is None and isinstance(self.model, Bag):
            return "native kernels, for those members that they know"
        return f"torch, as {why or 'the native kernels do not run this model'}"

    def fingerprint(self) -> str:
        """Digest of architecture and weights: changes when the stems may."""
        return fingerprint(self.model)


def prepare_model(
    model: SeparationModel | str | Path, device: str = "auto", precision: str = "auto"
) -> ReadyModel:
    """Load a model by name or path, or take one as it is.

    A model that is passed in stays where it is when `device` is "auto", and is moved otherwise.

    Raises:
        SettingsError: if the device is not there or does not compute in `precision`.
        ModelError: if there is no such model, or its file is refused.
    """
    if isinstance(model, (str, Path)):
        exported = Path(model).suffix == SUFFIX
        place = "cpu" if exported and device == "auto" else choose_device(device)
        check_precision(precision, place)
        if exported and precision not in ("auto", "fp32"):
            raise SettingsError(f"an exported model computes in fp32, not in {precision}")
        loaded = load_to_run(model, place, precision)
        licence = loaded.licence if isinstance(loaded, OnnxModel) else _licence(model)
        return ReadyModel(loaded, _short_name(model), place, precision, licence)
    place = device_of(model) if device == "auto" else choose_device(device)
    check_precision(precision, place)
    if is_module(model) and device != "auto":
        model.to(place)  # type: ignore[attr-defined]
    return ReadyModel(model, type(model).__name__.lower(), place, precision)


def _short_name(name: str | Path) -> str:
    path = Path(name)
    return path.stem if path.is_file() else str(name)


def _licence(name: str | Path) -> str:
    try:
        return licence_of(name)
    except ModelError:
        return ""  # not a name or a path at all
