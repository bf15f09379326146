"""Outputs of public implementations of HT Demucs, RoFormers, SCNet and TFC-TDF v3.

`modern_systems.json` was made with demucs 4.1.0 and ZFTurbo's Music-Source-Separation-Training at
ccc011a (SCNet "C1": starrytong/SCNet at 5d95bf9), torch 2.13 on a CPU, float32. Weights are known
functions of their public names, the input one of its length; see `fill` and `generator.py`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from reference.generator import signal, uniform

VECTORS = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))


def fill(key: str, before: Tensor) -> Tensor:
    """The value of the weight with the public name `key`; some keep the value of the network."""
    if key.endswith((".freqs", ".inv_freqs", "num_batches_tracked")):
        return before
    r = torch.from_numpy(uniform(key, before.numel())).reshape(before.shape)
    if key.endswith("pope_embed.bias"):
        axis = key.split(".")[2]  # 0 over time, 1 over frequency; equal in all layers
        r = torch.from_numpy(uniform(f"pope_bias_{axis}", before.numel())).reshape(before.shape)
        value = -1 + math.sqrt(0.375) * r
    elif key.endswith(".scale"):
        value = 0.5 + 0.2 * r
    elif key.endswith("running_var"):
        value = 1 + 0.5 * r
    elif key.startswith("freq_emb"):
        value = 0.2 * r
    elif key.endswith(".gamma"):
        value = 1 + 0.2 * r
    elif before.ndim >= 2:
        value = 2 * r * math.sqrt(3 * before.shape[0] / before.numel())
    elif key.endswith("weight"):
        value = 1 + 0.2 * r
    else:
        value = 0.1 * r
    return value.float()


def filled(model: nn.Module, public: Mapping[str, str] | None = None) -> nn.Module:
    """The model with weights of known values, by their public names (ours -> public)."""
    state = model.state_dict()
    names = public or {key: key for key in state}
    model.load_state_dict({own: fill(names[own], value) for own, value in state.items()})
    return model.eval()


def check_output(
    case: str, run: Callable[[Tensor], Tensor], tolerance: float, channels: int = 2
) -> None:
    """Run the input of a case and compare the output with the stored numbers."""
    vector = VECTORS[case]
    with torch.inference_mode():
        y = run(signal(1, channels, vector["samples"], gain=0.4))
    assert y.shape == (1, *vector["shape"][1:3], vector["samples"])
    y = y[..., : vector["shape"][-1]]  # some public ones drop the last part of a hop
    found = [float(y.mean()), float(y.std()), float(y.abs().max())]
    assert found == pytest.approx(vector["statistics"], abs=tolerance)
    stems, half = y.shape[1], y.shape[-1] // 2
    assert y[0, 0, 0, :4].tolist() == pytest.approx(vector["first"], abs=tolerance)
    middle = y[0, -1, -1, half : half + 4].tolist()
    assert middle == pytest.approx(vector["middle"], abs=tolerance)
    assert y[0, min(2, stems - 1), 0, -3:].tolist() == pytest.approx(vector["last"], abs=tolerance)


def check_size(case: str, model: nn.Module) -> None:
    """Compare the numbers of weights and of their names with those of the public model."""
    state = model.state_dict()
    assert len(state) == VECTORS[case]["keys"]
    assert sum(weight.numel() for weight in model.parameters()) == VECTORS[case]["parameters"]
