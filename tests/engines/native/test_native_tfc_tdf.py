"""TFC-TDF v3 in the kernels gives what the readable forward gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deviation import deviation_db
from engines.native.networks import (
    check_bits,
    check_half_precision,
    check_memory,
    check_passes,
    check_song,
    make_song,
    peak_of,
    ready,
    use_vectors_of,
    vary,
    wanted_of,
)
from models.test_tfc_tdf import CASES, public_model
from reference.modern_systems import check_output, filled
from unbraid.engines.native import library
from unbraid.engines.native.tfc_tdf import NativeTFCTDF
from unbraid.models.tfc_tdf.config import TFCTDFConfig
from unbraid.models.tfc_tdf.network import TFCTDF

pytestmark = pytest.mark.skipif(library.find() is not None, reason=str(library.find()))

SMALL: dict[str, Any] = {
    "n_fft": 1024, "hop": 256, "used_bins": 256, "subbands": 2, "width": 16, "growth": 8,
    "scales": 2, "blocks": 2, "bottleneck": 4,
}  # fmt: skip
CONFIGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "whole panels, many tiles": {"width": 32, "growth": 32, "used_bins": 512, "blocks": 1},
    "odd widths, mono, six stems": {
        "audio_channels": 1, "stems": tuple("abcdef"), "width": 21, "growth": 5,
    },
    "batch norm, ReLU": {"norm": "batch", "activation": "relu"},
    "group norm, ELU": {"norm": "group", "activation": "elu", "elu_alpha": 0.7},
    "no norm": {"norm": "none", "activation": "elu"},
    "no growth, one scale, all bins but one": {
        "growth": 0, "scales": 1, "subbands": 1, "used_bins": 512, "bottleneck": 3,
    },
    "scales of three and one": {
        "scale_time": 1, "scale_frequency": 3, "used_bins": 216, "subbands": 4, "blocks": 1,
    },
    "scales of one and three": {
        "scale_time": 3, "scale_frequency": 1, "used_bins": 60, "subbands": 12, "blocks": 1,
    },
    "frames of 600 samples, 100 apart": {"n_fft": 600, "hop": 100, "used_bins": 256},
}  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)  # what runs here is too small for more


def make_model(**settings: Any) -> TFCTDF:
    """With norms as different as those of a trained one."""
    torch.manual_seed(0)
    model = TFCTDF(TFCTDFConfig(**{**SMALL, **settings})).eval()
    vary(model, lambda name: name.endswith((".0.weight", ".0.bias", ".3.weight", ".3.bias")))
    for name, statistic in model.named_buffers():
        if name.endswith("running_mean"):
            statistic.normal_(0, 0.1)
        if name.endswith("running_var"):
            statistic.uniform_(0.5, 1.5)
    return model


@pytest.mark.parametrize("name", CONFIGS)
def test_kernels_give_what_the_forward_gives(name: str) -> None:
    model = make_model(**CONFIGS[name])
    assert NativeTFCTDF.fits(model.config)
    check_memory(check_passes(model, (20_000, 9_001)), 20_000)


@pytest.mark.parametrize("case", CASES)
def test_output_is_that_of_the_public_implementation(case: str) -> None:
    run = ready(filled(public_model(*CASES[case])))
    check_output(case, lambda song: torch.from_numpy(run(song.numpy())), 1e-6)


def test_memory_counts_waves_and_estimates() -> None:
    model = make_model(stems=tuple("abcdefgh"), width=4, growth=4, scales=1)
    peak = peak_of(ready(model), make_song(300_000))
    assert peak < NativeTFCTDF.memory_bytes(model.config, 300_000)


def test_a_whole_song_is_the_same_by_kernels_and_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_song(make_model(segment_s=0.3, norm="batch"), tmp_path, monkeypatch)


@pytest.mark.slow
def test_a_model_of_published_size_gives_what_the_forward_gives() -> None:
    torch.manual_seed(0)
    model = TFCTDF(TFCTDFConfig()).eval()
    # Random weights make small differences large: torch is -100 dB from itself in float64.
    check_passes(model, [31 * 1024], most_db=-88)


@pytest.mark.parametrize("samples", [1, 255, 700, 1023, 1025, 30_001])
def test_any_length_will_do(samples: int) -> None:
    song = make_song(samples)
    model = make_model(blocks=1)
    found, wanted = ready(model)(song), wanted_of(model, song)
    assert found.shape == wanted.shape
    assert deviation_db(found, wanted) < -105


def test_threads_batches_and_what_was_before_do_not_change_a_bit() -> None:
    model = make_model(used_bins=512, blocks=1)
    check_bits(model, make_song(20_000, batch=2), before=30_000)


def test_silence_is_separated_like_anything_else() -> None:
    song = np.zeros((1, 2, 9_000), np.float32)
    for settings in ({}, {"norm": "batch", "activation": "relu"}):
        model = make_model(**settings)
        assert np.abs(ready(model)(song) - wanted_of(model, song)).max() < 1e-6


def test_weights_may_be_half_as_precise() -> None:
    check_half_precision(make_model(), make_song(2_000))


@pytest.mark.slow
@pytest.mark.parametrize("lanes", [4, 16])
def test_vectors_of_another_processor_give_the_same(
    lanes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_vectors_of(lanes, monkeypatch)
    for settings in CONFIGS.values():
        check_passes(make_model(**settings), [9_001])
