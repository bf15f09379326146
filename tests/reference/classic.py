"""Stored outputs of public implementations of classic systems, and how to compare with them.

`classic.json` holds, for each case, the shape, mean, deviation and largest magnitude of the output,
its product with `uniform("probe", n)`, and some of its values. They were measured with openunmix
1.3.0, asteroid 0.7.0, demucs 2.0.3, bytesep 0.1.1 and the authors' repositories (docs/family.md),
with weights and inputs by `reference.generator`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reference.generator import uniform

CASES = json.loads(Path(__file__).with_name("classic.json").read_text())
_NEVER = ("num_batches_tracked", "window")


def value_of(key: str, shape: tuple[int, ...]) -> Tensor:
    """The value of the weight that public files call `key`."""
    r = uniform(key, math.prod(shape)).reshape(shape)
    last = key.rsplit(".", 1)[-1]
    if last == "running_var" or last.startswith(("gamma", "input_scale", "output_scale")):
        value = 1 + 0.2 * r
    elif last.startswith("beta"):
        value = 0.1 * r
    elif last == "scale":
        value = 0.5 + 0.2 * r
    elif len(shape) >= 2:
        value = 2 * r * math.sqrt(3 * shape[0] / r.size)
    elif last == "weight":
        value = 0.25 + 0.2 * r if r.size == 1 else 1 + 0.2 * r
    else:
        value = 0.1 * r
    return torch.from_numpy(value).float()


def fill(
    module: nn.Module,
    public: Callable[[str], str] = str,
    values: Callable[[str, tuple[int, ...]], Tensor] = value_of,
) -> None:
    """Set every weight of `module` by the generator, under the name that `public` gives it."""
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if not name.endswith(_NEVER):
                tensor.copy_(values(public(name), tuple(tensor.shape)))
    module.eval()


def learnable(module: nn.Module) -> int:
    """Number of trained parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def noise(*shape: int, gain: float = 0.4, name: str = "input") -> Tensor:
    """Test input."""
    return torch.from_numpy(gain * uniform(name, math.prod(shape))).float().reshape(shape)


def check(case: str, output: Tensor, tolerance: float = 1e-6) -> None:
    """Compare with the stored output, relative to its largest magnitude."""
    stored = CASES[case]
    assert list(output.shape) == stored["shape"]
    y = output.detach().double().flatten().numpy()
    largest = stored["absmax"]
    near = {"abs": tolerance * largest, "rel": 0}
    middle = y.size // 2
    found = [y[0:4], y[middle : middle + 4], y[-3:], y[[int(at) for at in stored["at"]]]]
    wanted = [*stored["first"], *stored["mid"], *stored["last"], *stored["at"].values()]
    assert np.concatenate(found).tolist() == pytest.approx(wanted, **near)
    assert np.abs(y).max() == pytest.approx(largest, **near)
    assert y.mean() == pytest.approx(stored["mean"], **near)
    assert y.std(ddof=1) == pytest.approx(stored["std"], **near)
    spread = 20 * tolerance * largest * math.sqrt(y.size)  # an independent error in every value
    assert y @ uniform("probe", y.size) == pytest.approx(stored["proj"], abs=spread)
