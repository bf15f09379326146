"""Make a model wider without changing what it computes.

Every feature is repeated, and its readers weigh the copies with unequal shares that sum to one: the
wider model returns the same estimates, and training can change each copy separately.
Source: Chen, Goodfellow, Shlens, "Net2Net", ICLR 2016, arXiv:1511.05641.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from unbraid.errors import SettingsError
from unbraid.models.registry import build_model, describe_model

_SPREAD = 0.8  # copies are read by shares of 1 +- up to this, divided by their sum
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d)
_READERS = (nn.Conv1d, nn.Conv2d, nn.Linear, nn.LSTM, *_TRANSPOSED)


def widen(model: nn.Module, width: int, seed: int = 0) -> nn.Module:
    """A model of `width` with the estimates of a narrower one, to rounding.

    Args:
        model: of one of our architectures.
        width: a multiple of the model's.
        seed: for the shares with which copies of a feature are read.
    Raises:
        SettingsError: if `width` is not a multiple of the model's, or a layer does not grow by the
            same factor.
    """
    architecture, config = describe_model(model)
    if "width" not in config:
        raise SettingsError(f"a model of several networks cannot be widened: {architecture}")
    factor, rest = divmod(width, config["width"])
    if factor < 1 or rest:
        raise SettingsError(
            f"a model of width {config['width']} can be widened to a multiple of that, got {width}"
        )
    if factor == 1:
        return model
    wide = build_model(architecture, {**config, "width": width})
    rng = torch.Generator().manual_seed(seed)
    narrow, grown = model.state_dict(), {}
    for name, target in wide.state_dict().items():
        place, _, parameter = name.rpartition(".")
        inputs = _input_axis(wide.get_submodule(place), parameter)
        grown[name] = _grow(name, narrow[name], target, factor, inputs, rng)
        if place.endswith(".query"):
            # `factor` times as many products, divided by the root of so much more.
            grown[name] = grown[name] / math.sqrt(factor)
    wide.load_state_dict(grown)
    return wide.train(model.training)


def _input_axis(module: nn.Module, parameter: str) -> int | None:
    """The axis of a weight that is summed over; None for a bias, a norm, a scale, an embedding."""
    if "weight" not in parameter or not isinstance(module, _READERS):
        return None
    return 0 if isinstance(module, _TRANSPOSED) else 1


def _grow(
    name: str, weight: Tensor, target: Tensor, factor: int, inputs: int | None, rng: torch.Generator
) -> Tensor:
    for axis, (before, after) in enumerate(zip(weight.shape, target.shape, strict=True)):
        if before == after:
            continue
        if after != factor * before:
            raise SettingsError(
                f"{name} has {before} features and the wider model {after}, not {factor} times as "
                "many; start from a model with layers that divide evenly, or from new weights"
            )
        if axis == inputs:
            shares = 1 + _SPREAD * (2 * torch.rand((factor, *weight.shape), generator=rng) - 1)
            shares = shares / shares.sum(0)
            weight = (weight * shares).movedim(0, axis + 1).flatten(axis, axis + 1)
        else:
            weight = weight.repeat_interleave(factor, axis)
    return weight
