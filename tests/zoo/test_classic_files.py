"""Weights of classic systems, in files laid out as their authors save them."""

from __future__ import annotations

import json
import sys
import types

import numpy as np
import pytest
import torch

from unbraid.engines.load import load_module
from unbraid.errors import CheckpointError
from unbraid.models.cac_unet.public import public_name as cac_name
from unbraid.models.conv_tasnet.public import public_name as tasnet_name
from unbraid.models.demucs_v2.public import public_name as demucs_name
from unbraid.models.dprnn.public import public_name as dprnn_name
from unbraid.models.lasaft.public import public_name as lasaft_name
from unbraid.models.mdx_net.public import public_name as mdx_name
from unbraid.models.open_unmix.public import public_name as unmix_name
from unbraid.models.registry import build_model
from unbraid.models.res_u_net.public import public_name as resunet_name
from unbraid.models.x_umx.public import public_name as x_umx_name
from unbraid.zoo.open import open_file
from unbraid.zoo.public.systems import fit
from unbraid.zoo.stored import StoredTensor

MUSIC = {"basis": 16, "kernel": 8, "stride": 4, "width": 8, "hidden": 12, "blocks": 3, "repeats": 2}
SPEECH = {
    "stems": ("source 1", "source 2", "source 3"), "audio_channels": 1, "sample_rate": 8000,
    "basis": 16, "width": 8,
}  # fmt: skip
RNN = {**SPEECH, "hidden": 6, "chunk": 20, "hop": 10, "repeats": 2}
CONV = {
    **SPEECH, "kernel": 16, "stride": 8, "hidden": 12, "skip_width": 10, "blocks": 3, "repeats": 2,
    "bias": True, "rectified": False, "mask": "sigmoid", "mask_slope": True, "input_norm": "global",
}  # fmt: skip
UNMIX = {"n_fft": 512, "hop": 128, "bins": 100, "hidden": 16}
CONV_ARGS = {"n_src": 3, "n_filters": 16, "bn_chan": 8, "hid_chan": 12, "skip_chan": 10,
             "n_blocks": 3, "n_repeats": 2}  # fmt: skip
RNN_ARGS = {"n_src": 3, "n_filters": 16, "bn_chan": 8, "hid_size": 6, "chunk_size": 20,
            "n_repeats": 2}  # fmt: skip
X_ARGS = {"sources": ["bass", "drums", "vocals", "other"], "in_chan": 512, "n_hop": 128,
          "hidden_size": 16, "max_bin": 100, "window_length": 512}  # fmt: skip


def _old_class(module, name):
    """A class as Demucs v1 saved it, made here; it goes into the file by its name alone."""
    made = type(name, (torch.nn.Module,), {"__module__": module})
    sys.modules["demucs"] = types.ModuleType("demucs")
    sys.modules[module] = types.ModuleType(module)
    setattr(sys.modules[module], name, made)
    return made


@pytest.fixture(autouse=True)
def _no_old_modules():
    yield
    for module in ("demucs", "demucs.model"):
        sys.modules.pop(module, None)


def _package(name, arguments):
    return lambda state: {"model_name": name, "model_args": arguments, "state_dict": state}


CASES = {
    "umxhq vocals": (
        "open_unmix",
        {**UNMIX, "stems": ("vocals",), "wiener_iterations": 0},
        lambda own, config: unmix_name(own, config.stems)[1],
        dict,
    ),
    "demucs": (
        "demucs_v2", {"width": 4, "depth": 4}, lambda own, config: demucs_name(own), dict),
    "tasnet": ("conv_tasnet", MUSIC, tasnet_name, dict),
    "convtasnet": ("conv_tasnet", CONV, tasnet_name, _package("ConvTasNet", CONV_ARGS)),
    "dprnn": ("dprnn", RNN, dprnn_name, _package("DPRNNTasNet", RNN_ARGS)),
    "xumx": (
        "x_umx", UNMIX, lambda own, config: x_umx_name(own, config.stems),
        _package("XUMX", X_ARGS)),
    "lasaft": (
        "lasaft",
        {"n_fft": 2048, "width": 4, "levels": 2, "layers": 2, "latent_sources": 3,
         "key_width": 6, "embedding": 4, "control_layers": 3},
        lambda own, config: "spec2spec." + lasaft_name(own),
        lambda state: {
            "state_dict": {**state, "stft.stft.window": torch.ones(256)},
            "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(3)}}}],
        },
    ),
    "mdx bass": (
        "mdx_net",
        {"stems": ("bass",), "n_ffts": (2048,), "bins": 128, "levels": 2, "width": 4, "layers": 2,
         "mixer": False},
        lambda own, config: mdx_name(own),
        lambda state: {"state_dict": {**state, "window": torch.ones(2048)}},
    ),
    "demucs v1": (
        "demucs_v2", {"width": 4, "depth": 4, "resample": False, "epsilon": 0.0},
        lambda own, config: demucs_name(own),
        lambda state: (_old_class("demucs.model", "Demucs"), (4,), {"channels": 4}, state)),
    "tfctdf vocals": (
        "cac_unet",
        {"stems": ("vocals",), "n_fft": 2048, "levels": 2, "width": 4, "layers": 2, "bias": True},
        lambda own, config: "spec2spec." + cac_name(own),
        lambda state: {"state_dict": {**state, "stft.stft.window": torch.ones(256)}, "epoch": 3},
    ),
}  # fmt: skip


