"""The inference form computes what the readable model computes, whatever its config."""

from __future__ import annotations

import copy

import pytest
import torch

from small_composites import two_rate
from unbraid.engines.ready import as_model
from unbraid.engines.torch.inference import quicken
from unbraid.engines.torch.inference.attention import attend
from unbraid.engines.torch.inference.branches import QuickBranches
from unbraid.engines.torch.inference.hybrid import QuickHybridDemucs
from unbraid.engines.torch.inference.recurrent import QuickLSTM
from unbraid.engines.torch.inference.winograd import WinogradRows
from unbraid.models.compose.bag import Bag
from unbraid.models.hybrid_demucs.network import HybridDemucs, HybridDemucsConfig
from unbraid.models.layers.attention import LocalAttention
from unbraid.models.layers.recurrent import SpanLSTM
from unbraid.models.layers.residual import ResidualBranches, ResidualShape
from unbraid.separation.engine import apply_model

SMALL = {"width": 4, "n_fft": 1024, "depth": 5, "residual_scale": 0.3, "residual_compression": 2}
VARIANTS = {
    "default": {},
    "norms everywhere": {"norm_from": 0},
    "norms from the second level": {"norm_from": 1},
    "magnitudes": {"magnitude": True},
    "magnitudes, filtered": {
        "magnitude": True,
        "wiener_iterations": 1,
        "wiener_training_iterations": 1,
    },
    "late spectral branch": {"delayed_stft": True},
    "wide time branch": {"time_width": 8},
    "wide gates": {"encoder_context": 1, "decoder_context": 2},
    "narrow gates": {"decoder_context": 0},
    "no gates": {"gate": False},
    "no residual branches": {"residual_encoder": False},
    "residual branches in the decoder": {"residual_decoder": True},
    "not dilated": {"residual_depth": -3},
    "no embedding": {"embedding_weight": 0.0},
    "full size of the STFT": {"n_fft": 4096, "depth": 6},
    "mono, two stems": {"audio_channels": 1, "stems": ("a", "b")},
    "bands: no form": {"band_splits": (0.3,), "band_split_levels": 1},
    "LSTM from the first level: no form": {"lstm_from": 0},
    "attention from the first level: no form": {"attention_from": 1},
}


@pytest.fixture(autouse=True)
def _one_thread():
    """The many small steps of these small models wait for each other on busy cores."""
    torch.set_num_threads(1)


def small_model(**config) -> HybridDemucs:
    torch.manual_seed(0)
    return HybridDemucs(HybridDemucsConfig(**{**SMALL, **config})).eval()


def deviation_db(found: torch.Tensor, true: torch.Tensor) -> float:
    error = (found.double() - true.double()).square().sum() / true.double().square().sum()
    return float(10 * torch.log10(error + 1e-30))


@pytest.mark.parametrize("name", VARIANTS)
@torch.no_grad()
def test_the_form_gives_what_the_model_gives(name):
    model = small_model(**VARIANTS[name])
    quick = quicken(model)
    assert (quick is model) == name.endswith("no form")
    mixture = torch.randn(2, model.spec.channels, 20_011)
    assert deviation_db(quick(mixture), model(mixture)) < -105
    assert quick.spec == model.spec


@torch.no_grad()
def test_both_parts_of_a_two_rate_model_have_their_forms():
    model = two_rate(**SMALL, low_width=8)
    quick = quicken(model)
    assert quick is not model and quick.spec == model.spec
    for samples in (20_011, 3):
        mixture = torch.randn(2, 2, samples)
        assert deviation_db(quick(mixture), model(mixture)) < -100
    assert all(type(part) is QuickHybridDemucs for part in quick.members.values())
    looks_far = two_rate(**SMALL, low_width=8, lstm_from=0)
    assert quicken(looks_far).members == looks_far.members  # each part as it is


@pytest.mark.parametrize("samples", [1, 2, 5, 255, 256, 257, 1023, 4097])
@torch.no_grad()
def test_any_length_will_do(samples):
    model = small_model()
    mixture = torch.randn(1, 2, samples)
    assert deviation_db(quicken(model)(mixture), model(mixture)) < -105


