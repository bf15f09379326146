"""A model that is ready to separate: loaded, placed, named, and known by what it holds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from unbraid.errors import ModelError, SettingsError
from unbraid.models.bag import Bag
from unbraid.models.base import SeparationModel
from unbraid.runtimes.onnx_runtime import SUFFIX, OnnxModel
from unbraid.runtimes.torch_runtime import check_precision, choose_device
from unbraid.zoo.load import licence_of, load_model


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
        loaded = load_model(model, place)
        licence = loaded.licence if isinstance(loaded, OnnxModel) else _licence(model)
        return ReadyModel(loaded, _short_name(model), place, precision, licence)
    place = _device_of(model) if device == "auto" else choose_device(device)
    check_precision(precision, place)
    if isinstance(model, nn.Module) and device != "auto":
        model.to(place)
    return ReadyModel(model, type(model).__name__.lower(), place, precision)


def fingerprint(model: SeparationModel) -> str:
    """Digest of a model's class, spec and weights, as hex.

    A model may bring its own in an attribute `fingerprint`, where reading all its weights is dear.
    """
    own = getattr(model, "fingerprint", None)
    if isinstance(own, str):
        return own
    digest = hashlib.sha256(f"{type(model).__qualname__} {model.spec}".encode())
    if isinstance(model, Bag):
        digest.update(repr((model.weights, model.segments)).encode())
        for index in range(len(model)):
            digest.update(fingerprint(model.member(index)).encode())
    elif isinstance(model, nn.Module):
        for name, tensor in model.state_dict().items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            flat = tensor.detach().to("cpu").contiguous().reshape(-1).view(torch.uint8)
            digest.update(flat.numpy().data)
    return digest.hexdigest()


def _short_name(name: str | Path) -> str:
    path = Path(name)
    return path.stem if path.is_file() else str(name)


def _licence(name: str | Path) -> str:
    try:
        return licence_of(name)
    except ModelError:
        return ""  # not a name or a path at all


def _device_of(model: SeparationModel) -> str:
    if isinstance(model, nn.Module):
        for parameter in model.parameters():
            return str(parameter.device)
    return "cpu"
