"""Mutated checkpoints, bags and recipes: opened as plain data or refused in one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fuzz.hunt import corpus, hunt
from unbraid.zoo.checkpoint import save_checkpoint
from zoo.public_files import KWARGS, SOURCES, honest_model, write_th

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(0)]

CLASSIC = Path(__file__).parents[1] / "reference" / "classic_files"
OTHERS = (
    "mdx/flat/bass.onnx", "wavenet/voice.hdf5", "wave_u_net/full_44KHz-1.index",
    "demucs_v1/demucs.th.gz", "demucs_quantized.th", "demucs_unpacked.th",
)  # fmt: skip
"""Files of other kinds, as their own packages write them."""

BAG = b"""models: ['955717e8', 'aaaaaaaa']
weights: [[1., 0., 0., 0.], [0., 1., 1., 1.]]
segment: 44
"""


def small_models(folder: Path) -> dict[str, bytes]:
    """A model of some hundred weights in each of the formats."""
    model = honest_model()
    save_checkpoint(folder / "own.safetensors", model)
    write_th(folder / "public.th")
    save_file({"x": torch.zeros(2, 3)}, folder / "bare.safetensors", {"format": "pt"})
    torch.save({"klass": "HDemucs", "args": [SOURCES], "kwargs": KWARGS, "state": {}},
               folder / "legacy.th", _use_new_zipfile_serialization=False)  # fmt: skip
    found = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    found |= {Path(name).name: (CLASSIC / name).read_bytes() for name in OTHERS}
    return {**found, "bag.yaml": BAG, **corpus((".th", ".yaml", ".yml", ".ckpt", ".safetensors"))}


def test_no_mutant_of_a_model_breaks_its_reader(tmp_path, monkeypatch):
    made, inputs = tmp_path / "made", tmp_path / "inputs"
    for folder in (made, inputs):
        folder.mkdir()
    data = "data-00000-of-00001"  # of the index; both are called input there
    shutil.copy(CLASSIC / f"wave_u_net/full_44KHz-1.{data}", inputs / f"input.{data}")
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path / "cache"))
    assert hunt("models", small_models(made), inputs) == []


def test_no_mutant_of_a_recipe_breaks_its_reader(tmp_path):
    recipes = Path(__file__).parents[2] / "recipes"
    seeds = {path.name: path.read_bytes() for path in sorted(recipes.glob("*.toml"))[:12]}
    assert hunt("settings", seeds, tmp_path) == []
