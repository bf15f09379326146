"""Names, files, folders and bags; importing; hashes; quantized weights by a packer of our own."""

from __future__ import annotations

import hashlib
import json
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unbraid.cli.main import main
from unbraid.engines import load as engines_load
from unbraid.engines.load import load_model
from unbraid.engines.torch.build import layout
from unbraid.engines.torch.official import (
    from_official,
    load_official_state,
    public_names,
    shapes_of,
    to_official_state,
)
from unbraid.errors import CheckpointError, ModelError, UnknownModel
from unbraid.models.compose.bag import Bag
from unbraid.separation.engine import apply_model
from unbraid.separation.settings import SeparationSettings
from unbraid.zoo import bags
from unbraid.zoo import open as load
from unbraid.zoo.catalog import load_catalog
from unbraid.zoo.header import read_info
from unbraid.zoo.public.quantized import unpack_bits, unpack_state
from unbraid.zoo.public.th import read_th
from zoo.public_files import KWARGS, honest_model, plain, write_th


@pytest.fixture
def folder(tmp_path):
    """Two models, one with its hash in the name, and a bag of both."""
    write_th(tmp_path / "one.th")
    two = write_th(tmp_path / "two.th", training_args=plain({"seed": 43}))
    digest = hashlib.sha256(two.read_bytes()).hexdigest()
    two.rename(tmp_path / f"two-{digest[:8]}.th")
    (tmp_path / "both.yaml").write_text(
        "models: ['one', 'two']\nweights: [[1, 0, 1, 1], [1, 1, 0, 1]]\nsegment: 0.5\n"
    )
    return tmp_path


def test_a_folder_gives_its_one_bag_or_what_is_asked_for(folder):
    assert isinstance(load_model(folder), Bag)
    assert isinstance(load_model(folder / "both"), Bag)
    assert isinstance(load_model(f"{folder}/two"), torch.nn.Module)
    with pytest.raises(CheckpointError, match=r"no model 'three'.*both, one, two"):
        load_model(folder / "three")


def test_a_folder_with_several_models_asks_which(folder):
    (folder / "both.yaml").unlink()
    with pytest.raises(ModelError, match="say which"):
        load_model(folder)


def test_two_files_of_one_model_are_refused(folder):
    write_th(folder / "two.th")
    with pytest.raises(CheckpointError, match="more than one file"):
        load_model(folder / "both.yaml")


def test_a_file_that_is_not_what_its_name_says_is_refused(folder):
    file = next(folder.glob("two-*"))
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(CheckpointError, match=r"SHA-256 starts with .* its name says"):
        load_model(file)


def test_a_bag_holds_one_member_at_a_time(folder, monkeypatch, unchecked):
    alive: list[weakref.ref] = []
    most = [0]
    real = engines_load.load_module

    def watched(stored, device="cpu"):
        model = real(stored, device)
        if stored.architecture != "bag":
            alive.append(weakref.ref(model))
            most[0] = max(most[0], sum(ref() is not None for ref in alive))
        return model

    monkeypatch.setattr(engines_load, "load_module", watched)
    bag = load_model(folder / "both.yaml")
    assert alive == []  # nothing is loaded before its turn
    estimates = apply_model(bag, torch.randn(1, 2, 9000), SeparationSettings(shifts=2))
    assert estimates.shape == (1, 4, 2, 9000)
    assert len(alive) == 2 and most[0] == 1
    assert all(ref() is None for ref in alive)


def test_a_bag_of_files_is_the_bag_of_its_models(folder):
    bag = load_model(folder / "both.yaml")
    models = [load_model(folder / name) for name in ("one", "two")]
    wanted = Bag(models, bag.weights, segment_samples=4000)
    mixture = torch.randn(1, 2, 9000)
    assert bag.segments == (4000, 4000)
    assert torch.equal(apply_model(bag, mixture), apply_model(wanted, mixture))


def test_the_fingerprint_of_a_bag_follows_its_files(folder):
    before = load_model(folder / "both.yaml").fingerprint()
    assert before == load_model(folder / "both.yaml").fingerprint()
    write_th(folder / "one.th", training_args=plain({"seed": 44}))
    assert load_model(folder / "both.yaml").fingerprint() != before


def test_unknown_arguments_are_dropped_with_a_warning(tmp_path):
    path = write_th(tmp_path / "x.th", kwargs=plain({**KWARGS, "novel": 1}))
    with pytest.warns(UserWarning, match="dropped: novel"):
        load_model(path)


def test_old_names_of_weights_are_mended():
    kwargs = {**KWARGS, "dconv_mode": 0}
    model = from_official("Demucs", kwargs)
    state = to_official_state(model)
    old = {k.replace(".3.", ".2.") if k.count(".") == 3 else k: v for k, v in state.items()}
    assert old.keys() != state.keys()
    mended = from_official("Demucs", kwargs, old)
    for key, value in to_official_state(mended).items():
        assert torch.equal(value, state[key])


@pytest.mark.parametrize("name", ["mdx", "mdx_q", "mdx_extra", "repro_mdx_a", "hdemucs_mmi"])
def test_public_names_have_cards(name):
    card = {card.name: card for card in load.list_models()}[name]
    assert card.kind == "bag" and card.segment_s == 44
    assert "scientific purposes" in card.licence
    assert card.musdb_test_seen == ("extra" in name)
    assert ("leaked" in card.text) == card.musdb_test_seen
    assert all(address.startswith("https://") for address in card.files)


