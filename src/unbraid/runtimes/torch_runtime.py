"""Running a model with torch: on which device, in which precision, how much at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn

from unbraid.errors import SettingsError
from unbraid.models.bag import Bag
from unbraid.models.base import ModelSpec, SeparationModel
from unbraid.runtimes.inference import quicken
from unbraid.shapes import Estimates, Mixture

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(name: str = "auto") -> str:
    """A device that is there, as torch names it.

    "auto" is CUDA where there is one, else the CPU. An Apple GPU is used only when asked for, or
    when `unbraid bench` found it faster: it may run such a model slower than the CPU beside it.

    Raises:
        SettingsError: if the device is unknown or not there.
    """
    kind, _, index = name.partition(":")
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if kind == "cuda" and (not index or index.isdecimal()):
        found = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(index or 0) < found:
            return name
        raise SettingsError(
            f"there is no device {name}: torch finds {found} CUDA devices; use --device cpu"
        )
    if name == "mps":
        if torch.backends.mps.is_available():
            return name
        raise SettingsError("there is no device mps: torch finds no Apple GPU; use --device cpu")
    if name == "cpu":
        return name
    raise SettingsError(f"a device is auto, cpu, cuda, cuda:N or mps, got {name!r}")


def candidate_devices(name: str = "auto") -> list[str]:
    """Devices worth a measurement: for "auto" the CPU beside a GPU of Apple's, else a single one.

    Raises:
        SettingsError: if the device is unknown or not there.
    """
    chosen = choose_device(name)
    both = name == "auto" and chosen == "cpu" and torch.backends.mps.is_available()
    return ["cpu", "mps"] if both else [chosen]


def free_gpu_bytes(device: str) -> int | None:
    """Memory that is free on a CUDA device; None for devices that have no memory of their own."""
    return torch.cuda.mem_get_info(device)[0] if device.startswith("cuda") else None


def check_precision(precision: str, device: str) -> None:
    """Refuse a precision that is unknown, or that the device does not compute in.

    Raises:
        SettingsError: in both cases.
    """
    if precision not in PRECISIONS:
        raise SettingsError(f"precision is one of {', '.join(PRECISIONS)}, got {precision!r}")
    if precision == "fp16" and device == "cpu":
        raise SettingsError("the CPU does not compute in fp16; use fp32 or bf16")


def adapt(
    model: SeparationModel, device: str, precision: str = "auto", *, one_by_one: bool = False
) -> SeparationModel:
    """The same model, computing in `precision`; on the CPU in its inference form, if it has one.

    Args:
        model: a model or a `Bag`, already on `device`.
        precision: "auto": float32 as torch computes it by default (on CUDA its convolutions may use
            TF32); "fp32": float32 throughout; "bf16", "fp16": autocast to it.
        one_by_one: pass the items of a batch through the model one after the other, so that a
            source with many channels takes no more memory than one with two.
    """
    plain = precision == "auto" or (precision == "fp32" and not device.startswith("cuda"))
    if plain and not one_by_one and device != "cpu":
        return model
    if isinstance(model, Bag):
        return Bag(
            _Adapted(model, device, precision, one_by_one),
            model.weights,
            segment_samples=None,
            spec=model.specs,
        )
    if plain and device == "cpu":
        model = quicken(model)
    return _Adapter(model, device, precision, one_by_one) if one_by_one or not plain else model


def run_on_arrays(
    model: SeparationModel, batch: Float32[np.ndarray, "b c t"]
) -> Float32[np.ndarray, "*estimates"]:
    """One pass from array to array: on the model's device, without gradients, in eval mode."""
    home = torch.device("cpu")
    with torch.no_grad(), _evaluating(model):
        estimates = model(torch.from_numpy(batch).to(_device_of(model, home)))
    return np.asarray(estimates.detach().to(home, torch.float32).numpy())


def _device_of(model: SeparationModel, default: torch.device) -> torch.device:
    """Where the model lives; a model without parameters works wherever its input is."""
    if isinstance(model, nn.Module):
        for parameter in model.parameters():
            return parameter.device
    return default


@contextmanager
def _evaluating(model: SeparationModel) -> Iterator[None]:
    """Eval mode for the time of a forward pass; each module is then put back as it was."""
    training = (
        [module for module in model.modules() if module.training]
        if isinstance(model, nn.Module)
        else []
    )
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


class _Adapted(Sequence[SeparationModel]):
    """The members of a bag, each adapted when it is fetched."""

    def __init__(self, bag: Bag, device: str, precision: str, one_by_one: bool) -> None:
        self._bag = bag
        self._how = (device, precision, one_by_one)

    def __len__(self) -> int:
        return len(self._bag)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        device, precision, one_by_one = self._how
        return adapt(self._bag.member(index), device, precision, one_by_one=one_by_one)


class _Adapter(nn.Module):
    """A model inside another precision. A module, so that its device is seen from outside."""

    def __init__(
        self, model: SeparationModel, device: str, precision: str, one_by_one: bool
    ) -> None:
        super().__init__()
        self.model = model
        self._device = device.partition(":")[0]
        self._precision = precision
        self._one_by_one = one_by_one

    @property
    def spec(self) -> ModelSpec:
        return self.model.spec

    def valid_samples(self, samples: int) -> int:
        return self.model.valid_samples(samples)

    def forward(self, mixture: Mixture) -> Estimates:
        with self._context():
            parts = [self.model(item).float() for item in self._items(mixture)]
        return torch.cat(parts)

    def _items(self, mixture: Tensor) -> Iterator[Tensor]:
        yield from torch.split(mixture, 1) if self._one_by_one else (mixture,)

    def _context(self) -> AbstractContextManager[object]:
        if self._precision in _DTYPES:
            return torch.autocast(self._device, dtype=_DTYPES[self._precision])
        if self._precision == "fp32" and self._device == "cuda":
            return torch.backends.cudnn.flags(allow_tf32=False)
        return nullcontext()
