"""A model called by hand gives what every engine gives: all architectures, and the bundled file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import unbraid
from deviation import deviation_db
from small_composites import chain, masked, two_rate
from unbraid.engines.choose import ENGINES, _engine
from unbraid.engines.load import load, load_module, load_to_run
from unbraid.engines.onnx.export import export_onnx
from unbraid.errors import ModelError
from unbraid.models.registry import COMPOSITES, NETWORKS, build_model, is_composite
from unbraid.zoo.cards import bundled_files
from unbraid.zoo.checkpoint import save_checkpoint
from unbraid.zoo.open import open_model
from unbraid.zoo.stored import StoredModel

LAW_DB = -110.0
HYBRID = {"segment_s": 0.2, "width": 8, "lstm_from": 6, "attention_from": 6}
DEMUCS = {"segment_s": 0.2, "width": 4, "depth": 4}
UNET = {"n_fft": 256, "hop": 64, "frames": 32, "bins": 64, "width": 8, "depth": 3}
ROFORMER = {
    "segment_s": 0.2, "width": 16, "depth": 1, "heads": 2, "head_width": 8, "n_fft": 128,
    "window": 128, "hop": 32, "mask_growth": 1,
}  # fmt: skip
SMALL: dict[str, Any] = {
    "hybrid_demucs": HYBRID,
    "spectrogram_demucs": {**HYBRID, "width": 4},
    "demucs": DEMUCS,
    "demucs_v2": {"segment_s": 0.2, "width": 4, "depth": 4},
    "wave_u_net": {"segment_s": 0.2, "width": 4, "levels": 4},
    "wavenet": {"segment_s": 0.2, "doublings": 3, "width": 4, "skip_width": 4,
                "final_widths": [8, 4]},
    "conv_tasnet": {"segment_s": 0.2, "basis": 16, "width": 8, "hidden": 16, "blocks": 3,
                    "repeats": 2},
    "dprnn": {"segment_s": 0.2, "basis": 16, "width": 8, "hidden": 8, "repeats": 1},
    "open_unmix": {"segment_s": 0.2, "n_fft": 512, "hop": 128, "bins": 100, "hidden": 16},
    "x_umx": {"segment_s": 0.2, "n_fft": 512, "hop": 128, "bins": 100, "hidden": 16},
    "d3net": {"stems": ["drums", "bass"], "segment_s": 0.2, "n_fft": 512, "hop": 128,
              "bins": 200, "split": 64,
              "low_growths": [4, 4, 4], "low_depths": [2, 2, 2], "rest_growths": [2, 2, 2],
              "rest_depths": [1, 1, 1], "full_growths": [4, 4, 4], "full_depths": [2, 2, 2]},
    "cac_unet": {"stems": ["drums", "bass"], "segment_s": 0.2, "n_fft": 256, "hop": 128,
                 "levels": 2, "width": 4, "layers": 2},
    "lasaft": {"segment_s": 0.2, "n_fft": 256, "hop": 128, "levels": 2, "width": 4, "layers": 2,
               "latent_sources": 2, "key_width": 4, "embedding": 4},
    "res_u_net": {"segment_s": 0.2, "n_fft": 256, "hop": 128, "widths": [4, 4], "time_levels": 2,
                  "blocks": 1, "middle": 1},
    "mdx_net": {"segment_s": 0.2, "n_ffts": [512, 384, 512, 384], "hop": 128, "bins": 128,
                "levels": 2, "width": 4, "layers": 1},
    "mask_unet": {**UNET, "exponent": 0.75, "wiener_iterations": 1, "above": "average"},
    "band_unet": {"segment_s": 0.2, "n_fft": 512, "bands": 32, "channels": [4, 4, 8, 8],
                  "hidden": 8},
    "htdemucs": {"segment_s": 0.2, "width": 8, "bottleneck": 16, "heads": 2,
                 "transformer_layers": 2},
    "bs_roformer": {**ROFORMER, "bands": [5] * 13},
    "mel_band_roformer": {**ROFORMER, "mel_bands": 8},
    "scnet": {"segment_s": 0.2, "widths": [4, 8, 16], "n_fft": 256, "window": 256, "hop": 64,
              "dual_paths": 2, "band_shares": [0.3, 0.3, 0.4], "band_strides": [1, 2, 4],
              "band_kernels": [3, 2, 4]},
    "tfc_tdf": {"segment_s": 0.2, "n_fft": 256, "hop": 64, "used_bins": 128, "subbands": 2,
                "width": 8, "growth": 4, "scales": 2, "blocks": 1, "bottleneck": 2},
    "complement": {"model": {"architecture": "hybrid_demucs",
                             "config": {**HYBRID, "stems": ["vocals"]}}},
    "ensemble": {"models": [{"architecture": "hybrid_demucs", "config": HYBRID},
                            {"architecture": "demucs", "config": DEMUCS}]},
    "per_stem": {"models": [{"architecture": "demucs", "config": {**DEMUCS, "stems": [stem]}}
                            for stem in ("drums", "vocals")]},
    "wiener": {"model": {"architecture": "demucs", "config": DEMUCS}, "n_fft": 512, "hop": 128},
}  # fmt: skip
"""Settings that make each architecture small; one that is not here is built by its defaults."""


def small(architecture: str) -> torch.nn.Module:
    torch.manual_seed(0)
    if architecture == "ratio_masks":
        return masked("hybrid_demucs", **HYBRID)
    if architecture == "two_rate":
        return two_rate(**HYBRID, low_width=8)
    if architecture == "chain":
        return chain(UNET, HYBRID)
    return build_model(architecture, SMALL.get(architecture, {})).eval()


def noise(channels: int, samples: int) -> np.ndarray:
    shape = (1, channels, samples)
    return 0.3 * np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def leaves(stored: StoredModel) -> list[StoredModel]:
    if not is_composite(stored.architecture):
        return [stored]
    return [leaf for name in stored.config.members for leaf in leaves(stored.member(name))]


def agree(path: Path | str) -> None:
    """By hand, as one segment, and by every engine that has no reason not to."""
    model, stored = unbraid.load_model(path), open_model(path)
    # A length that needs no padding, which Demucs would hear when it normalizes.
    mixture = noise(model.spec.channels, model.valid_samples(model.spec.segment_samples))
    with torch.no_grad():
        wanted = model(torch.from_numpy(mixture)).numpy()
    assert deviation_db(model(mixture), wanted) < LAW_DB
    whole = unbraid.SeparationSettings(split=False)
    for ways in (model, load_to_run(path)):
        assert deviation_db(unbraid.apply_model(ways, mixture, whole), wanted) < LAW_DB
        assert ways.spec == model.spec
    for name in ENGINES:
        engine = _engine(name)
        if all(engine.reason_not(leaf, "cpu", "auto") is None for leaf in leaves(stored)):
            for leaf in leaves(stored):
                ready = engine.load(leaf, "cpu", "auto", name)
                own = noise(leaf.spec.channels, min(leaf.spec.segment_samples, 50_000))
                assert deviation_db(ready(own), load_module(leaf)(own)) < LAW_DB, name


def agree_as_graph(path: Path | str, folder: Path) -> None:
    """An exported graph gives what the model gives; or the export says why there is none."""
    model = unbraid.load_model(path)
    mixture = noise(model.spec.channels, model.valid_samples(model.spec.segment_samples))
    try:
        export_onnx(model, folder / "model.onnx")
    except ModelError as error:
        assert "cannot be exported" in str(error) or "bag" in str(error)
        return
    graph = unbraid.load_model(folder / "model.onnx")
    assert deviation_db(graph(mixture), model(mixture)) < LAW_DB


ALL = [*NETWORKS, *sorted({*COMPOSITES} - {"bag"})]


@pytest.mark.parametrize("architecture", ALL)
def test_a_model_called_by_hand_gives_what_the_engines_give(architecture, tmp_path):
    save_checkpoint(tmp_path / "small.safetensors", small(architecture))
    agree(tmp_path / "small.safetensors")


@pytest.mark.slow  # an export takes 3 to 20 seconds; tests of some always run in onnx/
@pytest.mark.parametrize("architecture", ALL)
def test_so_does_an_exported_graph(architecture, tmp_path):
    save_checkpoint(tmp_path / "small.safetensors", small(architecture))
    agree_as_graph(tmp_path / "small.safetensors", tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", bundled_files())
def test_so_does_every_bundled_model(name, tmp_path):
    agree(name)
    agree_as_graph(name, tmp_path)


def test_the_bundled_model_is_finished_when_it_is_called(tmp_path):
    model, mixture = unbraid.load_model("mini"), noise(2, 50_000)
    estimates = model(mixture)
    assert deviation_db(estimates.sum(1), mixture) < LAW_DB  # its masks share the mixture out
    assert deviation_db(load(open_model("mini"))(mixture), estimates) < LAW_DB
