"""Public files of every kind load here and give what the public package gives.

`reference/public/` holds tiny files that the public package wrote, and figures of what it computes
with them and with larger ones (`reference/make_public_models.py`).
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from reference.generator import fill, signal
from unbraid.engines.load import load_model
from unbraid.engines.torch.official import from_official, to_official_state
from unbraid.models.compose.bag import Bag
from unbraid.separation.engine import apply_model
from unbraid.separation.settings import SeparationSettings

HERE = Path(__file__).parent.parent / "reference" / "public"
STORED = json.loads((HERE / "outputs.json").read_text())
MODELS, SETTINGS = STORED["models"], STORED["settings"]
FILES = sorted(path.name for path in HERE.iterdir() if path.suffix != ".json")
OTHERS = sorted(name for name, model in MODELS.items() if "class" in model and "_q" not in name)


def plain(value: object) -> object:
    if isinstance(value, dict):
        return value["numerator"] / value["denominator"]
    return value


def mixture(name: str) -> torch.Tensor:
    return signal(1, MODELS[name]["channels"], STORED["samples"], gain=0.4)


def deviation(y: torch.Tensor, figures: dict) -> float:
    assert list(y.shape) == figures["shape"]
    flat = y.double().flatten()
    samples = flat[:: max(1, flat.numel() // 48)][:48]
    wanted = torch.tensor(figures["samples"], dtype=torch.float64)
    found = {"mean": flat.mean(), "std": flat.std(), "absmax": flat.abs().max()}
    statistics = (abs(float(value) - figures[key]) for key, value in found.items())
    return max(float((samples - wanted).abs().max()), *statistics)


def assert_alike(model: torch.nn.Module, name: str, way: str) -> None:
    """The same output as stored, forward or by `apply_model` with the settings of that name."""
    if way == "forward":
        y = model(mixture(name))
    else:
        given = dict(SETTINGS[way])
        shifts, offsets = given.pop("shifts"), given.pop("offsets", None)
        members = len(model) if isinstance(model, Bag) else 1
        given["shift_offsets"] = offsets and offsets[: shifts * members]
        y = apply_model(model, mixture(name), SeparationSettings(shifts=shifts, **given))
    assert deviation(y, MODELS[name]["stored"][way]) < 1e-5, way


def every_way_of_files() -> list:
    """Each file once by `forward`, one bag by `apply_model`; the rest where it is quick."""
    ways = [(file, way) for file in FILES for way in MODELS[file.split(".")[0]]["stored"]]
    quick = {(file, "forward") for file in FILES if not file.endswith(".yaml")}
    quick |= {("pair.yaml", "overlap")}
    quick |= {("tiny_time.th", way) for way in SETTINGS}
    return [pytest.param(*pair, marks=() if pair in quick else pytest.mark.slow) for pair in ways]


@pytest.mark.parametrize(("file", "way"), every_way_of_files())
@torch.no_grad()
def test_files_of_the_public_package_give_its_output(file, way):
    assert_alike(load_model(HERE / file), file.split(".")[0], way)


def every_way() -> list:
    """Forward for all, and one by `apply_model`; the rest is slow."""
    quick = {("time", "shifts")}
    quick |= {(name, "forward") for name in OTHERS}
    return [
        pytest.param(name, way, marks=() if (name, way) in quick else pytest.mark.slow)
        for name in OTHERS
        for way in ("forward", *SETTINGS)
    ]


@pytest.mark.parametrize(("name", "way"), every_way())
@torch.no_grad()
def test_variants_give_the_output_of_the_public_package(name, way):
    stored = MODELS[name]
    kwargs = {key: plain(value) for key, value in stored["kwargs"].items()}
    with torch.device("meta"):
        empty = from_official(stored["class"], kwargs)
    public = {
        key: fill(key, tuple(value.shape)).half() for key, value in to_official_state(empty).items()
    }
    assert_alike(from_official(stored["class"], kwargs, public), name, way)


def test_the_public_order_of_weights_is_kept():
    # Only the quantized files depend on it, and they pass; this says what it is.
    model = from_official("HDemucs", {"channels": 4, "dconv_comp": 2})
    lists = [key.split(".")[0] for key in to_official_state(model)]
    assert list(dict.fromkeys(lists)) == ["encoder", "decoder", "tencoder", "tdecoder", "freq_emb"]
    first = [key for key in to_official_state(model) if key.startswith("decoder.0")]
    parts = list(dict.fromkeys(re.sub(r"decoder\.0\.(\w+).*", r"\1", key) for key in first))
    assert parts == ["conv_tr", "norm2", "rewrite", "norm1"]
