"""The mean of several checkpoints of one run: python -m studies.quartet.average OUT IN IN ..."""

from __future__ import annotations

import sys

import torch
from safetensors.torch import load_file, save_file


def main() -> None:
    """The command."""
    out, *paths = sys.argv[1:]
    states = [load_file(path) for path in paths]
    mean = {
        key: torch.stack([state[key].double() for state in states]).mean(0).to(value.dtype)
        for key, value in states[0].items()
    }
    save_file(mean, out)


if __name__ == "__main__":
    main()
