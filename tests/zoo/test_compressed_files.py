"""Quantized Demucs in compressed files: v1 by gzip, v2 by DiffQ and zlib inside a torch file."""

from __future__ import annotations

import gzip
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from reference.generator import uniform
from unbraid.engines.load import load_module
from unbraid.errors import CheckpointError
from unbraid.zoo.open import open_model
from unbraid.zoo.public import unpacked
from unbraid.zoo.public.pickles import read_pickle

FILES = Path(__file__).parent.parent / "reference" / "classic_files"
OLD, NEW = FILES / "demucs_v1" / "demucs.th.gz", FILES / "demucs_quantized.th"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "unpacked"


def test_a_file_of_demucs_v1_gives_what_its_code_gives():
    """Made by `reference/make_repository_files.py`."""
    stored = open_model(OLD)
    assert stored.spec.stems == ("drums", "bass", "other", "vocals")
    heard = torch.from_numpy(0.4 * uniform("input", 2 * 2000)).float().reshape(1, 2, 2000)
    wanted = np.load(OLD.parent / "outputs.npz")["demucs"]
    with torch.no_grad():
        found = load_module(stored)(heard)[0].numpy()
    assert np.abs(found - wanted).max() < 1e-6 * np.abs(wanted).max()
    for name, weight in stored.weights.items():
        assert len(np.unique(weight.read())) <= 256, name


def test_both_ways_to_store_levels_give_the_same_weights():
    new, old = open_model(NEW).weights, open_model(FILES / "demucs_unpacked.th").weights
    assert all(np.array_equal(new[name].read(), old[name].read()) for name in new)


@pytest.mark.parametrize("path", [OLD, NEW])
def test_a_file_is_unpacked_once(path, cache):
    open_model(path)
    (first,) = cache.iterdir()
    made = first.stat().st_mtime_ns
    open_model(path)
    assert [file.stat().st_mtime_ns for file in cache.iterdir()] == [made]


def _write(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def _state(**changed: object) -> bytes:
    """The compressed state of an honest file with some of its parts replaced."""
    import io

    content = torch.load(NEW, weights_only=True)["compressed"]
    kept = torch.load(io.BytesIO(zlib.decompress(content)), weights_only=False)
    buffer = io.BytesIO()
    torch.save({**kept, **changed}, buffer)
    return zlib.compress(buffer.getvalue())


TENSOR = torch.zeros(4, 8, dtype=torch.uint8)
HOSTILE = {
    "no zlib": lambda: b"abc" * 100,
    "cut short": lambda: torch.load(NEW, weights_only=True)["compressed"][:-50],
    "fifty megabytes of nothing": lambda: zlib.compress(bytes(50_000_000)),
    "no torch file": lambda: zlib.compress(b"nothing"),
    "empty": lambda: b"",
}
FALSE = {
    "no list": {"quantized": 5},
    "nothing quantized": {"quantized": []},
    "no small weights": {"others": []},
    "numbers for weights": {"others": [1.0] * 22},
    "one weight less": {"others": [torch.zeros(4, 2, 8)] * 21},
    "other shapes": {"others": [torch.zeros(4, 2, 8)] * 22},
    "no meta and no levels": {"meta": None},
    "twelve times nothing": {"quantized": [None] * 12},
    "levels without bounds": {"quantized": [(TENSOR, (), TENSOR[:, 0])] * 12},
    "levels of other groups": {"quantized": [(TENSOR, (0.0, 1.0), TENSOR[0])] * 12},
    "levels of floats": {"quantized": [(TENSOR.float(), (0.0, 1.0), TENSOR[:, 0])] * 12},
    "endless bounds": {"quantized": [(TENSOR, (0.0, float("inf")), TENSOR[:, 0])] * 12},
}


@pytest.fixture
def quantizer(monkeypatch):
    """The class that files name, so that torch can load and save them here."""
    import sys
    import types

    names = types.ModuleType("diffq.diffq")
    names.DiffQuantizer = type("DiffQuantizer", (), {"__module__": "diffq.diffq"})
    monkeypatch.setitem(sys.modules, "diffq", types.ModuleType("diffq"))
    monkeypatch.setitem(sys.modules, "diffq.diffq", names)


@pytest.mark.parametrize("case", [*HOSTILE, *FALSE])
def test_other_compressed_weights_are_refused(case, tmp_path, unchecked, quantizer):
    content = HOSTILE[case]() if case in HOSTILE else _state(**FALSE[case])
    path = _write(tmp_path / "model.th", {"compressed": content})
    with pytest.raises(CheckpointError) as refusal:
        for weight in open_model(path).weights.values():
            weight.read()
    assert "\n" not in str(refusal.value) and str(path) in str(refusal.value)


@pytest.mark.parametrize("case", ["levels", "bounds"])
def test_false_levels_without_a_description_are_refused(case, tmp_path, unchecked, quantizer):
    import io

    content = torch.load(FILES / "demucs_unpacked.th", weights_only=True)["compressed"]
    state = torch.load(io.BytesIO(zlib.decompress(content)), weights_only=False)
    levels, bounds, bits = state["quantized"][0]
    state["quantized"][0] = (levels[:-1], bounds, bits) if case == "levels" else (levels, 5, bits)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    path = _write(tmp_path / "model.th", {"compressed": zlib.compress(buffer.getvalue())})
    with pytest.raises(CheckpointError):
        list(open_model(path).weights.values())


@pytest.mark.parametrize(
    "content",
    [
        OLD.read_bytes()[:-100],
        OLD.read_bytes()[:5000] + b"?" + OLD.read_bytes()[5001:],
        gzip.compress(b"a text", mtime=0),
        gzip.compress(b"", mtime=0),
        gzip.compress(gzip.compress(OLD.read_bytes(), mtime=0), mtime=0),
        b"\x1f\x8b",
    ],
)
def test_damaged_gzip_files_are_refused(content, tmp_path, cache):
    path = tmp_path / "demucs.th.gz"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as refusal:
        open_model(path)
    assert "\n" not in str(refusal.value) and str(path) in str(refusal.value)
    assert not list(cache.glob(".*")), "a part is left over"


def test_no_more_is_unpacked_than_is_allowed(tmp_path, monkeypatch, cache):
    monkeypatch.setattr(unpacked, "MOST_BYTES", 10_000)
    with pytest.raises(CheckpointError, match="more than 10000 bytes"):
        open_model(OLD)
    assert not list(cache.iterdir())


def test_a_cache_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path / "file"))
    shutil.copy(OLD, tmp_path)
    with pytest.raises(CheckpointError, match="cannot be unpacked into"):
        open_model(tmp_path / "demucs.th.gz")


def test_long_texts_do_not_count_as_instructions(monkeypatch):
    from unbraid.zoo.public import pickles

    monkeypatch.setattr(pickles, "MOST_BYTES", 100)
    long = b"X" + (2 << 20).to_bytes(4, "little") + b"x" * (2 << 20)
    assert len(read_pickle(b"\x80\x02" + long + b".", {})) == 2 << 20
    with pytest.raises(CheckpointError, match="without its texts"):
        read_pickle(b"\x80\x02" + b"N0" * 60 + long + b".", {})
