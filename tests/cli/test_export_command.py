"""The command export: what it refuses, and that its file separates."""

from __future__ import annotations

import json

import pytest
import torch

from small_songs import write_song
from unbraid.cli.main import main
from unbraid.models.hybrid_demucs.network import HybridDemucs, HybridDemucsConfig
from unbraid.zoo.checkpoint import save_checkpoint


@pytest.mark.parametrize("out", ["model.safetensors", "no/such/folder/model.onnx"])
def test_a_target_that_cannot_be_is_told(out, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["export", "mini", "-o", out]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.slow
def test_an_exported_checkpoint_separates_a_song(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    config = HybridDemucsConfig(
        sample_rate=8000, segment_s=0.5, width=4, n_fft=256, depth=5, residual_compression=1
    )
    save_checkpoint("tiny.safetensors", HybridDemucs(config), licence="MIT")
    assert main(["export", "tiny.safetensors", "-o", "tiny.onnx", "--segment", "0.4"]) == 0
    assert "segments of 0.4 s" in capsys.readouterr().out
    write_song(tmp_path / "song.wav", sample_rate=8000)
    assert main(["song.wav", "--model", "tiny.onnx", "--json", "--quiet"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["status"] == "done"
    assert sorted(result["outputs"]) == ["bass", "drums", "other", "vocals"]
