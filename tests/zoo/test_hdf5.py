"""The WaveNet of Lluís et al. in HDF5, written by its own code (`make_repository_files.py`)."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from reference.generator import uniform
from unbraid.engines.load import load_module
from unbraid.errors import CheckpointError
from unbraid.zoo.open import open_model
from unbraid.zoo.public.hdf5 import SIGNATURE, read_hdf5

FILES = Path(__file__).parent.parent / "reference" / "classic_files" / "wavenet"
OUTPUTS = np.load(FILES / "outputs.npz")
STEMS = {"multi": ("vocals", "drums", "bass", "other"), "voice": ("vocals", "accompaniment")}


@pytest.mark.parametrize("case", STEMS)
def test_a_file_of_keras_gives_what_keras_gives(case):
    stored = open_model(FILES / f"{case}.hdf5")
    assert stored.spec.stems == STEMS[case] and stored.spec.sample_rate == 16000
    model = load_module(stored)
    samples = 2 * stored.config.reach + 101
    heard = torch.from_numpy(0.4 * uniform("input", samples)).float().reshape(1, 1, samples)
    with torch.no_grad():
        found = model.network(heard, 103)[0, :, 0].numpy()
    # The voice model gives its one estimate twice.
    assert np.abs(found - OUTPUTS[case][: len(found)]).max() < 1e-6
    assert len(found) == len(STEMS[case]) - 1


def test_the_state_of_the_optimizer_is_in_the_file_and_not_in_the_model():
    arrays = read_hdf5(FILES / "multi.hdf5")
    assert any(name.startswith("optimizer_weights/") for name in arrays)
    weights = open_model(FILES / "multi.hdf5").weights
    kernels = [name for name in arrays if name.startswith("model_weights/")]
    assert len(weights) == len(kernels)


def _replaced(old: bytes, new: bytes) -> bytes:
    whole = (FILES / "voice.hdf5").read_bytes()
    assert old in whole and len(old) == len(new)
    return whole.replace(old, new)


OTHERS = {
    "a later version": lambda: _replaced(SIGNATURE + b"\0", SIGNATURE + b"\2"),
    "short addresses": lambda: _replaced(b"\0\x08\x08\0", b"\0\x04\x04\0"),
    "a layer of another name": lambda: _replaced(b"initial_causal_conv", b"initial_causal_c0nv"),
    "a block less": lambda: _replaced(b"res_2_dilated_conv_d2_s0", b"ris_2_dilated_conv_d2_s0"),
    "another dilation": lambda: _replaced(b"res_2_dilated_conv_d2_s0", b"res_2_dilated_conv_d3_s0"),
    "a million stacks": lambda: _replaced(b"res_2_dilated_conv_d2_s0", b"res_2_dilated_c_d2_s9999"),
    "a damaged tree": lambda: _replaced(b"TREE", b"TREF"),
    "a damaged table": lambda: _replaced(b"SNOD", b"SNOE"),
    "no names": lambda: _replaced(b"HEAP", b"HEAQ"),
    "a circle": lambda: _in_a_circle(),
    "only the signature": lambda: SIGNATURE,
    "zeros behind the signature": lambda: SIGNATURE + bytes(500),
}


def _in_a_circle() -> bytes:
    """Every member of every group is the root."""
    whole = bytearray((FILES / "voice.hdf5").read_bytes())
    (root,) = struct.unpack_from("<Q", whole, 24 + 40)
    at = whole.find(b"SNOD")
    while at >= 0:
        (count,) = struct.unpack_from("<H", whole, at + 6)
        for index in range(count):
            struct.pack_into("<Q", whole, at + 16 + 40 * index, root)
        at = whole.find(b"SNOD", at + 1)
    return bytes(whole)


@pytest.mark.parametrize("case", OTHERS)
def test_other_files_are_refused(case, tmp_path):
    path = tmp_path / "model.hdf5"
    path.write_bytes(OTHERS[case]())
    with pytest.raises(CheckpointError) as refusal:
        list(open_model(path).weights.values())
    assert "\n" not in str(refusal.value) and str(path) in str(refusal.value)


def test_an_array_larger_than_the_file_is_refused(tmp_path):
    content = (FILES / "voice.hdf5").read_bytes()
    shape = struct.pack("<QQQ", 3, 1, 4)  # of the first convolution
    assert shape in content
    path = tmp_path / "model.hdf5"
    path.write_bytes(content.replace(shape, struct.pack("<QQQ", 3, 1, 1 << 40)))
    with pytest.raises(CheckpointError, match="an array of shape"):
        open_model(path)


def test_cut_and_changed_files_are_refused_or_read(tmp_path):
    whole = (FILES / "voice.hdf5").read_bytes()
    path = tmp_path / "model.hdf5"
    rng = np.random.default_rng(0)
    for length in range(8, len(whole), 3001):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            list(open_model(path).weights.values())
    read = refused = 0
    for position in rng.integers(0, len(whole), 150):
        content = bytearray(whole)
        content[position] ^= int(rng.integers(1, 256))
        path.write_bytes(content)
        try:
            read += sum(array.read().size > 0 for array in read_hdf5(path).values()) > 0
        except CheckpointError as error:
            assert "\n" not in str(error)
            refused += 1
    assert read + refused == 150 and refused
