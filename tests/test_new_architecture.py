"""A new architecture is one folder and one line: it trains, is saved, separates, is scored and
exported."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch

import unbraid
from small_songs import write_song
from training.small_runs import RATE, STEMS, train, write_dataset
from unbraid.cli.main import main
from unbraid.models import registry
from unbraid.zoo.checkpoint import read_info

CONFIG = '''
from dataclasses import dataclass
from unbraid.models.base import ModelSpec
from unbraid.models.limits import check_limits

@dataclass(frozen=True)
class GainsConfig:
    """A gain for each stem, after a filter of some taps."""

    stems: tuple[str, ...] = ("drums", "bass")
    sample_rate: int = 44100
    audio_channels: int = 2
    segment_s: float = 1.0
    taps: int = 5

    def __post_init__(self) -> None:
        check_limits(self)

    @property
    def spec(self) -> ModelSpec:
        samples = int(self.segment_s * self.sample_rate)
        return ModelSpec(self.stems, self.sample_rate, self.audio_channels, samples)
'''
NETWORK = """
from einops import rearrange
from torch import nn
from unbraid.models.network import Network

class Gains(Network):
    def __init__(self, config):
        super().__init__()
        self.config = config
        outputs = config.audio_channels * len(config.stems)
        self.filter = nn.Conv1d(config.audio_channels, outputs, config.taps, padding="same")

    def forward(self, mixture):
        return rearrange(self.filter(mixture), "b (s c) t -> b s c t", s=len(self.config.stems))
"""
RECIPE = f"""
epochs = 1
[model]
architecture = "toy_gains"
stems = {json.dumps(STEMS)}
sample_rate = {RATE}
audio_channels = 1
segment_s = 1.0
taps = 3
[data]
workers = 0
cache_gb = 0.0
[excerpts]
excerpt_s = 0.5
[augment]
shift_s = 0.125
remix_group = 2
[repitch]
probability = 0.0
[optimizer]
batch_size = 4
[validation]
shifts = 0
"""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The folder, and the line."""
    folder = tmp_path / "toy_gains"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "config.py").write_text(CONFIG)
    (folder / "network.py").write_text(NETWORK)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(registry.NETWORKS, "toy_gains", "toy_gains Gains")
    registry.config_class.cache_clear()
    yield
    registry.config_class.cache_clear()
    for name in [name for name in sys.modules if name.startswith("toy_gains")]:
        del sys.modules[name]


def test_a_folder_and_a_line_are_a_model_for_every_command(toy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy.toml").write_text(RECIPE)
    data = write_dataset(tmp_path / "data")
    assert train("toy.toml", "--data", data, "--run", "run", "--max-steps", "2") == 0
    path = tmp_path / "run/checkpoints/last.safetensors"
    info = read_info(path)
    assert (info.architecture, info.config["taps"], info.stems) == ("toy_gains", 3, STEMS)

    song = write_song(tmp_path / "song.wav", sample_rate=RATE)
    assert main(["separate", str(song), "-m", str(path), "--quiet"]) == 0
    assert {file.stem for file in (tmp_path / "separated/song").iterdir()} == set(STEMS)

    scored = ["--model", str(path), "--data", str(data), "--split", "valid", "--out", "scores"]
    assert main(["evaluate", *scored, "--metrics", "nsdr"]) == 0
    assert (tmp_path / "scores/summary.json").exists()

    assert main(["export", str(path), "-o", "toy.onnx"]) == 0
    mixture = np.random.default_rng(0).standard_normal((1, 1, RATE)).astype(np.float32)
    model, graph = unbraid.load_model(path), unbraid.load_model("toy.onnx")
    np.testing.assert_allclose(graph(mixture), model(mixture), atol=1e-5)
    assert isinstance(model(torch.from_numpy(mixture)), torch.Tensor)

    masks = ("--set", "model.ratio_masks=true", "--start-from", path)
    assert train("toy.toml", "--data", data, "--run", "masked", "--max-steps", "1", *masks) == 0
    whole = unbraid.load_model("masked/checkpoints/last.safetensors")
    np.testing.assert_allclose(whole(mixture).sum(1), mixture, atol=1e-4)
