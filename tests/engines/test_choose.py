"""What runs a model on the CPU, and that it is the same model whoever does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import unbraid
from small_composites import two_rate
from small_songs import noise, write_song
from stand_in_kernels import put_in
from unbraid.costs.model_cost import measure_cost
from unbraid.engines.choose import why_torch
from unbraid.engines.load import load_to_run, missing_kernels
from unbraid.engines.native import library
from unbraid.engines.native.model import NativeModel
from unbraid.engines.prepare import prepare_model
from unbraid.engines.torch.run import TorchModel
from unbraid.errors import CheckpointError, SettingsError
from unbraid.models.compose.two_rate import TwoRate
from unbraid.models.hybrid_demucs.network import HybridDemucs, HybridDemucsConfig
from unbraid.models.mask_unet.network import MaskUNet, MaskUNetConfig
from unbraid.models.registry import weight_shapes
from unbraid.models.spectrogram_demucs.network import SpectrogramDemucs, SpectrogramDemucsConfig
from unbraid.zoo.checkpoint import save_checkpoint
from unbraid.zoo.open import open_model
from unbraid.zoo.public.th import read_th
from zoo.public_files import write_hybrid_th

SMALL = {"stems": ("voice", "rest"), "width": 8, "segment_s": 1.0}


@pytest.fixture(autouse=True)
def _kernels(monkeypatch):
    monkeypatch.delenv("UNBRAID_RUNTIME", raising=False)
    put_in(monkeypatch)


@pytest.fixture(params=[None, torch.float16])
def file(tmp_path, request) -> Path:
    """A Hybrid Demucs of ours, as trained and as shipped."""
    path = tmp_path / "small.safetensors"
    save_checkpoint(path, HybridDemucs(HybridDemucsConfig(**SMALL)), dtype=request.param)
    return path


def torch_module(model) -> torch.nn.Module:
    """The module of a model that torch runs."""
    assert isinstance(model, TorchModel)
    return model.module


def test_on_the_cpu_in_float32_the_kernels_run_what_fits(file, monkeypatch):
    assert isinstance(load_to_run(file), NativeModel)
    assert isinstance(load_to_run(file, "cpu", "fp32"), NativeModel)
    assert isinstance(torch_module(load_to_run(file, "cpu", "bf16")), HybridDemucs)
    assert isinstance(unbraid.load_model(file), HybridDemucs)
    put_in(monkeypatch, fit=False)
    assert isinstance(torch_module(load_to_run(file)), HybridDemucs)


def test_both_parts_of_a_two_rate_model_run_in_the_kernels(tmp_path):
    path = tmp_path / "two.safetensors"
    model = two_rate(**SMALL, low_width=16)
    save_checkpoint(path, model, dtype=torch.float16)
    ready = prepare_model(path, "cpu")
    assert isinstance(ready.model, TwoRate) and ready.engine == "native kernels"
    assert all(isinstance(member, NativeModel) for member in ready.model.members.values())
    assert ready.model.spec == model.spec
    # Each of the parts gives equal shares, so the whole does.
    mixture = np.random.default_rng(0).standard_normal((1, 2, 9001), dtype=np.float32)
    estimates = ready.model(mixture)
    np.testing.assert_allclose(estimates, np.repeat(mixture[:, None] / 2, 2, axis=1), atol=1e-6)
    assert isinstance(ready.model(torch.from_numpy(mixture)), torch.Tensor)


def test_why_torch_runs_a_model_is_told(monkeypatch):
    assert why_torch("cpu") is None
    assert why_torch("cuda") == "the device is cuda"
    assert why_torch("cpu", "bf16") == "the precision is bf16"
    put_in(monkeypatch, why_not="no AVX2")
    assert why_torch("cpu") == "no AVX2"


def test_a_network_on_numpy_says_whether_the_kernels_do_its_products(tmp_path, monkeypatch):
    path = tmp_path / "unet.safetensors"
    save_checkpoint(path, MaskUNet(MaskUNetConfig(frames=16, bins=8, width=2, depth=2)))
    assert load_to_run(path).engine == "numpy with native kernels"
    put_in(monkeypatch, why_not="no compiler")
    assert load_to_run(path).engine == "numpy alone, as no compiler"


def test_kernels_are_missed_only_where_they_would_help(file, tmp_path, monkeypatch):
    unet, other = tmp_path / "unet.safetensors", tmp_path / "other.safetensors"
    save_checkpoint(unet, MaskUNet(MaskUNetConfig(frames=16, bins=8, width=2, depth=2)))
    save_checkpoint(other, SpectrogramDemucs(SpectrogramDemucsConfig(**SMALL)))
    monkeypatch.setattr(library, "could_run", lambda: True)
    assert missing_kernels(file, "cpu", "auto") is None  # they are there
    assert missing_kernels(tmp_path / "gone.th", "cpu", "auto") is None  # it is not even opened
    put_in(monkeypatch, why_not="none built")
    assert missing_kernels(file, "cpu", "auto") == "none built"
    assert missing_kernels(unet, "cpu", "fp32") == "none built"
    assert missing_kernels(other, "cpu", "auto") is None  # torch runs it in any case
    assert missing_kernels(file, "cuda", "auto") is None
    assert missing_kernels(file, "cpu", "bf16") is None
    monkeypatch.setattr(library, "could_run", lambda: False)
    assert missing_kernels(file, "cpu", "auto") is None  # no kernels for such a processor


def test_torch_says_that_the_kernels_do_not_run_a_model_also_where_there_are_none(
    tmp_path, monkeypatch
):
    path = tmp_path / "other.safetensors"
    save_checkpoint(path, SpectrogramDemucs(SpectrogramDemucsConfig(**SMALL)))
    put_in(monkeypatch, why_not="none built")
    assert load_to_run(path).engine == "torch, as the native kernels do not run this model"
    assert load_to_run(path, "cpu", "bf16").engine == "torch, as the precision is bf16"


def test_the_environment_chooses_the_engine(file, monkeypatch):
    monkeypatch.setenv("UNBRAID_RUNTIME", "torch")
    assert isinstance(torch_module(load_to_run(file)), HybridDemucs)
    assert "UNBRAID_RUNTIME" in why_torch("cpu")
    monkeypatch.setenv("UNBRAID_RUNTIME", "native")
    assert isinstance(load_to_run(file), NativeModel)
    with pytest.raises(SettingsError, match="asks for the native engine, but the device is cuda"):
        why_torch("cuda")
    monkeypatch.setenv("UNBRAID_RUNTIME", "jax")
    with pytest.raises(SettingsError, match="torch or native, got 'jax'"):
        why_torch("cpu")


def test_a_model_has_one_fingerprint_whatever_runs_it(file, monkeypatch):
    native = prepare_model(file, "cpu")
    monkeypatch.setenv("UNBRAID_RUNTIME", "torch")
    plain = prepare_model(file, "cpu")
    assert (type(native.model), type(plain.model)) == (NativeModel, TorchModel)
    assert native.fingerprint() == plain.fingerprint()
    assert native.model.spec == plain.model.spec


def test_weights_come_as_arrays_by_name_in_the_networks_order(file):
    state = unbraid.load_model(file).state_dict()
    stored = open_model(file)
    shapes = weight_shapes(stored.architecture, stored.config)
    assert list(shapes) == list(state) and set(stored.weights) == set(state)
    for name, value in state.items():
        read = stored.weights[name].read()
        np.testing.assert_array_equal(read.astype(np.float32), value.numpy())


def test_a_file_that_does_not_fit_its_config_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "odd.safetensors"
    model = HybridDemucs(HybridDemucsConfig(**SMALL))
    model.meeting.norm.weight = torch.nn.Parameter(torch.ones(3))
    save_checkpoint(path, model)
    with pytest.raises(CheckpointError, match=r"config: 1 weight, such as meeting.norm.weight"):
        load_to_run(path)


def test_other_architectures_and_types_of_weights_stay_with_torch(tmp_path):
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, SpectrogramDemucs(SpectrogramDemucsConfig(**SMALL)))
    assert isinstance(torch_module(load_to_run(path)), SpectrogramDemucs)
    save_checkpoint(path, HybridDemucs(HybridDemucsConfig(**SMALL)), dtype=torch.bfloat16)
    assert isinstance(torch_module(load_to_run(path)), HybridDemucs)


def test_threads_are_those_that_are_set_when_a_pass_begins(file):
    model = load_to_run(file)
    for threads in (1, 2):
        torch.set_num_threads(threads)
        model(np.zeros((1, 2, 100), np.float32))
    assert model._engine.result().seen_threads == [1, 2]


def test_estimates_are_the_callers_until_they_are_taken_back(file):
    model, mixture = load_to_run(file), noise(0.1).astype(np.float32)[None]
    estimates = model(mixture)
    assert model._spare is None
    model.take_back(estimates)
    assert np.shares_memory(model._spare, estimates)
    model(mixture)
    assert model._spare is None


def test_arrays_give_arrays_and_tensors_tensors(file):
    model, mixture = load_to_run(file), noise(0.1).astype(np.float32)[None]
    assert (model(mixture) == model(torch.from_numpy(mixture)).numpy()).all()


def test_the_cost_of_a_pass_is_what_the_kernels_say_and_the_clock_shows(file):
    cost = measure_cost(prepare_model(file, "cpu"))
    assert cost.bytes_per_s == 1_000_000 + 100 * 44100
    assert cost.seconds_per_s > 0


def without_torch(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = Path(__file__).parent.parent / "stand_in_kernels.py"
    return subprocess.run(
        [sys.executable, str(script), *arguments], cwd=folder, capture_output=True, text=True
    )


def test_a_song_is_separated_where_torch_cannot_be_imported(file, tmp_path):
    write_song(tmp_path / "song.wav", noise(3.0))
    run = without_torch(tmp_path, "separate", "song.wav", "-m", str(file), "--residual", "--json")
    assert run.returncode == 0, run.stderr
    stems = [tmp_path / "separated" / "song" / f"{stem}.wav" for stem in ("voice", "rest")]
    song, _ = soundfile.read(tmp_path / "song.wav")
    total = sum(soundfile.read(stem)[0] for stem in stems)
    assert total.shape == song.shape
    np.testing.assert_allclose(total, song, atol=2e-3)
    again = without_torch(tmp_path, "song.wav", "-m", str(file), "--residual", "--skip-existing")
    assert again.returncode == 0 and "skipped" in again.stderr
    planned = without_torch(tmp_path, "song.wav", "-m", str(file), "--dry-run", "--max-memory=2GB")
    assert planned.returncode == 0, planned.stderr


def test_a_bag_of_our_files_needs_no_torch_either(tmp_path):
    for name in ("one", "two"):
        config = HybridDemucsConfig(**SMALL)
        save_checkpoint(tmp_path / f"{name}.safetensors", HybridDemucs(config))
    (tmp_path / "both.yaml").write_text("models: ['one', 'two']\n")
    write_song(tmp_path / "song.wav", noise(2.0))
    run = without_torch(tmp_path, "song.wav", "-m", "both.yaml", "--verbose")
    assert run.returncode == 0, run.stderr
    assert "in native kernels\n" in run.stderr  # both members, and nothing else


def test_a_public_file_needs_no_torch_either(tmp_path):
    path, _ = write_hybrid_th(tmp_path / "public.th")
    write_song(tmp_path / "song.wav", noise(2.0))
    run = without_torch(tmp_path, "song.wav", "-m", str(path), "--verbose")
    assert run.returncode == 0, run.stderr
    assert "native kernels" in run.stderr


def test_arrays_of_a_public_file_are_the_weights_of_its_model(tmp_path):
    path, model = write_hybrid_th(tmp_path / "public.th")
    weights = read_th(path).stored().weights
    state = model.state_dict()
    assert list(weights) == list(state)
    for name, value in state.items():
        found = weights[name].read()
        assert found.dtype == np.float16
        np.testing.assert_array_equal(found.astype(np.float32), value.numpy())


def test_what_runs_a_model_is_said_in_words(file, monkeypatch):
    assert unbraid.Separator(file, "cpu").engine == "native kernels"
    assert "the precision is bf16" in unbraid.Separator(file, "cpu", precision="bf16").engine
    put_in(monkeypatch, fit=False)
    assert "do not run this model" in unbraid.Separator(file, "cpu").engine
