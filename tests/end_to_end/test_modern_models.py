"""What people run today, end to end on a real song: htdemucs_ft, and a RoFormer before it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from reference.modern_systems import filled
from unbraid.cli.main import main
from unbraid.engines.load import load_model
from unbraid.models.htdemucs.config import HTDemucsConfig
from unbraid.models.htdemucs.network import HTDemucs
from unbraid.models.roformer.config import BSRoformerConfig
from unbraid.models.roformer.network import BSRoformer
from unbraid.zoo.checkpoint import save_checkpoint

DEMO = Path(__file__).parents[2] / "demo" / "Karissa Hobbs - Lets Go Fishin.ogg"
STEMS = ("drums", "bass", "other", "vocals")
SMALL = HTDemucsConfig(
    width=4, bottleneck=16, heads=2, transformer_layers=2, n_fft=256, depth=2, segment_s=0.5,
    residual_compression=2, residual_depth=1,
)  # fmt: skip
ROFORMER = BSRoformerConfig(
    stems=("vocals",), bands=(11, 11, 11), width=8, depth=1, heads=2, head_width=4, n_fft=64,
    window=64, hop=16, segment_s=0.5,
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Half a second of a song, four HT Demucs of one stem each in a bag, a RoFormer, a chain."""
    folder = tmp_path_factory.mktemp("modern")
    sound, rate = soundfile.read(DEMO, start=44100 * 20, frames=22050, dtype="float32")
    soundfile.write(folder / "song.wav", sound, rate, subtype="FLOAT")
    for number in range(4):
        torch.manual_seed(number)
        save_checkpoint(folder / f"part{number}.safetensors", HTDemucs(SMALL).eval())
    save_checkpoint(folder / "vocals.safetensors", filled(BSRoformer(ROFORMER)))
    rows = [[int(row == column) for column in range(4)] for row in range(4)]
    (folder / "ft.yaml").write_text(
        f"models: [part0, part1, part2, part3]\nweights: {rows}\nsegment: 0.5\n"
    )
    (folder / "chain.yaml").write_text("chain:\n- {model: vocals, stems: [vocals]}\n- model: ft\n")
    return folder


@pytest.fixture
def passes(monkeypatch):
    """How often each network ran."""
    counted: Counter[str] = Counter()
    for network in (HTDemucs, BSRoformer):
        forward = network.forward

        def count(self, mixture, forward=forward):
            counted[type(self).__name__] += 1
            return forward(self, mixture)

        monkeypatch.setattr(network, "forward", count)
    monkeypatch.setenv("UNBRAID_RUNTIME", "torch")
    return counted


def separate(folder, out, model, *more):
    arguments = [
        "separate", folder / "song.wav", "-o", out, "-m", folder / model, "--quiet", "--float32",
        "--clip-mode", "none", "--overlap", "0", *more,
    ]  # fmt: skip
    assert main([str(argument) for argument in arguments]) == 0
    return {path.stem: soundfile.read(path, dtype="float32")[0].T for path in out.rglob("*.wav")}


def test_one_stem_of_a_bag_of_specialists_runs_one_network(folder, tmp_path, passes):
    alone = separate(folder, tmp_path / "one", "ft.yaml", "--stems", "vocals")
    assert passes == {"HTDemucs": 1}
    together = separate(folder, tmp_path / "all", "ft.yaml")
    assert passes == {"HTDemucs": 1 + 4}
    assert set(alone) == {"vocals"} and set(together) == set(STEMS)
    assert np.array_equal(alone["vocals"], together["vocals"])


@pytest.mark.slow
def test_vocals_by_a_roformer_and_the_rest_by_the_bag(folder, tmp_path, passes):
    found = separate(folder, tmp_path, "chain.yaml")
    assert passes == {"BSRoformer": 1, "HTDemucs": 4}
    song = soundfile.read(folder / "song.wav", dtype="float32")[0].T
    middle = song.mean(axis=0)
    mean, std = middle.mean(), middle.std(ddof=1) + 1e-8
    mixture = torch.from_numpy((song - mean) / std)[None]
    with torch.inference_mode():
        vocals = load_model(folder / "vocals.safetensors")(mixture)[:, 0]
        rest = load_model(folder / "ft.yaml")(mixture - vocals)[0]
    expected = rest.clone()
    expected[STEMS.index("vocals")] += vocals[0]
    assert set(found) == set(STEMS)
    for stem, wanted in zip(STEMS, expected * std + mean / 4, strict=True):
        np.testing.assert_allclose(found[stem], wanted.numpy(), atol=1e-5)
    assert np.abs(found["vocals"]).max() > 1e-3