def test_every_bag_of_the_catalog_is_made_of_its_models():
    catalog = load_catalog()
    assert len(catalog.models) == 93 and len(catalog.bags) == 19
    for bag in catalog.bags.values():
        assert all(catalog.members(member) for member in bag.recipe.models)
        weights = bag.recipe.weights if isinstance(bag.recipe, bags.BagRecipe) else None
        assert weights is None or [len(row) for row in weights] == [4] * len(bag.recipe.models)
    whole = {name for name, model in catalog.models.items() if model.stems}  # not a mixer
    assert {card.name for card in load.list_models()} >= {*whole, *catalog.bags}
    assert catalog.models.keys() - whole == {"kuielab-mixer"}
    assert all(repr(card.name) in repr(card) for card in load.list_models())
    assert max(len(repr(card)) for card in load.list_models()) < 250


def test_an_unknown_name_is_told():
    with pytest.raises(UnknownModel, match="did you mean 'mdx"):
        load_model("mdxx")


def test_import_keeps_what_is_known(tmp_path, capsys):
    source, target = write_th(tmp_path / "one.th"), tmp_path / "ours.safetensors"
    assert main(["models", "import", str(source), "-o", str(target), "--licence", "mine"]) == 0
    assert "demucs, stems drums, bass, other, vocals" in capsys.readouterr().out
    mixture = torch.randn(1, 2, 3000)
    with torch.no_grad():
        assert torch.equal(load_model(target)(mixture), load_model(source)(mixture))
    info = read_info(target)
    assert info.licence == "mine"
    assert info.provenance["imported_from"] == "one.th" and len(info.provenance["sha256"]) == 64
    assert target.stat().st_size < 1.5 * source.stat().st_size  # float16 as it was


@pytest.mark.parametrize(
    "arguments",
    [["import", "x.th"], ["import"], ["pull"], ["pull", "nobody"], ["list", "-o", "x"]],
)
def test_wrong_requests_are_told(arguments, capsys):
    assert main(["models", *arguments]) == 2
    assert capsys.readouterr().err.startswith("unbraid: ")


def test_models_are_listed_as_json(capsys):
    assert main(["models", "list", "--json"]) == 0
    cards = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"mdx_extra", "hdemucs_mmi", "e51eebcc"} <= {card["name"] for card in cards}


# --- quantized weights


def pack_bits(values: np.ndarray, bits: int) -> np.ndarray:
    """The inverse of `unpack_bits`, from the same description."""
    lines = -(-len(values) // 2048)
    padded = np.zeros(lines * 2048, dtype=np.uint64)
    padded[: len(values)] = values
    grid = padded.reshape(lines, 64, 32)
    words = np.zeros((lines, bits, 32), dtype=np.uint64)
    places = np.arange(64, dtype=np.uint64)[:, None]
    for bit in range(bits):
        plane = (grid >> np.uint64(bit)) & np.uint64(1)
        words[:, bit] = np.bitwise_or.reduce(plane << places, axis=1)
    return words.view(np.int64)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 5000), st.integers(1, 15), st.integers(0, 2**32 - 1))
def test_bits_come_back(count, bits, seed):
    values = np.random.default_rng(seed).integers(0, 2**bits, count)
    assert (unpack_bits(pack_bits(values, bits), count) == values).all()


def quantize(weight: torch.Tensor, rng: np.random.Generator) -> tuple[object, torch.Tensor]:
    """A weight in the public form, each group with a width of its own; and what it then is."""
    rows = weight.numpy().astype(np.float64).reshape(-1, 8)
    low, high = float(rows.min()), float(rows.max())
    widths = rng.integers(2, 15, len(rows))
    levels: list[object] = [None] * 14
    values = np.empty_like(rows)
    for width in np.unique(widths):
        which = widths == width
        level = np.round((rows[which] - low) / (high - low) * (2**width - 1)).astype(np.int64)
        levels[width - 1] = torch.from_numpy(pack_bits(level.reshape(-1), int(width)))
        values[which] = level / (2**width - 1) * (high - low) + low
    packed = torch.from_numpy(pack_bits(widths - 2, 4))
    restored = torch.from_numpy(values.reshape(weight.shape)).float()
    return (levels, (low, high), packed), restored


@pytest.mark.parametrize("name", [pytest.param("HDemucs", marks=pytest.mark.slow), "Demucs"])
def test_quantized_weights_come_back(name):
    rng = np.random.default_rng(0)
    kwargs = {"channels": 4, "dconv_comp": 2, "dconv_mode": 3, "depth": 6}
    model = from_official(name, kwargs)
    state: dict[str, object] = {"__quantized": True, "quantized": [], "others": [], "float16": []}
    state["meta"] = {"packed": True, "init_kwargs": {"group_size": 8, "min_size": 0.004}}
    wanted = {}
    for key, value in to_official_state(model).items():
        large = value.numel() > int(0.004 * 2**20 / 4)
        item, wanted[key] = quantize(value, rng) if large else (value, value)
        state["quantized" if large else "others"].append(item)  # type: ignore[attr-defined]
    assert len(state["quantized"]) > 10  # type: ignore[arg-type]
    with torch.device("meta"):
        empty = from_official(name, kwargs)
    load_official_state(empty, unpack_state(state, shapes_of(empty), public_names(empty)))
    for key, value in to_official_state(empty).items():
        torch.testing.assert_close(value, wanted[key], atol=1e-6, rtol=0)


def test_what_a_file_says_is_known_before_its_weights_are_read(tmp_path):
    stored = read_th(write_th(tmp_path / "one.th")).stored()
    assert stored.public_class == "Demucs" and stored.spec == honest_model().spec
    assert next(layout(stored).parameters()).is_meta
    assert bags.names_in_folder(tmp_path) == ["one"]
