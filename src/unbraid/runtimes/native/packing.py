"""Weights in the order in which the kernels read them: panels of two vectors, row after row.

For a gated output the first vector of a panel holds values, the second the gates of the same.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from unbraid.runtimes.native.library import kernels


def panels(columns: int) -> int:
    """How many panels so many columns fill."""
    return -(-columns // kernels().panel)


def gate_panels(width: int) -> int:
    """How many panels so many gated features fill."""
    return -(-width // kernels().lanes)


def pack(weight: Float[np.ndarray, "k n"]) -> Float[np.ndarray, "p k w"]:
    """A matrix in panels, zero where the last one is not full."""
    panel = kernels().panel
    count = panels(weight.shape[1])
    packed = np.zeros((count, weight.shape[0], panel), np.float32)
    whole = weight.shape[1] // panel
    packed[:whole] = weight[:, : whole * panel].reshape(len(weight), whole, panel).swapaxes(0, 1)
    if whole < count:
        packed[whole, :, : weight.shape[1] - whole * panel] = weight[:, whole * panel :]
    return packed


def pack_gated(weight: Float[np.ndarray, "k two_c"]) -> Float[np.ndarray, "p k w"]:
    """The same for values and gates."""
    lanes, width = kernels().lanes, weight.shape[1] // 2
    count, whole = gate_panels(width), width // lanes
    packed = np.zeros((count, len(weight), 2, lanes), np.float32)
    for half in range(2):
        part = weight[:, half * width : (half + 1) * width]
        full = part[:, : whole * lanes].reshape(len(weight), whole, lanes)
        packed[:whole, :, half] = full.swapaxes(0, 1)
        if whole < count:
            packed[whole, :, half, : width - whole * lanes] = part[:, whole * lanes :]
    return packed.reshape(count, len(weight), 2 * lanes)


def pack_bias(bias: Float[np.ndarray, " n"]) -> Float[np.ndarray, " m"]:
    """One value for each column of packed panels."""
    return pack(bias[None]).reshape(-1)


def pack_gated_bias(bias: Float[np.ndarray, " two_c"]) -> Float[np.ndarray, " m"]:
    """The same for values and gates."""
    return pack_gated(bias[None]).reshape(-1)
