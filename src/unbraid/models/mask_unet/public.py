"""What published files call the weights of these U-Nets: Spleeter's in TensorFlow and in torch.

TensorFlow numbers layers of one kind through the whole graph, stem after stem, so a name follows
from how many layers came before. Both files also hold the norm of the innermost layer of each
encoder, which nothing uses; it is left out.
"""

from __future__ import annotations

import numpy as np

_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


def torch_names(depth: int) -> dict[str, str]:
    """Our name -> name in a torch port of Spleeter, for the network of one stem."""
    names = {}
    for level in range(depth):
        for kind in ("weight", "bias"):
            names[f"encoder.{level}.conv.{kind}"] = f"down{level + 1}_conv.1.{kind}"
            names[f"decoder.{level}.conv.{kind}"] = f"up{level + 1}.0.{kind}"
        for kind in _NORM:
            if level < depth - 1:
                names[f"encoder.{level}.norm.{kind}"] = f"down{level + 1}_act.0.{kind}"
            names[f"decoder.{level}.norm.{kind}"] = f"up{level + 1}.3.{kind}"
    for kind in ("weight", "bias"):
        names[f"head.{kind}"] = f"up{depth + 1}.0.{kind}"
    return names


def tensorflow_names(depth: int, stem: int) -> dict[str, str]:
    """Our name -> name in a TensorFlow checkpoint, for the network of stem number `stem`.

    >>> tensorflow_names(6, 1)["decoder.0.norm.running_var"]
    'batch_normalization_18/moving_variance'
    """
    names = {}
    for level in range(depth):
        conv = _numbered("conv2d", (depth + 1) * stem + level)
        back = _numbered("conv2d_transpose", depth * stem + level)
        for kind, theirs in (("weight", "kernel"), ("bias", "bias")):
            names[f"encoder.{level}.conv.{kind}"] = f"{conv}/{theirs}"
            names[f"decoder.{level}.conv.{kind}"] = f"{back}/{theirs}"
        down = _numbered("batch_normalization", 2 * depth * stem + level)
        up = _numbered("batch_normalization", 2 * depth * stem + depth + level)
        for kind, theirs in _NORM.items():
            if level < depth - 1:
                names[f"encoder.{level}.norm.{kind}"] = f"{down}/{theirs}"
            names[f"decoder.{level}.norm.{kind}"] = f"{up}/{theirs}"
    head = _numbered("conv2d", (depth + 1) * stem + depth)
    names["head.weight"], names["head.bias"] = f"{head}/kernel", f"{head}/bias"
    return names


def from_tensorflow(values: np.ndarray) -> np.ndarray:
    """A weight in our order of axes; kernels come as (rows, columns, in or out, out or in)."""
    return values.transpose(3, 2, 0, 1) if values.ndim == 4 else values


def _numbered(kind: str, number: int) -> str:
    return f"{kind}_{number}" if number else kind
