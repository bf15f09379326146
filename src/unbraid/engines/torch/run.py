"""Running a model with torch: in which precision, and from array to array."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unbraid.engines.torch.cost import live_bytes
from unbraid.models.base import ModelSpec, SeparationModel
from unbraid.shapes import Float32

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class TorchModel:
    """A model of torch as everything else takes it: without gradients, in evaluation mode.

    Args:
        model: an `nn.Module`, or another `TensorModel`, on its device.
        precision: "auto": float32 as torch computes it by default (on CUDA its convolutions may use
            TF32); "fp32": float32 throughout; "bf16", "fp16": autocast to it.
        engine: what runs it, in words.
        fingerprint: computes the digest of the weights; None to compute it from the tensors.
    """

    def __init__(
        self,
        model: Any,
        precision: str = "auto",
        *,
        engine: str = "torch",
        fingerprint: Callable[[], str] | None = None,
    ) -> None:
        self.module, self.engine = model, engine
        self._precision, self._fingerprint = precision, fingerprint

    @property
    def spec(self) -> ModelSpec:
        """That of the model."""
        spec: ModelSpec = self.module.spec
        return spec

    @property
    def device(self) -> str:
        """Where the weights are; "cpu" where there are none."""
        return str(_device_of(self.module))

    def __call__(self, mixture: Any) -> Any:
        """(b c t) -> (b s c t), arrays or tensors alike; tensors wherever the weights are."""
        with torch.no_grad():
            if not isinstance(mixture, np.ndarray):
                return self._run(mixture)
            sent = torch.from_numpy(mixture if mixture.flags.writeable else mixture.copy())
            arrived: np.ndarray = self._run(sent.to(self.device)).float().cpu().numpy()
            return arrived

    def valid_samples(self, samples: int) -> int:
        """That of the model."""
        valid: int = self.module.valid_samples(samples)
        return valid

    def take_back(self, estimates: Any) -> None:
        """Torch has memory of its own."""

    def pass_bytes(self, samples: int) -> int:
        """The most bytes of tensors that are alive at once during a pass."""
        return live_bytes(self, samples)

    def fingerprint(self) -> str:
        """A digest of class, spec and weights, or of the file."""
        return self._fingerprint() if self._fingerprint is not None else _digest(self.module)

    def narrow(self, stems: Collection[str]) -> SeparationModel:
        """Itself: a network computes all its stems at once."""
        return self

    def _run(self, mixture: Tensor) -> Tensor:
        with ExitStack() as stack:
            stack.enter_context(_evaluating(self.module))
            stack.enter_context(_computing_in(self._precision, mixture.device.type))
            estimates: Tensor = self.module(mixture).detach()
        return estimates.float() if estimates.dtype.itemsize < 4 else estimates


def run_on_device(
    model: SeparationModel, batch: Float32[np.ndarray, "b c t"]
) -> Float32[np.ndarray, "b s c t"]:
    """A pass of a model on a GPU: arrays are sent there once, and estimates fetched once."""
    estimates = model(torch.from_numpy(batch).to(model.device))
    arrived: np.ndarray = _bring(estimates).numpy()
    return arrived


def _bring(estimates: Tensor) -> Tensor:
    """Float32 in main memory: from a card in pages that it writes to itself, which torch keeps for
    the next batch (on an H200 53 GB a second, 1.3 into fresh memory)."""
    if not estimates.is_cuda:
        return estimates.to("cpu", torch.float32)
    arrived = torch.empty(estimates.shape, dtype=torch.float32, pin_memory=True)
    return arrived.copy_(estimates)


def _device_of(model: Any) -> torch.device:
    """Where the weights are; a model without any computes on the CPU."""
    if isinstance(model, nn.Module):
        for parameter in model.parameters():
            return parameter.device
    return torch.device("cpu")


def _digest(model: Any) -> str:
    digest = hashlib.sha256(f"{type(model).__qualname__} {model.spec}".encode())
    if isinstance(model, nn.Module):
        for name, tensor in model.state_dict().items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            flat = tensor.detach().to("cpu").contiguous().reshape(-1).view(torch.uint8)
            digest.update(flat.numpy().data)
    return digest.hexdigest()


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """Evaluation mode for the time of a pass; each module is then put back as it was."""
    modules = model.modules() if isinstance(model, nn.Module) else ()
    training = [module for module in modules if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _computing_in(precision: str, device: str) -> AbstractContextManager[object]:
    if precision in _DTYPES:
        return torch.autocast(device, dtype=_DTYPES[precision])
    if precision == "fp32" and device == "cuda":
        return _without_tf32()
    return nullcontext()


@contextmanager
def _without_tf32() -> Iterator[None]:
    """No TF32 in cuDNN. `torch.backends.cudnn.flags` would switch all that is not named off."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before
