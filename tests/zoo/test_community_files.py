"""Weights as community programs save them, with the YAML of their settings."""

from __future__ import annotations

import dataclasses
import pickle
from fractions import Fraction

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_file

import unbraid
from reference.modern_systems import filled
from unbraid.cli.main import main
from unbraid.engines.load import load_model, load_to_run
from unbraid.errors import CheckpointError
from unbraid.models.htdemucs import public as public_htdemucs
from unbraid.models.htdemucs.config import HTDemucsConfig
from unbraid.models.htdemucs.network import HTDemucs
from unbraid.models.roformer.config import BSRoformerConfig
from unbraid.models.roformer.network import BSRoformer
from unbraid.zoo.catalog import load_catalog
from unbraid.zoo.checkpoint import save_checkpoint
from unbraid.zoo.open import open_file, open_model

SETTINGS = """
audio: {chunk_size: 4410, sample_rate: 44100, num_channels: 2}
model:
  dim: 8
  depth: 1
  stereo: true
  num_stems: 1
  time_transformer_depth: 1
  freq_transformer_depth: 1
  freqs_per_bands: !!python/tuple [11, 11, 11]
  dim_head: 4
  heads: 2
  flash_attn: true
  stft_n_fft: 64
  stft_win_length: 64
  stft_hop_length: 16
training: {instruments: [Vocals, Instrumental], target_instrument: Vocals}
inference: {num_overlap: 2}
"""
CONFIG = BSRoformerConfig(
    bands=(11, 11, 11), width=8, depth=1, heads=2, head_width=4, n_fft=64, window=64, hop=16,
    segment_s=0.1, mask_hidden_layers=1,
)  # fmt: skip


@pytest.fixture
def network():
    return filled(BSRoformer(CONFIG))


def lightning(state):
    return {
        "pytorch-lightning_version": "2.1", "epoch": 3, "callbacks": {"best": {"score": 1.0}},
        "state_dict": {f"model.{key}": value for key, value in state.items()},
    }  # fmt: skip


def training(state):
    optimizer = {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 1e-3}]}
    return {"epoch": 3, "optimizer_state_dict": optimizer, "model_state_dict": state}


