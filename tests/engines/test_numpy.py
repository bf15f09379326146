"""Networks on arrays: what torch gives, without torch, with and without our own kernels."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from deviation import deviation_db
from unbraid.engines.load import load_to_run
from unbraid.engines.native import filters
from unbraid.engines.numpy import band_unet, compiled, layers, mask_unet
from unbraid.engines.numpy.winograd import filter_matrices
from unbraid.models.band_unet.config import BandUNetConfig
from unbraid.models.band_unet.network import BandUNet
from unbraid.models.band_unet.weights import weight_shapes as band_shapes
from unbraid.models.mask_unet.config import MaskUNetConfig
from unbraid.models.mask_unet.network import MaskUNet
from unbraid.models.mask_unet.weights import weight_shapes
from unbraid.zoo.checkpoint import save_checkpoint

SMALL = MaskUNetConfig(
    n_fft=256, hop=64, frames=32, bins=64, width=8, depth=3, exponent=0.75, above="average",
    wiener_iterations=1, input_gain=0.5,
)  # fmt: skip


def trained(config: MaskUNetConfig) -> MaskUNet:
    """A network whose norms have seen something."""
    torch.manual_seed(0)
    network = MaskUNet(config).eval()
    for name, weight in network.state_dict().items():
        if name.endswith("running_var"):
            weight.copy_(1 + 0.3 * torch.rand_like(weight))
        elif name.endswith("running_mean"):
            weight.copy_(0.1 * torch.randn_like(weight))
    return network


def on_arrays(network: MaskUNet) -> mask_unet.ArrayMaskUNet:
    state = {name: weight.numpy() for name, weight in network.state_dict().items()}
    return mask_unet.ArrayMaskUNet(network.config, state)


def song(samples: int, seed: int = 0) -> np.ndarray:
    return 0.3 * np.random.default_rng(seed).standard_normal((2, samples), np.float32)


@pytest.fixture(params=["kernels", "numpy"])
def _by(request, monkeypatch):
    if request.param == "numpy":
        monkeypatch.setattr(compiled, "available", lambda: False)
    elif not compiled.available():
        pytest.skip("no kernels here")


@pytest.mark.parametrize("few", [1 << 21, 1])
@pytest.mark.parametrize("samples", [1, 700, 1792, 5000])
@pytest.mark.usefixtures("_by")
def test_arrays_give_what_torch_gives(samples, few, monkeypatch):
    monkeypatch.setattr(layers, "_FEW", few)  # with and without Winograd's filters
    monkeypatch.setattr(filters, "_MANY", few)  # with weights kept in mixed form, and not
    network, mixture = trained(SMALL), song(samples)
    with torch.no_grad():
        wanted = network(torch.from_numpy(mixture)[None])[0].numpy()
    assert deviation_db(on_arrays(network).separate(mixture, [0, 1], 2), wanted) < -110


@pytest.mark.parametrize(
    "changed",
    [
        {"exponent": 2.0, "wiener_iterations": 0, "above": "zeros"},
        {"exponent": 0.5},
        {"exponent": 1.0},
        {"exponent": 1.5},
        {"exponent": 1.2},
        {"stems": ("a", "b", "c")},
    ],
)
def test_every_setting_that_runs_gives_what_torch_gives(changed):
    network = trained(dataclasses.replace(SMALL, **changed))
    mixture = song(1000)
    stems = range(len(network.config.stems))
    with torch.no_grad():
        wanted = network(torch.from_numpy(mixture)[None])[0].numpy()
    assert deviation_db(on_arrays(network).separate(mixture, stems, 2), wanted) < -110


def test_the_number_of_threads_changes_nothing():
    model, mixture = on_arrays(trained(SMALL)), song(3000)
    one = model.separate(mixture, [0, 1], 1)
    assert np.array_equal(one, model.separate(mixture, [0, 1], 3))


def test_a_stem_alone_is_the_same_and_others_are_silent():
    model, mixture = on_arrays(trained(SMALL)), song(3000)
    both, alone = model.separate(mixture, [0, 1], 2), model.separate(mixture, [1], 2)
    assert np.array_equal(alone[1], both[1])
    assert not alone[0].any()


def test_one_song_leaves_nothing_behind_for_the_next():
    model, mixture = on_arrays(trained(SMALL)), song(700)
    first = model.separate(mixture, [0, 1], 2)
    model.separate(song(5000, seed=1), [0, 1], 2)
    assert np.array_equal(model.separate(mixture, [0, 1], 2), first)


def test_what_does_not_run_on_arrays_says_so():
    for changed in ({"activation": "elu"}, {"softmax": True}, {"exponent": 0.0}):
        assert "torch" in str(mask_unet.why_not(dataclasses.replace(SMALL, **changed)))
    assert mask_unet.why_not(SMALL) is mask_unet.why_not(MaskUNetConfig()) is None


def test_shapes_of_weights_are_known_without_torch():
    jansson = MaskUNetConfig(
        stems=("v",), layout="jansson", audio_channels=1, frames=8, bins=8, width=2, depth=2
    )
    for config in (SMALL, jansson):
        state = MaskUNet(config).state_dict()
        assert weight_shapes(config) == {name: tuple(w.shape) for name, w in state.items()}
        assert list(weight_shapes(config)) == list(state)


@pytest.mark.parametrize(("results", "taps"), [(4, 3), (4, 2), (2, 3), (1, 3)])
def test_winograds_filters_are_filters(results, taps):
    rng = np.random.default_rng(0)
    signal, kernel = rng.standard_normal(results + taps - 1), rng.standard_normal(taps)
    mix, weights, join = filter_matrices(results, taps)
    found = join @ ((mix @ signal) * (weights @ kernel))
    np.testing.assert_allclose(found, np.correlate(signal, kernel, "valid"), atol=1e-12)


BANDS = BandUNetConfig(n_fft=256, bands=32, channels=(4, 6, 8, 10), hidden=12, dense=2)


def trained_bands(hidden: int) -> BandUNet:
    torch.manual_seed(0)
    network = BandUNet(dataclasses.replace(BANDS, hidden=hidden)).eval()
    for name, weight in network.state_dict().items():
        if name.endswith(("running_mean", "shift")):
            weight.copy_(0.1 * torch.randn_like(weight))
    return network


@pytest.mark.parametrize(("samples", "hidden"), [(1, 32), (700, 12), (5000, 32)])
@pytest.mark.usefixtures("_by")
def test_bands_on_arrays_give_what_torch_gives(samples, hidden):
    network, mixture = trained_bands(hidden), song(samples)
    state = {name: weight.numpy() for name, weight in network.state_dict().items()}
    with torch.no_grad():
        wanted = network(torch.from_numpy(mixture)[None])[0].numpy()
    found = band_unet.ArrayBandUNet(network.config, state).separate(mixture, range(3), 2)
    assert deviation_db(found, wanted) < -110


def test_shapes_of_a_network_over_bands_are_known_without_torch():
    state = BandUNet(BANDS).state_dict()
    found = band_shapes(BANDS)
    assert found == {name: tuple(w.shape) for name, w in state.items()}
    assert list(found) == list(state)


def test_a_run_on_arrays_loads_no_torch(tmp_path: Path):
    path = tmp_path / "unet.safetensors"
    save_checkpoint(path, trained(SMALL), licence="MIT")
    assert load_to_run(path).engine.startswith("numpy")
    script = (
        "import sys, numpy as np; from unbraid.engines.load import load_to_run; "
        f"load_to_run({str(path)!r})(np.zeros((1, 2, 500), np.float32)); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