@torch.no_grad()
def test_silence_is_what_the_model_makes_of_it():
    model = small_model()
    mixture = torch.zeros(1, 2, 9000)
    torch.testing.assert_close(quicken(model)(mixture), model(mixture), rtol=1e-4, atol=1e-7)


@torch.no_grad()
def test_one_thread_gives_what_two_give():
    model, mixture, results = small_model(), torch.randn(1, 2, 300), []
    for count in (1, 2):
        torch.set_num_threads(count)
        results.append(quicken(model)(mixture))
    assert deviation_db(*results) < -105


@torch.no_grad()
def test_the_same_input_gives_the_same_bits_and_is_not_changed():
    quick = quicken(small_model())
    mixture = torch.randn(1, 2, 30_000)
    before = mixture.clone()
    assert torch.equal(quick(mixture), quick(mixture))
    assert torch.equal(mixture, before)


@torch.no_grad()
def test_the_model_stays_as_it_is():
    model = small_model(norm_from=1)
    before = copy.deepcopy(model.state_dict())
    quicken(model)(torch.randn(1, 2, 9000))
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_the_cpu_separates_with_the_form_and_so_does_each_member_of_a_bag():
    model = small_model()
    ready, mixture = as_model(model, fast=True), torch.randn(1, 2, 9)
    assert type(ready._fastest(mixture)) is type(quicken(model))
    assert ready._fastest(mixture) is ready._fastest(mixture)
    assert ready._fastest(mixture.to("meta")) is model
    assert as_model(model)._fastest(mixture) is model
    assert as_model(model, "bf16", fast=True)._fastest(mixture) is model
    bag = as_model(Bag([model, model]), fast=True)
    assert type(bag.member(1)._fastest(mixture)) is type(quicken(model))
    mixture = torch.randn(1, 2, 20_000)
    assert deviation_db(apply_model(bag, mixture), apply_model(Bag([model] * 2), mixture)) < -105


@pytest.mark.parametrize("scale", [1.0, 1e-2, 1e-4])
@torch.no_grad()
def test_branches_fold_their_norm_without_losing_digits(scale):
    torch.manual_seed(0)
    branches = ResidualBranches(16, ResidualShape(scale_init=0.3)).eval()
    x = torch.randn(6, 300, 16) * scale + torch.randn(6, 1, 16)
    true = branches.double()(x.double().transpose(1, 2)).transpose(1, 2)
    rows = x.clone()
    quick = QuickBranches(branches.float())
    quick.add_to_rows(rows)
    assert deviation_db(rows, true) < -120
    for row, wanted in zip(x, true, strict=True):
        quick.add_to_steps(row)
        assert deviation_db(row, wanted) < -120


@torch.no_grad()
def test_six_products_make_four_rows_of_a_convolution():
    weight, bias, x = torch.randn(6, 5, 3, 3), torch.randn(6), torch.randn(8, 17, 5)
    image = x.permute(2, 0, 1)[None]
    true = torch.nn.functional.conv2d(image, weight, bias, padding=1)[0].permute(1, 2, 0)
    quick = WinogradRows(weight, bias)
    assert deviation_db(quick(x, 0, 8), true) < -115
    assert deviation_db(quick(x, 4, 8), true[4:]) < -115


@pytest.mark.parametrize("steps", [1, 40, 1300])
@torch.no_grad()
def test_attention_in_blocks_is_attention(steps, monkeypatch):
    monkeypatch.setattr("unbraid.engines.torch.inference.layout.BLOCK_BYTES", 1 << 18)
    layer, x = LocalAttention(16), torch.randn(1, 16, steps)
    assert deviation_db(attend(layer, x), layer(x)) < -115


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("steps", [1, 200, 750])
@torch.no_grad()
def test_directions_side_by_side_are_the_bidirectional_lstm(steps, threads):
    layer, x = SpanLSTM(12), torch.randn(1, 12, steps)
    torch.set_num_threads(threads)
    assert deviation_db(QuickLSTM(layer)(x), layer(x)) < -115
    assert torch.get_num_threads() == threads
