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
from unbraid.models.hybrid_demucs import HybridDemucs, HybridDemucsConfig
from unbraid.zoo.checkpoint import save_checkpoint

STEMS = ("drums", "bass", "other", "vocals")
RATE = 44100
LICENCE = "MIT"


def nsdr(reference: np.ndarray, estimate: np.ndarray) -> float:
    """10 log10 of the energy of the reference over that of the error."""
    error = np.sum((reference - estimate).astype(np.float64) ** 2)
    return float(10 * np.log10((np.sum(reference.astype(np.float64) ** 2) + 1e-7) / (error + 1e-7)))


def scores(model: Path, song: Path) -> dict[str, dict[str, float]]:
    """nSDR in dB per stem of the mixture, of silence and of the model."""
    sources = {stem: np.load(song / f"{stem}.npy").T.astype(np.float32) / 32768 for stem in STEMS}
    mixture = np.sum(list(sources.values()), axis=0)
    estimates = unbraid.Separator(model=str(model)).separate(mixture, RATE)
    return {
        "mixture": {stem: round(nsdr(s, mixture), 2) for stem, s in sources.items()},
        "silence": {stem: round(nsdr(s, 0 * s), 2) for stem, s in sources.items()},
        "mini": {
            stem: round(nsdr(s, np.asarray(estimates[stem])), 2) for stem, s in sources.items()
        },
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
