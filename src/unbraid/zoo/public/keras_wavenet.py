"""The WaveNet of Lluís et al. in Keras's HDF5 files, with or without the state of the optimizer.

    [model_weights/]initial_causal_conv/.../kernel:0        the first convolution
                    res_5_dilated_conv_d16_s0/.../kernel:0  block 5, dilation 16, stack 0
                    conv1d_17/.../kernel:0, bias:0          all others, numbered as they were made

Keras goes on counting where other models were made before, so the last are taken in their order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unbraid.errors import CheckpointError
from unbraid.words import counted
from unbraid.zoo.public.by_weights import System
from unbraid.zoo.public.hdf5 import read_hdf5
from unbraid.zoo.public.package import naming
from unbraid.zoo.public.systems import stored_of
from unbraid.zoo.stored import StoredModel, StoredTensor

_WEIGHT = re.compile(r"(?:model_weights/)?([^/]{1,200})/(?:.*/)?(kernel|bias)(?::0)?")
_BLOCK = re.compile(r"res_(\d{1,6})_dilated_conv_d(\d{1,6})_s(\d{1,6})")
_NUMBERED = re.compile(r"conv(?:olution)?1d(?:_(\d{1,9}))?")
_STEMS = {1: ("vocals", "accompaniment"), 3: ("vocals", "drums", "bass", "other")}
"""Number of outputs -> stems; the last is what the outputs leave of the mixture."""


def open_keras(path: Path) -> StoredModel:
    """The WaveNet in the HDF5 file at `path`; weights are read on demand.

    Raises:
        CheckpointError: if the file is damaged, or holds any other network.
    """
    arrays = read_hdf5(path)
    with naming(path):
        layers: dict[str, dict[str, StoredTensor]] = {}
        for name, array in arrays.items():
            if not name.startswith("optimizer_weights/") and (found := _WEIGHT.fullmatch(name)):
                layers.setdefault(found[1], {})[found[2]] = array
        names = _our_names(layers)
        state = {
            f"{names[layer]}.{'weight' if kind == 'kernel' else 'bias'}": _ours(array)
            for layer, arrays_there in layers.items()
            for kind, array in arrays_there.items()
        }
        system = System("wavenet", _settings(state, layers), lambda own, config: own)
    return stored_of(path, system, state)


def _ours(array: StoredTensor) -> StoredTensor:
    """A kernel (size, inputs, outputs) as (outputs, inputs, size)."""
    if len(array.shape) < 2:
        return array
    return StoredTensor(array.shape[::-1], array.kind, lambda: np.ascontiguousarray(array.read().T))


def _our_names(layers: Mapping[str, Any]) -> dict[str, str]:
    """Layer in the file -> ours.

    Raises:
        CheckpointError: if these are not the layers of that network.
    """
    blocks = sorted((int(found[1]), name) for name in layers if (found := _BLOCK.fullmatch(name)))
    others = sorted(
        (int(found[1] or 0), name) for name in layers if (found := _NUMBERED.fullmatch(name))
    )
    ours = [f"blocks.{index}.mix" for index in range(len(blocks))] + ["final1", "final2", "out"]
    in_order = [number for number, _ in blocks] == list(range(1, len(blocks) + 1))
    if not blocks or not in_order or len(others) != len(ours):
        raise CheckpointError(
            "not the WaveNet of Lluís et al., the only network that is read from HDF5: it has "
            f"{counted(len(blocks), 'block')} named as there, and "
            f"{counted(len(others), 'further convolution')}"
        )
    names = {name: f"blocks.{index}.dilated" for index, (_, name) in enumerate(blocks)}
    names |= {name: own for (_, name), own in zip(others, ours, strict=True)}
    names["initial_causal_conv"] = "initial"
    if unknown := sorted(layers.keys() - names.keys()):
        raise CheckpointError(f"a layer that this network does not have, {unknown[0]!r:.100}")
    return names


def _settings(state: Mapping[str, StoredTensor], layers: Mapping[str, Any]) -> dict[str, Any]:
    """Our settings, from shapes and the dilations in the names."""
    numbers = [tuple(map(int, found.groups())) for n in layers if (found := _BLOCK.fullmatch(n))]
    stacks = 1 + max(stack for _, _, stack in numbers)
    dilations = [dilation for _, dilation, _ in sorted(numbers)]
    each = len(dilations) // stacks
    if dilations != [2**level for level in range(each)] * stacks:
        raise CheckpointError(f"dilations {dilations!s:.100}, not 1, 2, 4, ... in {stacks} stacks")
    shapes = {
        name: state[f"{name}.weight"].shape if f"{name}.weight" in state else ()
        for name in ("initial", "blocks.0.mix", "final1", "final2", "out")
    }
    if lacking := [name for name, shape in shapes.items() if len(shape) != 3]:
        raise CheckpointError(f"it has layers of a WaveNet, but no kernel of {lacking[0]}")
    outputs = shapes["out"][0]
    if outputs not in _STEMS:
        raise CheckpointError(f"a WaveNet of {outputs} outputs; 1 and 3 were published")
    return {
        "stems": _STEMS[outputs],
        "audio_channels": shapes["initial"][1],
        "doublings": each - 1,
        "stacks": stacks,
        "width": shapes["initial"][0],
        "skip_width": shapes["final1"][1],
        "final_widths": (shapes["final1"][0], shapes["final2"][0]),
        "kernel": shapes["initial"][2],
        "final_kernel": shapes["final1"][2],
        "normalize_songs": False,
    }