LAYOUTS = {
    "plain": lambda state: state,
    "state": lambda state: {"state": state},
    "lightning": lightning,
    "training": training,
    "parallel": lambda state: {f"module.{key}": value for key, value in state.items()},
    "halves": lambda state: {key: value.half().float() for key, value in state.items()},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_network_and_its_complement(tmp_path, network, layout):
    path = tmp_path / "model.ckpt"
    state = dict(network.state_dict())
    torch.save(LAYOUTS[layout](state), path)
    path.with_suffix(".yaml").write_text(SETTINGS)
    model = load_model(path)
    assert model.spec.stems == ("vocals", "instrumental")
    assert model.spec.segment_samples == 4410
    assert model.spec.normalize is False
    mixture = torch.randn(1, 2, 3000)
    with torch.inference_mode():
        vocals, rest = model(mixture)[:, 0], model(mixture)[:, 1]
        tolerance = 1e-2 if layout == "halves" else 1e-6
        torch.testing.assert_close(vocals, network(mixture)[:, 0], atol=tolerance, rtol=0)
    torch.testing.assert_close(vocals + rest, mixture, atol=1e-6, rtol=0)


def test_safetensors_without_a_word_about_their_model_work_alike(tmp_path, network):
    path = tmp_path / "model.safetensors"
    save_file(dict(network.state_dict()), path)
    settings = tmp_path / "elsewhere" / "any.yaml"
    settings.parent.mkdir()
    settings.write_text(SETTINGS)
    model = load_to_run(path, config=settings)
    mixture = torch.randn(1, 2, 300)
    with torch.inference_mode():
        torch.testing.assert_close(model(mixture)[:, 0], network(mixture)[:, 0])


def test_without_settings_one_line_says_what_is_missing(tmp_path, network):
    path = tmp_path / "model.ckpt"
    torch.save(network.state_dict(), path)
    with pytest.raises(CheckpointError, match="--config FILE") as caught:
        open_model(path)
    assert "\n" not in str(caught.value)


def test_rates_of_positions_are_computed_where_a_file_lacks_them(tmp_path, network):
    path = tmp_path / "model.ckpt"
    kept = {key: value for key, value in network.state_dict().items() if "rotary" not in key}
    torch.save(kept, path)
    path.with_suffix(".yaml").write_text(SETTINGS)
    mixture = torch.randn(1, 2, 300)
    with torch.inference_mode():
        torch.testing.assert_close(load_model(path)(mixture)[:, 0], network(mixture)[:, 0])


def test_weights_that_do_not_fit_their_settings_are_named(tmp_path, network, unchecked):
    path = tmp_path / "model.ckpt"
    torch.save(network.state_dict(), path)
    for change, word in (
        ("dim: 8", "has shape"), ("depth: 1", "lacks"), ("num_stems: 1", "makes 2 stems"),
    ):  # fmt: skip
        key, value = change.split(": ")
        path.with_suffix(".yaml").write_text(
            SETTINGS.replace(f"  {change}", f"  {key}: {2 * int(value)}", 1)
        )
        with pytest.raises(CheckpointError, match=word):
            load_model(path)


@pytest.mark.parametrize(
    "key", ["mask_estimators.0.segm.0.weight", "linear_62_bias_0", "layers.0.0.branch.0.weight"]
)
def test_a_variant_that_unbraid_does_not_have_is_named(tmp_path, network, key):
    path = tmp_path / "model.ckpt"
    torch.save({**network.state_dict(), key: torch.zeros(3)}, path)
    path.with_suffix(".yaml").write_text(SETTINGS)
    with pytest.raises(CheckpointError, match="a variant with"):
        open_model(path)


class _Evil:
    def __reduce__(self):
        return print, ("executed",)


def test_hostile_checkpoints_are_refused_and_nothing_is_executed(tmp_path, capsys):
    path = tmp_path / "model.ckpt"
    path.with_suffix(".yaml").write_text(SETTINGS)
    torch.save({"state_dict": {"a": torch.zeros(3)}, "extra": _Evil()}, path)
    with pytest.raises(CheckpointError, match="nothing was imported"):
        open_model(path)
    path.write_bytes(pickle.dumps(_Evil()))
    with pytest.raises(CheckpointError):
        open_model(path)
    torch.save([1, 2, 3], path)
    with pytest.raises(CheckpointError, match="nor a table of weights"):
        open_model(path)
    assert "executed" not in capsys.readouterr().out


def test_a_package_of_htdemucs_opens_by_itself(tmp_path):
    kwargs = {
        "sources": ["a", "b"], "channels": 8, "bottom_channels": 16, "t_heads": 2, "t_layers": 2,
        "dconv_mode": 3, "segment": Fraction(1, 2),
    }  # fmt: skip
    _, config = public_htdemucs.to_ours({**public_htdemucs.DEFAULTS, **kwargs, "segment": 0.5})
    network = HTDemucs(HTDemucsConfig(**config))
    names = public_htdemucs.public_names(network.state_dict(), network.config)
    filled(network, names)
    state = {names[own]: value for own, value in network.state_dict().items()}
    save_file(
        state,
        tmp_path / "955717e8.safetensors",
        metadata={
            "klass": "demucs.htdemucs.HTDemucs",
            "args": "[]",
            "kwargs": '{"sources": ["a", "b"], "channels": 8, "bottom_channels": 16, "t_heads": 2,'
            '"t_layers": 2, "dconv_mode": 3, "segment": {"_type": "fraction", "numerator": 1, '
            '"denominator": 2}}',
        },
    )
    model = load_model(tmp_path / "955717e8.safetensors")
    assert model.spec.longest_samples == 22050
    mixture = torch.randn(1, 2, 5000)
    with torch.inference_mode():
        torch.testing.assert_close(model(mixture), network(mixture))


def test_a_file_of_the_catalog_needs_no_settings(tmp_path, monkeypatch):
    known = load_catalog().models["scnet-small"]
    assert known.settings is not None
    from unbraid.models.registry import build_model

    network = build_model(known.settings.architecture, known.settings.config)
    path = tmp_path / known.file_name
    torch.save({key: value.half() for key, value in network.state_dict().items()}, path)
    with pytest.raises(CheckpointError, match="--config"):
        open_file(path)  # another size: another file of that name
    monkeypatch.setitem(
        load_catalog().models,
        "scnet-small",
        known.__class__(**{**known.__dict__, "size_bytes": path.stat().st_size}),
    )
    assert open_file(path).spec.stems == ("drums", "bass", "other", "vocals")


def test_weights_of_disputed_origin_open_with_a_line_about_it(
    tmp_path, network, monkeypatch, caplog
):
    path = tmp_path / "any.ckpt"
    torch.save(network.state_dict(), path)
    path.with_suffix(".yaml").write_text(SETTINGS)
    note = next(iter(load_catalog().doubtful.values()))
    monkeypatch.setitem(load_catalog().doubtful, path.stat().st_size, note)
    load_model(path)
    assert "disputed" in caplog.text


def test_the_command_separates_a_song_with_a_checkpoint_and_its_settings(tmp_path, network):
    song = 0.3 * torch.randn(2, 9000).numpy()
    soundfile.write(tmp_path / "song.wav", song.T, 44100, subtype="FLOAT")
    torch.save(network.state_dict(), tmp_path / "model.ckpt")
    (tmp_path / "any.yaml").write_text(SETTINGS)
    arguments = [
        "separate", tmp_path / "song.wav", "-o", tmp_path / "out", "-m", tmp_path / "model.ckpt",
        "--config", tmp_path / "any.yaml", "--float32", "--clip-mode", "none", "--quiet",
    ]  # fmt: skip
    assert main([str(argument) for argument in arguments]) == 0
    parts = [
        soundfile.read(tmp_path / "out" / "song" / f"{stem}.wav", dtype="float32")[0].T
        for stem in ("vocals", "instrumental")
    ]
    np.testing.assert_allclose(sum(parts), song, atol=1e-6)
    settings = unbraid.SeparationSettings()
    expected = unbraid.apply_model(network, torch.from_numpy(song)[None], settings)[0, 0]
    np.testing.assert_allclose(parts[0], expected.numpy(), atol=1e-5)


def test_an_ensemble_in_a_yaml_combines_models_of_different_stems(tmp_path, network):
    other = filled(BSRoformer(dataclasses.replace(CONFIG, stems=("vocals", "other"))))
    save_checkpoint(tmp_path / "one.safetensors", network)
    save_checkpoint(tmp_path / "two.safetensors", other)
    (tmp_path / "both.yaml").write_text(
        "ensemble: max_wave\nmodels: [one, two]\nweights: [[1, 0], [2, 1]]\n"
    )
    model = load_model(tmp_path / "both.yaml")
    assert model.spec.stems == ("vocals", "other")
    mixture = torch.randn(1, 2, 400)
    with torch.inference_mode():
        found, (a, b) = model(mixture), (network(mixture), other(mixture))
    louder = torch.where(a[:, 0].abs() >= b[:, 0].abs(), a[:, 0], b[:, 0])
    torch.testing.assert_close(found[:, 0], louder)
    torch.testing.assert_close(found[:, 1], b[:, 1])
