"""Wave-U-Net and Spleeter in TensorFlow checkpoints.

Those of Wave-U-Net were written by its own code (`reference/make_repository_files.py`).
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from reference.generator import uniform
from unbraid.engines.load import load_module
from unbraid.errors import CheckpointError
from unbraid.models.mask_unet.public import tensorflow_names
from unbraid.models.registry import build_model
from unbraid.zoo.open import open_model
from unbraid.zoo.public.tf_bundle import read_bundle
from unbraid.zoo.public.tf_systems import bundle_index
from zoo.tf_bundles import write_bundle

FILES = Path(__file__).parent.parent / "reference" / "classic_files" / "wave_u_net"
OUTPUTS = np.load(FILES / "outputs.npz")
VOICE = ("accompaniment", "vocals")
CASES = {
    "baseline_stereo": (VOICE, 22050),
    "full_44KHz": (VOICE, 44100),
    "full_multi_instrument": (("bass", "drums", "other", "vocals"), 22050),
}


@pytest.mark.parametrize("case", CASES)
def test_a_checkpoint_of_wave_u_net_gives_what_its_code_gives(case):
    stored = open_model(FILES / f"{case}-1.index")
    assert (stored.spec.stems, stored.spec.sample_rate) == CASES[case]
    model = load_module(stored)
    taken, given = model.sizes(100)
    heard = torch.from_numpy(0.4 * uniform("input", 2 * taken)).float().reshape(1, 2, taken)
    with torch.no_grad():
        found = model.network(heard)[0].numpy()
    assert found.shape[-1] == given
    assert np.abs(found - OUTPUTS[case]).max() < 1e-6


def test_a_checkpoint_is_named_by_its_index_its_data_or_their_common_start():
    names = ("full_44KHz-1", "full_44KHz-1.index", "full_44KHz-1.data-00000-of-00001")
    found = {open_model(FILES / name).fingerprint() for name in names}
    assert len(found) == 1


def test_other_values_are_another_model(tmp_path):
    shutil.copytree(FILES, tmp_path, dirs_exist_ok=True)
    data = tmp_path / "full_44KHz-1.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[100] ^= 1
    data.write_bytes(content)
    index = "full_44KHz-1.index"
    assert open_model(tmp_path / index).fingerprint() != open_model(FILES / index).fingerprint()


@pytest.mark.parametrize("stems", [2, 4, 5])
def test_a_checkpoint_of_spleeter_is_read_exactly(stems, tmp_path):
    names = {2: ("vocals", "accompaniment"), 4: ("vocals", "drums", "bass", "other"),
             5: ("vocals", "piano", "drums", "bass", "other")}[stems]  # fmt: skip
    model = build_model("mask_unet", {"stems": names, "width": 1})
    tensors = {"global_step": np.array(3, np.int64)}
    wanted = {name: value.numpy() for name, value in model.state_dict().items()}
    for stem in range(stems):
        for own, theirs in tensorflow_names(6, stem).items():
            value = wanted[f"networks.{stem}.{own}"]
            value[...] = uniform(theirs, value.size).reshape(value.shape)
            kernel = value.transpose(2, 3, 1, 0) if value.ndim == 4 else value
            tensors[theirs] = np.ascontiguousarray(kernel)
            tensors[f"{theirs}/Adam"] = np.zeros_like(tensors[theirs])
    stored = open_model(write_bundle(tmp_path, tensors))
    assert stored.spec.stems == names and not stored.spec.normalize
    assert stored.config.softmax == (stems == 5)
    assert (stored.config.activation == "elu") == (stems > 2)
    for name, value in wanted.items():
        assert np.array_equal(stored.weights[name].read(), value)


def _tensors() -> dict[str, np.ndarray]:
    bundle = read_bundle(FILES / "full_multi_instrument-1.index")
    return {name: weight.read() for name, weight in bundle.items() if "Adam" not in name}


def _without(*names: str) -> dict[str, np.ndarray]:
    return {name: values for name, values in _tensors().items() if name not in names}


OTHERS = {
    "another system": lambda: {"dense/kernel": np.zeros((2, 2), np.float32)},
    "no weights": dict,
    "a layer less": lambda: _without("separator/conv1d_8/kernel"),
    "a bias less": lambda: _without("separator/conv1d_2/bias"),
    "no outputs": lambda: _without("separator/conv1d_7/kernel"),
    "a kernel of another rank": lambda: (
        _tensors() | {"separator/conv1d_1/kernel": np.zeros((5, 18), np.float32)}
    ),
    "a kernel of another size": lambda: (
        _tensors() | {"separator/conv1d_1/kernel": np.zeros((5, 3, 7), np.float32)}
    ),
    "whole numbers": lambda: _tensors() | {"separator/conv1d_1/bias": np.zeros(6, np.int64)},
    "an even kernel": lambda: (
        _tensors() | {"separator/conv1d/kernel": np.zeros((4, 2, 3), np.float32)}
    ),
    "three stems of Spleeter": lambda: {
        f"conv2d_transpose{f'_{n}' if n else ''}/kernel": np.zeros((1, 1, 1, 1), np.float32)
        for n in range(18)
    },
    "Spleeter and nothing else": lambda: {
        f"conv2d_transpose{f'_{n}' if n else ''}/kernel": np.zeros((1, 1, 1, 1), np.float32)
        for n in range(12)
    },
}


@pytest.mark.parametrize("case", OTHERS)
def test_other_checkpoints_are_refused(case, tmp_path, unchecked):
    index = write_bundle(tmp_path, OTHERS[case]())
    with pytest.raises(CheckpointError) as refusal:
        list(open_model(index).weights.values())
    assert "\n" not in str(refusal.value) and str(index) in str(refusal.value)


def test_data_without_an_index_are_not_a_model(tmp_path):
    shutil.copy(FILES / "full_44KHz-1.data-00000-of-00001", tmp_path)
    with pytest.raises(CheckpointError, match="not a model"):
        open_model(tmp_path / "full_44KHz-1.data-00000-of-00001")


@pytest.mark.parametrize("name", [".", "/", "", ".index", "no/such/model"])
def test_a_path_without_a_checkpoint_means_none(name):
    assert bundle_index(Path(name)) is None
