"""Systems in TensorFlow checkpoints, recognized by the names of their variables.

    separator/conv1d[_N]/kernel, separator/interp_N   Wave-U-Net, numbered along its way
    conv2d[_N]/kernel, conv2d_transpose[_N]/...       Spleeter, stem after stem

What else there is, as the state of an optimizer, is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unbraid.errors import CheckpointError
from unbraid.models.mask_unet.public import from_tensorflow, tensorflow_names
from unbraid.words import counted
from unbraid.zoo.hashes import Digest
from unbraid.zoo.public.by_weights import System
from unbraid.zoo.public.package import naming
from unbraid.zoo.public.systems import stored_of
from unbraid.zoo.public.tf_bundle import INDEX_SUFFIX, data_files, read_bundle
from unbraid.zoo.stored import StoredModel, StoredTensor

State = dict[str, StoredTensor]

_WAVE = "separator/conv1d"
_WAVE_STEMS = {
    1: ("accompaniment", "vocals"),
    2: ("accompaniment", "vocals"),
    3: ("bass", "drums", "other", "vocals"),
    4: ("bass", "drums", "other", "vocals"),
}
"""Output layers -> stems; an odd number leaves the last stem to what is left of the mixture."""
_SPLEETER_DEPTH = 6
_SPLEETER: dict[int, dict[str, Any]] = {
    2: {"stems": ("vocals", "accompaniment")},
    4: {"stems": ("vocals", "drums", "bass", "other"), "activation": "elu"},
    5: {
        "stems": ("vocals", "piano", "drums", "bass", "other"),
        "activation": "elu",
        "softmax": True,
    },
}
"""Networks -> settings that the published file of so many stems has."""


def bundle_index(path: Path) -> Path | None:
    """The index of the checkpoint that a path means, by its index, its data or their common start.

    None if it does not mean a checkpoint of TensorFlow.
    """
    name = re.sub(r"\.data-\d{5}-of-\d{5}$", "", path.name).removesuffix(INDEX_SUFFIX)
    if not name or (path.is_file() and name == path.name):
        return None
    index = path.with_name(name + INDEX_SUFFIX)
    return index if index.is_file() else None


def open_bundle(index: Path) -> StoredModel:
    """The system in a checkpoint; weights are read on demand.

    Raises:
        CheckpointError: if a file is damaged, or it is of another system.
    """
    bundle = read_bundle(index)
    with naming(index):
        if f"{_WAVE}/kernel" in bundle:
            settings, state = _wave_u_net(bundle, index.stem)
            system = System("wave_u_net", settings, lambda own, config: own)
        elif "conv2d_transpose/kernel" in bundle:
            settings, state = _spleeter(bundle)
            system = System("mask_unet", settings, lambda own, config: own)
        else:
            raise CheckpointError(
                "neither a Wave-U-Net nor a Spleeter, the systems that are read from TensorFlow's "
                "checkpoints"
            )
    return stored_of(index, system, state, Digest([index, *data_files(index)], ("bundle",)))


def _wave_u_net(bundle: Mapping[str, StoredTensor], file_name: str) -> tuple[dict[str, Any], State]:
    kernels: list[tuple[int, ...]] = []
    while (name := _numbered(_WAVE, len(kernels))) + "/kernel" in bundle:
        kernels.append(bundle[f"{name}/kernel"].shape)
    if len(kernels) != _count(bundle, _WAVE):
        raise CheckpointError(f"a Wave-U-Net that lacks {name}/kernel")
    if any(len(shape) != 3 for shape in kernels):
        raise CheckpointError("a Wave-U-Net whose kernels are not (size, inputs, outputs)")
    _, channels, width = kernels[0]
    outputs = 0
    while outputs < len(kernels) and kernels[-1 - outputs] == (1, width + channels, channels):
        outputs += 1
    levels, rest = divmod(len(kernels) - outputs - 1, 2)
    if outputs not in _WAVE_STEMS or rest or levels < 1:
        raise CheckpointError(
            f"a Wave-U-Net of {counted(len(kernels), 'layer')}, {outputs} of them outputs; "
            "published were ones of two and of four stems"
        )
    names = [f"down.{level}" for level in range(levels)] + ["bottleneck"]
    names += [f"up.{level}" for level in range(levels)] + [f"out.{n}" for n in range(outputs)]
    state = {}
    for number, own in enumerate(names):
        name = _numbered(_WAVE, number)
        state[f"{own}.weight"] = _turned(bundle[f"{name}/kernel"])
        if f"{name}/bias" in bundle:
            state[f"{own}.bias"] = bundle[f"{name}/bias"]
    learned = "separator/interp_0" in bundle
    for level in range(levels if learned else 0):
        if (name := f"separator/interp_{level}") in bundle:
            state[f"interpolate.{level}.weight"] = bundle[name]
    settings = {
        "stems": _WAVE_STEMS[outputs],
        "sample_rate": 44100 if "44khz" in file_name.lower() else 22050,
        "audio_channels": channels,
        "levels": levels,
        "width": width,
        "kernel": kernels[0][0],
        "merge_kernel": kernels[levels + 1][0],
        "difference": outputs % 2 == 1,
        "learned_upsampling": learned,
        "normalize_songs": False,
    }
    return settings, state


def _numbered(kind: str, number: int) -> str:
    return f"{kind}_{number}" if number else kind


def _count(bundle: Mapping[str, StoredTensor], kind: str) -> int:
    """How many layers of a kind there are."""
    pattern = re.compile(rf"{re.escape(kind)}(_\d+)?/kernel")
    return sum(pattern.fullmatch(name) is not None for name in bundle)


def _turned(kernel: StoredTensor) -> StoredTensor:
    """(size, inputs, outputs) as (outputs, inputs, size)."""
    return StoredTensor(
        kernel.shape[::-1], kernel.kind, lambda: np.ascontiguousarray(kernel.read().T)
    )


def _spleeter(bundle: Mapping[str, StoredTensor]) -> tuple[dict[str, Any], State]:
    transposed = _count(bundle, "conv2d_transpose")
    stems, rest = divmod(transposed, _SPLEETER_DEPTH)
    if rest or stems not in _SPLEETER:
        raise CheckpointError(
            f"{transposed} transposed convolutions, where Spleeter has {_SPLEETER_DEPTH} for each "
            f"of {', '.join(map(str, _SPLEETER))} stems"
        )
    state = {}
    for stem in range(stems):
        for own, theirs in tensorflow_names(_SPLEETER_DEPTH, stem).items():
            if theirs in bundle:
                state[f"networks.{stem}.{own}"] = _spleeter_weight(bundle[theirs])
    first = bundle.get("conv2d/kernel")
    if first is None or len(first.shape) != 4:
        raise CheckpointError("a Spleeter without its first convolution")
    return {
        **_SPLEETER[stems],
        "audio_channels": first.shape[2],
        "width": first.shape[3],
        "depth": _SPLEETER_DEPTH,
        "normalize_songs": False,
    }, state


def _spleeter_weight(weight: StoredTensor) -> StoredTensor:
    if len(weight.shape) != 4:
        return weight
    rows, columns, third, fourth = weight.shape
    return StoredTensor(
        (fourth, third, rows, columns),
        weight.kind,
        lambda: np.ascontiguousarray(from_tensorflow(weight.read())),
    )