def _save(path, case, old=False):
    architecture, settings, name, wrap = CASES[case]
    torch.manual_seed(1)
    model = build_model(architecture, settings).eval()
    for value in model.state_dict().values():
        value.add_(0.05 * torch.rand_like(value))
    state = {name(own, model.config): value for own, value in model.state_dict().items()}
    if case == "tasnet":
        basis, channels, kernel = state["decoder.basis_signals.weight"].shape
        flat = state["decoder.basis_signals.weight"].reshape(basis, channels * kernel).T
        state["decoder.basis_signals.weight"] = flat.contiguous()
        for key in [key for key in state if key.endswith(("gamma", "beta"))]:
            state[key] = state[key][None, :, None]
    norms = [key.replace("running_var", "num_batches_tracked") for key in state]
    counts = {key: torch.tensor(7) for key in norms if key.endswith("num_batches_tracked")}
    content = wrap({**state, **counts})
    torch.save(content, path, _use_new_zipfile_serialization=not old)
    return model


OLD = ("umxhq vocals", "demucs v1", "tasnet")


@pytest.mark.parametrize(
    ("case", "old"), [*((case, False) for case in CASES), *((case, True) for case in OLD)]
)
@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
def test_a_file_gives_back_its_network(case, old, tmp_path):
    model = _save(tmp_path / f"{case}.pth", case, old)
    stored = open_file(tmp_path / f"{case}.pth")
    assert stored.architecture == CASES[case][0]
    assert stored.spec.stems == model.spec.stems
    mixture = torch.randn(1, model.spec.channels, 3000)
    with torch.no_grad():
        assert torch.equal(load_module(stored)(mixture), model(mixture))


def test_songs_are_heard_at_the_level_that_a_system_was_trained_on(tmp_path):
    for case, normalize in (("umxhq vocals", False), ("demucs", True), ("convtasnet", False)):
        _save(tmp_path / f"{case}.pth", case)
        assert open_file(tmp_path / f"{case}.pth").spec.normalize is normalize


@pytest.mark.parametrize("kept", [0.3, 0.9, 0.999])
def test_an_old_file_that_is_cut_short_is_refused(kept, tmp_path):
    path = tmp_path / "vocals.pth"
    _save(path, "umxhq vocals", old=True)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(CheckpointError, match=r"vocals\.pth"):
        dict(open_file(path).weights)


def test_an_old_file_whose_storage_claims_more_than_there_is_is_refused(tmp_path):
    path = tmp_path / "vocals.pth"
    torch.save({"fc1.weight": torch.ones(3, 5)}, path, _use_new_zipfile_serialization=False)
    data = path.read_bytes()
    count = (15).to_bytes(8, "little")
    assert data.count(count) == 1
    path.write_bytes(data.replace(count, (1 << 60).to_bytes(8, "little")))
    with pytest.raises(CheckpointError, match="a storage of 15 F32 values where the file has"):
        open_file(path)


def test_settings_beside_an_open_unmix_count(tmp_path):
    _save(tmp_path / "vocals.pth", "umxhq vocals")
    about = tmp_path / "separator.json"
    about.write_text(json.dumps({"nfft": 512, "nhop": 100, "sample_rate": 22050.0}))
    config = open_file(tmp_path / "vocals.pth").config
    assert (config.hop, config.sample_rate) == (100, 22050)
    about.write_text("[")
    with pytest.raises(CheckpointError, match=r"separator\.json: not readable"):
        open_file(tmp_path / "vocals.pth")


def test_a_file_that_lacks_a_weight_is_refused_by_name(tmp_path, unchecked):
    _save(tmp_path / "demucs.th", "demucs")
    state = torch.load(tmp_path / "demucs.th")
    del state["decoder.3.2.bias"]
    torch.save(state, tmp_path / "demucs.th")
    with pytest.raises(CheckpointError, match=r"lacks decoder\.3\.2\.bias"):
        dict(open_file(tmp_path / "demucs.th").weights)


def test_resunet_files_have_their_names():
    model = build_model(
        "res_u_net", {"stems": ("vocals",), "joint": True, "blocks": 1, "middle": 1}
    )
    names = [resunet_name(own) for own in model.state_dict()]
    assert len(set(names)) == len(names)
    assert "decoder_block6.conv_block2.abn2.running_var" in names


def test_gains_of_in_place_norms_are_read_as_those_of_ordinary_ones():
    """What `inplace_abn` multiplies by (its `src/inplace_abn_cpu.cpp`): |weight| + epsilon."""
    values = np.array([-2, 0, 0.5], np.float32)
    stored = StoredTensor((3,), "F32", lambda: values)
    found = fit(stored, (3,), "encoder_block1.conv_block1.abn2.weight").read()
    assert found.dtype == np.float32
    assert np.allclose(found, [2.00001, 0.00001, 0.50001], rtol=1e-6)
    assert fit(stored, (3,), "encoder_block1.conv_block1.bn1.weight") is stored
