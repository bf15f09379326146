"""The state of AdamW as a small safetensors file: both moments of every weight, as bfloat16."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def save_moments(path: Path, optimizer: torch.optim.Optimizer) -> None:
    """Write the moments and how many steps they saw."""
    tensors = {}
    for number, state in optimizer.state_dict()["state"].items():
        tensors[f"{number}.exp_avg"] = state["exp_avg"].bfloat16().contiguous()
        tensors[f"{number}.exp_avg_sq"] = state["exp_avg_sq"].bfloat16().contiguous()
        tensors[f"{number}.step"] = torch.as_tensor(float(state["step"]))
    save_file(tensors, path)


def load_moments(path: Path, optimizer: torch.optim.Optimizer) -> None:
    """Give them to a new optimizer of the same weights, or of more outputs."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in load_file(path).items():
        number, name = key.split(".")
        state.setdefault(int(number), {})[name] = value.float()
    weights = optimizer.param_groups[0]["params"]
    for number, values in state.items():
        for name in ("exp_avg", "exp_avg_sq"):  # of outputs that were not there: nothing yet
            grown = torch.zeros_like(weights[int(number)])
            grown[: len(values[name])] = values[name]
            values[name] = grown
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
