"""Writes weights of train.py or of `unbraid train` as a model file of unbraid, float16.

python -m studies.quartet.export WEIGHTS OUT.safetensors [--stems 3]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from unbraid.models.band_unet.config import BandUNetConfig
from unbraid.models.band_unet.network import BandUNet
from unbraid.zoo.checkpoint import read_info, save_checkpoint

DATA = (
    "made-up songs of bands and MIDI pieces (Groove MIDI, Freedoom; basses, guitars and drums of "
    "Karoryfer Samples and FreePats, MuldjordKit, Sonic Pi, Rumpf kit, Fluid R3, MuseScore "
    "General), "
    "Everything is Free without Potassium, guitars of Carlos Viola Iborra; voices, of which "
    "traces are left in the mixture as a first model leaves them"
)


def provenance_of(path: Path) -> dict[str, Any]:
    """What a run of `unbraid train` says of its weights, or train.py; and what the songs are."""
    with safe_open(path, "pt") as file:
        is_model = "unbraid" in (file.metadata() or {})
    found: dict[str, Any] = {"trained_with": "studies/quartet/train.py"}
    if is_model:
        found = dict(read_info(path).provenance)
    return {**found, "data": {**found.get("data", {}), "names": [DATA]}}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--stems", type=int, help="leave out the last ones; all if not given")
    args = parser.parse_args()
    state = load_file(args.weights)
    if args.stems:
        state |= {key: state[key][: 2 * args.stems] for key in ("leave.weight", "leave.bias")}
    channels = tuple(state[f"encoder.{n}.first.0.weight"].shape[0] for n in range(4))
    hidden = state["memory.read.weight"].shape[0]
    stems = ("drums", "bass", "other", "vocals")[: len(state["leave.bias"]) // 2]
    model = BandUNet(BandUNetConfig(stems=stems, channels=channels, hidden=hidden))
    model.load_state_dict(state)
    provenance = provenance_of(args.weights)
    save_checkpoint(args.out, model, licence="MIT", provenance=provenance, dtype=torch.float16)


if __name__ == "__main__":
    main()
