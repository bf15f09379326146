"""Our own files: what is written comes back, and others may read it too."""

from __future__ import annotations

import stat

import pytest
import torch

from unbraid.engines.load import load_model
from unbraid.models.demucs.network import Demucs, DemucsConfig
from unbraid.models.hybrid_demucs.network import HybridDemucs, HybridDemucsConfig
from unbraid.models.spectrogram_demucs.network import SpectrogramDemucs, SpectrogramDemucsConfig
from unbraid.zoo.checkpoint import read_info, save_checkpoint

SMALL = {"stems": ("voice", "rest"), "sample_rate": 8000, "width": 4, "residual_compression": 2}
MODELS = {
    "hybrid_demucs": lambda: HybridDemucs(HybridDemucsConfig(**SMALL)),
    "spectrogram_demucs": lambda: SpectrogramDemucs(SpectrogramDemucsConfig(**SMALL)),
    "demucs": lambda: Demucs(DemucsConfig(depth=3, **SMALL)),
}


@pytest.mark.parametrize("architecture", MODELS)
def test_a_model_comes_back_with_its_weights_and_its_story(tmp_path, architecture):
    model = MODELS[architecture]().eval()
    path = tmp_path / "mine.safetensors"
    save_checkpoint(path, model, licence="MIT", provenance={"steps": 7})
    again, info = load_model(path), read_info(path)
    assert (info.architecture, info.licence, info.provenance) == (
        architecture,
        "MIT",
        {"steps": 7},
    )
    assert again.spec == model.spec
    mine, theirs = model.state_dict(), again.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[key], theirs[key]) for key in mine)


def test_whoever_may_read_other_new_files_may_read_a_checkpoint(tmp_path):
    path = tmp_path / "mine.safetensors"
    save_checkpoint(path, MODELS["demucs"]())
    (tmp_path / "other").write_text("")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)
    assert [entry.name for entry in tmp_path.iterdir() if ".part" in entry.name] == []
