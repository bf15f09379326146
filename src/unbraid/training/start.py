"""The initial weights of a run: new ones, or those of another model."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from unbraid.engines.load import load_model
from unbraid.errors import SettingsError
from unbraid.models.base import TensorModel
from unbraid.models.network import Network
from unbraid.models.registry import Member, architecture_of, build_network, replace_settings
from unbraid.training.config import Recipe, model_member, model_recipe
from unbraid.training.widen import widen

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d)
_DECODERS = ("spec_decoder", "time_decoder", "decoder")
_HEADS = ("mask_estimators", "final_conv", "mask_layer")
"""Modules that make the stems where it is not transposed convolutions that do."""


def new_model(recipe: Recipe) -> nn.Module:
    """A model with fresh weights, the same for the same seed."""
    member = model_member(recipe)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model: nn.Module = build_network(member.architecture, member.config)
    if recipe.start.output_scale != 1:
        _scale_output(model, recipe.start.output_scale)
    return model


def first_model(recipe: Recipe) -> tuple[nn.Module, str]:
    """The initial model of a run, and one line about the origin of its weights."""
    if not recipe.start.model:
        return new_model(recipe), f"new weights, seed {recipe.seed}"
    return start_from(recipe, recipe.start.model)


def start_from(recipe: Recipe, name: str) -> tuple[nn.Module, str]:
    """The recipe's stems on the weights of another model.

    Its architecture and config are used instead of the recipe's, except for stems, segment and
    ratio masks, and with `start.widen` for the width. If the stems differ, the last layers start
    from new weights, because their shape depends on the stems.

    Raises:
        SettingsError: if it is a bag, has another sample rate or number of channels, or cannot be
            widened.
        ModelError: if no model has that name.
    """
    there = _network(name)
    adapted = _adapted(recipe, there, name)
    model = new_model(adapted)
    mine, theirs, grown = _core(model), _core(there), ""
    if recipe.start.widen:
        narrow, wide = theirs.config.width, mine.config.width
        theirs = _core(widen(theirs, wide, recipe.seed))
        grown = f", widened from {narrow} to {wide}" if wide > narrow else ""
    before, wanted = theirs.spec.stems, mine.spec.stems
    if before == wanted:
        mine.load_state_dict(theirs.state_dict())
        return model, f"weights of {name}, all of them{grown}"
    fresh = mine.state_dict()
    head = tuple(f"{output}." for output in (*_output_names(mine), *_HEADS))
    kept = {
        key: value
        for key, value in theirs.state_dict().items()
        if not key.startswith(head) and value.shape == fresh[key].shape
    }
    mine.load_state_dict({**fresh, **kept})
    how = "start from new weights" if len(kept) < len(fresh) else "keep their weights"
    return model, (
        f"weights of {name}{grown}; its last layers made {', '.join(before)} and {how} for "
        f"{', '.join(wanted)}"
    )


def recipe_on(recipe: Recipe, name: str) -> Recipe:
    """The recipe with the architecture and config of the model it starts from.

    Raises:
        SettingsError, ModelError: as `start_from`.
    """
    return _adapted(recipe, _network(name), name)


def _network(name: str) -> Network:
    there: object = load_model(name)
    if not isinstance(there, Network):
        raise SettingsError(f"{name} is made of several models; start from one of them")
    return there


def _core(model: nn.Module) -> Network:
    """The network without the ratio masks on it."""
    assert isinstance(model, Network)
    if architecture_of(model.config) == "ratio_masks":
        return _core(model.get_submodule("model"))
    return model


def _adapted(recipe: Recipe, there: Network, name: str) -> Recipe:
    mine, core = model_member(recipe), _core(there).config
    wanted, found = mine.config.spec, core.spec
    for key, ours, theirs in (
        ("sample_rate", wanted.sample_rate, found.sample_rate),
        ("audio_channels", wanted.channels, found.channels),
    ):
        if ours != theirs:
            raise SettingsError(
                f"{name} has {key} {theirs}, the recipe {ours}; "
                f"start from another model, or set model.{key}={theirs}"
            )
    changes: dict[str, Any] = {
        "stems": wanted.stems,
        "segment_s": wanted.segment_samples / wanted.sample_rate,
    }
    if recipe.start.widen:
        changes["width"] = _width(_unmasked(mine).config)
        _width(core)
    member = Member(architecture_of(core), replace_settings(core, **changes))
    if mine.architecture == "ratio_masks":  # they divide the mixture, so not all stems fit
        member = Member("ratio_masks", replace(mine.config, model=member))
    return replace(recipe, model=model_recipe(member))


def _unmasked(member: Member) -> Member:
    return _unmasked(member.config.model) if member.architecture == "ratio_masks" else member


def _width(config: Any) -> int:
    width = getattr(config, "width", None)
    if not isinstance(width, int):
        raise SettingsError(
            f"start.widen needs models of one width, and the {architecture_of(config)} has none; "
            "leave start.widen out"
        )
    return width


def as_separation_model(model: nn.Module) -> TensorModel:
    """The common attributes of our networks, for the type checker."""
    assert isinstance(model, TensorModel)
    return model


def _output_names(model: nn.Module) -> list[str]:
    """Names of the modules that depend on the number of stems: the last transposed convolutions."""
    names = []
    for path, layers in model.named_modules():
        if path.rpartition(".")[2] in _DECODERS and isinstance(layers, nn.ModuleList):
            last = f"{path}.{len(layers) - 1}"
            names += [
                f"{last}.{name}"
                for name, module in layers[-1].named_modules()
                if isinstance(module, _TRANSPOSED)
            ]
    return names


@torch.no_grad()
def _scale_output(model: nn.Module, factor: float) -> None:
    """Start near silence, in place: random estimates would have to be unlearnt first."""
    names = _output_names(model)
    if not names:
        raise SettingsError(
            "start.output_scale is for networks that end in transposed convolutions, such as the "
            "Demucs family and SCNet; leave it out"
        )
    for name in names:
        module = model.get_submodule(name)
        assert isinstance(module, _TRANSPOSED)
        module.weight.mul_(factor)
        if module.bias is not None:
            module.bias.zero_()


def recompute_activations(model: nn.Module) -> None:
    """Let every layer keep only its input for the backward pass, in place.

    Results stay the same; a step takes about a third longer, and far less memory.
    """
    for module in model.children():
        if isinstance(module, nn.ModuleList):
            for layer in module:
                layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)
        elif isinstance(module, Network):
            recompute_activations(module)
