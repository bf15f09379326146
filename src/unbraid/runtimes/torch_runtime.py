"""Running a model with torch: in which precision, how much at once, and from array to array."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn

from unbraid.models.base import ModelSpec, SeparationModel
from unbraid.models.masks import apply_ratio_masks
from unbraid.runtimes.arrays import check_estimates
from unbraid.runtimes.inference import quicken
from unbraid.runtimes.masks import apply_ratio_masks as array_masks
from unbraid.shapes import Estimates, Mixture

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def adapt_module(
    model: SeparationModel, device: str, precision: str, one_by_one: bool
) -> SeparationModel:
    """See `adapt.adapt`: a single model, whose precision is "auto" where it changes nothing."""
    if precision == "auto" and device == "cpu":
        model = quicken(model)
    plain = precision == "auto" and not one_by_one
    return model if plain else _Adapter(model, device, precision, one_by_one)


def run_on_arrays(
    model: SeparationModel, batch: Float32[np.ndarray, "b c t"]
) -> Float32[np.ndarray, "b s c t"]:
    """See `arrays.run_model`: on the model's device, without gradients, in eval mode.

    On a GPU the masks are taken there, too.
    """
    mixture = torch.from_numpy(batch)
    with torch.no_grad(), _evaluating(model):
        sent = mixture.to(_device_of(model, mixture.device))
        masks = model.spec.ratio_masks
        estimates = model(sent.clone() if masks else sent).detach()
        check_estimates(model, batch.shape, estimates.shape)
        if masks and sent.is_cuda:
            estimates = apply_ratio_masks(sent, estimates.float())
    arrived: np.ndarray = _bring(estimates).numpy()
    return array_masks(batch, arrived) if masks and not sent.is_cuda else arrived


def _bring(estimates: Tensor) -> Tensor:
    """Float32 in main memory: from a card in pages that it writes to itself, which torch keeps for
    the next batch (on an H200 53 GB a second, beside 1.3 into fresh memory)."""
    if not estimates.is_cuda:
        return estimates.to("cpu", torch.float32)
    arrived = torch.empty(estimates.shape, dtype=torch.float32, pin_memory=True)
    return arrived.copy_(estimates)


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
