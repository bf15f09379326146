"""A model that no engine would run is not downloaded first."""

from __future__ import annotations

import pytest

from stand_in_kernels import put_in
from unbraid.cli.main import main
from unbraid.engines import torch as torch_engine
from unbraid.engines.choose import torch_is_missing
from unbraid.engines.load import load_model, load_to_run
from unbraid.errors import ModelError
from unbraid.models.registry import NETWORKS
from unbraid.zoo.open import list_models


@pytest.fixture(autouse=True)
def _bare(monkeypatch, tmp_path):
    """Neither kernels nor torch nor downloaded models."""
    monkeypatch.delenv("UNBRAID_RUNTIME", raising=False)
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(torch_engine, "is_missing", lambda: "no torch")
    put_in(monkeypatch, why_not="no compiler")


@pytest.fixture
def fetched(monkeypatch) -> list[str]:
    """The addresses that would have been downloaded."""
    addresses: list[str] = []

    def fetch(address: str, *_: object, **__: object) -> None:
        addresses.append(address)
        raise ModelError("stop here")

    monkeypatch.setattr("unbraid.zoo.open.fetch", fetch)
    return addresses


def test_every_card_knows_the_networks_of_its_model():
    cards = {card.name: set(card.architectures) for card in list_models()}
    assert cards["mini"] == {"hybrid_demucs"}
    assert cards["quartet"] == {"mask_unet", "band_unet"}
    assert cards["mdx"] == {"demucs", "hybrid_demucs"}
    assert cards["kim-htdemucs_ft"] == {"mel_band_roformer", "htdemucs"}
    assert all(names and names <= NETWORKS.keys() for names in cards.values())


@pytest.mark.parametrize("load", [load_to_run, load_model])
def test_what_no_engine_runs_is_not_downloaded(load, fetched):
    with pytest.raises(ModelError, match=r"htdemucs is not downloaded.*no compiler; no torch"):
        load("htdemucs")
    assert not fetched


def test_neither_are_links_of_a_chain_in_a_file(fetched, tmp_path):
    inner, outer = tmp_path / "inner.yaml", tmp_path / "outer.yaml"
    inner.write_text("chain:\n- {model: quartet, stems: [vocals]}\n- model: htdemucs\n")
    outer.write_text("chain:\n- {model: quartet, stems: [drums]}\n- model: inner\n")
    for path in (inner, outer):
        with pytest.raises(ModelError, match=r"htdemucs is not downloaded.*no compiler; no torch"):
            load_to_run(path)
    assert not fetched


def test_what_the_kernels_run_is_downloaded_without_torch(monkeypatch, fetched):
    put_in(monkeypatch)
    with pytest.raises(ModelError, match="stop here"):
        load_to_run("htdemucs")
    assert len(fetched) == 1
    with pytest.raises(ModelError, match=r"mdx is not downloaded.*do not run this model; no torch"):
        load_to_run("mdx")
    with pytest.raises(ModelError, match="the device is cuda; no torch"):
        load_to_run("htdemucs", "cuda")
    assert len(fetched) == 1


def test_torch_is_missing_for_all_but_what_numpy_runs(monkeypatch):
    assert torch_is_missing(("mask_unet", "band_unet")) is None
    assert torch_is_missing(("mask_unet", "hybrid_demucs")) == "no compiler; no torch"
    assert torch_is_missing(("mask_unet",), "cpu", "bf16") == "the precision is bf16; no torch"
    monkeypatch.setenv("UNBRAID_RUNTIME", "torch")
    assert torch_is_missing(("mask_unet",)) == "UNBRAID_RUNTIME is torch; no torch"
    monkeypatch.setattr(torch_engine, "is_missing", lambda: None)
    assert torch_is_missing(("mask_unet", "hybrid_demucs")) is None


def test_a_reason_is_given_once(monkeypatch):
    monkeypatch.setenv("UNBRAID_RUNTIME", "torch")
    with pytest.raises(ModelError) as raised:
        load_to_run("quartet-vocals")
    assert str(raised.value) == (  # without the folder, which guests of a server need not know
        "quartet-vocals.safetensors: no engine runs this model here: "
        "UNBRAID_RUNTIME is torch; no torch"
    )


def test_a_folder_of_a_public_name_is_what_is_opened(tmp_path, monkeypatch, fetched):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "htdemucs").mkdir()
    with pytest.raises(ModelError, match="a folder with 0 models"):
        load_to_run("htdemucs")
    assert not fetched


def test_the_list_and_a_download_say_which_models_need_torch(capsys, fetched):
    assert main(["models"]) == 0
    listed = capsys.readouterr().out
    assert "Need torch, which is not installed: htdemucs" in listed
    assert "needs torch" in listed.partition("\nmini ")[2].partition("Licence")[0]
    assert "torch" not in listed.partition("\nquartet ")[2].partition("Licence")[0]
    assert main(["models", "pull", "htdemucs"]) == 2
    assert "note: no engine would run htdemucs here: no compiler" in capsys.readouterr().err
    assert len(fetched) == 1  # for another machine, perhaps
