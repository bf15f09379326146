"""Score a run of train.py on the validation song and put its weights into the package.

    python scripts/mini/export.py --data mini-data --run mini-run --out mini.safetensors

Scores are those of the file as it ships (float16) through `Separator` with default settings:
whole-song nSDR, beside the two trivial estimates.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np
import torch

import unbraid
from unbraid.evaluation.metrics import nsdr
from unbraid.models.hybrid_demucs import HybridDemucs, HybridDemucsConfig
from unbraid.zoo.checkpoint import save_checkpoint

STEMS = ("drums", "bass", "other", "vocals")
RATE = 44100
LICENCE = "MIT"


def scores(model: Path, song: Path) -> dict[str, dict[str, float]]:
    """nSDR in dB per stem of the mixture, of silence and of the model."""
    sources = np.stack([np.load(song / f"{stem}.npy").T for stem in STEMS]).astype(np.float32)
    sources /= 32768
    mixture = sources.sum(0)
    stems = unbraid.Separator(model=str(model)).separate(mixture, RATE)
    estimates = {
        "mixture": np.repeat(mixture[None], len(STEMS), 0),
        "silence": np.zeros_like(sources),
        "mini": np.stack([np.asarray(stems[stem]) for stem in STEMS]),
    }
    return {
        name: dict(zip(STEMS, nsdr(sources, estimate).round(2).tolist(), strict=True))
        for name, estimate in estimates.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--segment", type=float, help="seconds of one pass; otherwise the run's")
    args = parser.parse_args()
    state = torch.load(args.run / "state.pt", weights_only=True)
    config = HybridDemucsConfig(**state["config"])
    if args.segment is not None:
        config = dataclasses.replace(config, segment_s=args.segment)
    model = HybridDemucs(config)
    model.load_state_dict(state["average"])
    provenance = {"trained_by": "scripts/mini/train.py", "steps": state["step"]}
    save_checkpoint(args.out, model, licence=LICENCE, provenance=provenance, dtype=torch.float16)
    table = scores(args.out, args.data / "valid" / "Potassium")
    provenance["nsdr_potassium_db"] = table
    save_checkpoint(args.out, model, licence=LICENCE, provenance=provenance, dtype=torch.float16)
    print(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
