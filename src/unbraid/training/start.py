"""The weights a run begins with: new ones, or those of a model that is there."""

from __future__ import annotations

import dataclasses
from functools import partial

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from unbraid.errors import SettingsError
from unbraid.models.base import SeparationModel
from unbraid.models.build import ARCHITECTURES, describe_model
from unbraid.models.hybrid_demucs import HybridDemucs
from unbraid.training.config import Recipe, model_config
from unbraid.training.widen import widen
from unbraid.zoo.load import load_model

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d)
_DECODERS = ("spec_decoder", "time_decoder", "decoder")


def new_model(recipe: Recipe) -> nn.Module:
    """A model with fresh weights, the same for the same seed."""
    _, model_class = ARCHITECTURES[recipe.model.architecture]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model: nn.Module = model_class(model_config(recipe))
    if recipe.start.output_scale != 1:
        _scale_output(model, recipe.start.output_scale)
    return model


def first_model(recipe: Recipe) -> tuple[nn.Module, str]:
    """The model a run begins with, and one line on where its weights are from."""
    if not recipe.start.model:
        return new_model(recipe), f"new weights, seed {recipe.seed}"
    return start_from(recipe, recipe.start.model)


def start_from(recipe: Recipe, name: str) -> tuple[nn.Module, str]:
    """The recipe's stems on the weights of another model.

    Its architecture and config hold, whatever the recipe says of them, but for stems, segment and
    ratio masks, and with `start.widen` for the width. If the stems differ, the last layers, whose
    shape depends on them, begin anew.

    Raises:
        SettingsError: if it is a bag, has another sample rate or number of channels, or cannot be
            widened.
        ModelError: if there is no such model.
    """
    there: object = load_model(name)
    if not isinstance(there, nn.Module):
        raise SettingsError(f"{name} is a bag of models; start from one of them")
    adapted = _adapted(recipe, there, name)
    wanted = model_config(adapted)
    model = new_model(adapted)
    grown = ""
    if recipe.start.widen:
        narrow, wide = describe_model(there)[1]["width"], wanted.width
        there = widen(there, wide, recipe.seed)
        grown = f", widened from {narrow} to {wide}" if wide > narrow else ""
    spec = as_separation_model(there).spec
    if spec.stems == wanted.stems:
        model.load_state_dict(there.state_dict())
        return model, f"weights of {name}, all of them{grown}"
    mine, theirs = model.state_dict(), there.state_dict()
    head = {f"{name}." for name in _output_names(model)}
    kept = {k: v for k, v in theirs.items() if not k.startswith(tuple(head))}
    model.load_state_dict({**mine, **kept})
    return model, (
        f"weights of {name}{grown}; its last layers made {', '.join(spec.stems)} and begin anew "
        f"for {', '.join(wanted.stems)}"
    )


def recipe_on(recipe: Recipe, name: str) -> Recipe:
    """The recipe with the architecture and config of the model it starts from.

    Raises:
        SettingsError, ModelError: as `start_from`.
    """
    there = load_model(name)
    if not isinstance(there, nn.Module):
        raise SettingsError(f"{name} is a bag of models; start from one of them")
    return _adapted(recipe, there, name)


def _adapted(recipe: Recipe, there: nn.Module, name: str) -> Recipe:
    architecture, config = describe_model(there)
    mine = model_config(recipe)
    for key in ("sample_rate", "audio_channels"):
        if getattr(mine, key) != config[key]:
            raise SettingsError(
                f"{name} has {key} {config[key]}, the recipe {getattr(mine, key)}; "
                f"start from another model, or set model.{key}={config[key]}"
            )
    config.update(stems=mine.stems, segment_s=mine.segment_s)
    if "ratio_masks" in config:  # they share out the mixture among all stems: not any stems do
        config["ratio_masks"] = getattr(mine, "ratio_masks", False)
    if recipe.start.widen:
        config["width"] = mine.width
    plain = {key: list(v) if isinstance(v, tuple) else v for key, v in config.items()}
    return dataclasses.replace(
        recipe, model=dataclasses.replace(recipe.model, architecture=architecture, settings=plain)
    )


def as_separation_model(model: nn.Module) -> SeparationModel:
    """What every model of ours is, for the type checker too."""
    assert isinstance(model, SeparationModel)
    return model


def _output_names(model: nn.Module) -> list[str]:
    """Names of the modules whose shape depends on the stems: the last transposed convolutions."""
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
    """Begin near silence, in place: random estimates would first have to be unlearnt."""
    for name in _output_names(model):
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
        elif isinstance(module, HybridDemucs):
            recompute_activations(module)
