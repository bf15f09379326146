"""Write a checkpoint as a file that can ship, with its scores on the validation song.

    python -m studies.mini.export --data mini-data --model FULL --out mini.safetensors
    python -m studies.mini.export --data mini-data --model FULL --low LOW --ratio-masks --segment 5
        --out mini.safetensors

With `--low` the model of a run of `mini-low` takes the lowest quarter of the band over; of several
such checkpoints, the mean of their weights.
Scores are those of the file as it ships (float16) through `Separator` with default settings:
whole-song nSDR, beside the two trivial estimates.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

import unbraid
from unbraid.evaluation.metrics import nsdr
from unbraid.models.compose.ratio_masks import RatioMasksConfig
from unbraid.models.compose.two_rate import TwoRateConfig
from unbraid.models.network import Network
from unbraid.models.registry import Member, architecture_of, build_network, replace_settings
from unbraid.zoo.checkpoint import save_checkpoint
from unbraid.zoo.header import read_info
from unbraid.zoo.open import find_model

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


def joined(full: Network, low: Network) -> Network:
    """Both as one model: weights of the whole are those of its parts."""
    config = TwoRateConfig(
        full=Member("hybrid_demucs", full.config), low=Member("hybrid_demucs", low.config)
    )
    model = build_network("two_rate", config)
    model.get_submodule("full").load_state_dict(full.state_dict())
    model.get_submodule("low").load_state_dict(low.state_dict())
    return model


def finished(model: Network, segment_s: float | None, ratio_masks: bool) -> Network:
    """The model with another segment and with ratio masks, as it is asked for."""
    config = model.config
    if segment_s is not None:
        config = replace_settings(config, segment_s=segment_s)
    architecture = architecture_of(config)
    made = build_network(architecture, config)
    made.load_state_dict(model.state_dict())
    if not ratio_masks or architecture == "ratio_masks":
        return made
    masked = build_network("ratio_masks", RatioMasksConfig(Member(architecture, config)))
    masked.get_submodule("model").load_state_dict(made.state_dict())
    return masked


def mean(models: list[Network]) -> Network:
    """The first of them, with the mean of all their weights."""
    states = [model.state_dict() for model in models]
    models[0].load_state_dict(
        {name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]}
    )
    return models[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", required=True, help="name or path")
    parser.add_argument("--low", nargs="+", help="models at a quarter of the rate; their mean")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--segment", type=float, help="seconds of one pass; otherwise as it was")
    parser.add_argument("--ratio-masks", action="store_true", help="finish estimates by masks")
    args = parser.parse_args()
    model = unbraid.load_model(args.model)
    provenance = read_info(find_model(args.model)).provenance
    if args.low:
        model = joined(model, mean([unbraid.load_model(name) for name in args.low]))
        parts = [read_info(find_model(name)).provenance for name in args.low]
        provenance = {
            "full": provenance,
            "low": parts[0] if len(parts) == 1 else {"mean_of": parts},
        }
    model = finished(model, args.segment, args.ratio_masks)
    save_checkpoint(args.out, model, licence=LICENCE, provenance=provenance, dtype=torch.float16)
    table = scores(args.out, args.data / "valid" / "Potassium")
    provenance["nsdr_potassium_db"] = table
    save_checkpoint(args.out, model, licence=LICENCE, provenance=provenance, dtype=torch.float16)
    print(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
