"""Assembles `quartet`: one file with the first model's vocals, and the second for the rest.

python -m studies.quartet.assemble VOCALS.safetensors REST.safetensors --out quartet.safetensors
"""

from __future__ import annotations

import argparse
import sys
from collections import ChainMap
from pathlib import Path

import numpy as np

from unbraid.errors import UnbraidError
from unbraid.models.compose.chain import ChainConfig
from unbraid.models.registry import Member
from unbraid.zoo.checkpoint import save_arrays
from unbraid.zoo.hashes import Digest
from unbraid.zoo.open import open_file
from unbraid.zoo.stored import StoredModel


def chain_of(vocals: StoredModel, rest: StoredModel, taken: tuple[str, ...]) -> StoredModel:
    """A stored chain: `taken` from the first model, all stems that the second has from it."""
    links = (vocals, rest)
    members = tuple(Member(link.architecture, link.config) for link in links)
    config = ChainConfig(members, (taken, ()))
    weights = ChainMap(
        *(
            {f"{number}.{name}": w for name, w in link.weights.items()}
            for number, link in enumerate(links)
        )
    )
    return StoredModel("chain", config, weights, rest.path, Digest([vocals.path, rest.path]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("vocals", type=Path, help="the model that gives the vocals")
    parser.add_argument("rest", type=Path, help="the model that gives the other stems")
    parser.add_argument("--out", type=Path, required=True, help="file to write (.safetensors)")
    args = parser.parse_args()
    vocals, rest = open_file(args.vocals), open_file(args.rest)
    licence = f"vocals: {vocals.licence} Other stems: {rest.licence}"
    provenance = {"vocals": dict(vocals.provenance), "rest": dict(rest.provenance)}
    provenance["trained_on"] = "; ".join(
        f"{name}: {model.provenance.get('trained_on', 'not stated')}"
        for name, model in (("vocals", vocals), ("other stems", rest))
    )
    chain = chain_of(vocals, rest, ("vocals",))
    save_arrays(args.out, chain, np.float16, licence=licence, provenance=provenance)
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB, stems {chain.spec.stems}")


if __name__ == "__main__":
    try:
        main()
    except UnbraidError as error:
        sys.exit(f"error: {error}")
