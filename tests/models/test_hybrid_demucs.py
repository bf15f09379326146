"""The laws of Hybrid Demucs; `test_conformance.py` has its stored outputs."""

from __future__ import annotations

import pytest
import torch

from unbraid.errors import SettingsError
from unbraid.models.hybrid_demucs.network import HybridDemucs, HybridDemucsConfig


@pytest.fixture(scope="module")
def tiny() -> HybridDemucs:
    torch.manual_seed(0)
    return HybridDemucs(HybridDemucsConfig(width=4, residual_compression=2)).eval()


@pytest.mark.parametrize("samples", [1, 2, 1023, 1024, 1025, 7000])
def test_every_length_comes_back(tiny, samples):
    with torch.inference_mode():
        assert tiny(torch.randn(2, 2, samples)).shape == (2, 4, 2, samples)


def test_a_song_is_separated_alike_alone_and_in_a_batch(tiny):
    songs = torch.randn(3, 2, 6000)
    with torch.inference_mode():
        together = tiny(songs)
        alone = torch.cat([tiny(song[None]) for song in songs])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_gradients_reach_every_parameter():
    torch.manual_seed(0)
    model = HybridDemucs(HybridDemucsConfig(width=8, residual_scale=0.1, init_reference=0))
    # Long enough that every step has neighbours to attend to.
    model(torch.randn(1, 2, 30_000)).square().sum().backward()
    starved = [k for k, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert starved == []


@pytest.mark.parametrize("n_fft, depth", [(4096, 6), (1024, 5), (4096, 5)])
def test_sizes_that_close_give_models_that_run(n_fft, depth):
    config = HybridDemucsConfig(
        stems=("voice", "rest"), audio_channels=1, width=4, time_width=8, n_fft=n_fft, depth=depth,
        residual_compression=2,
    )  # fmt: skip
    with torch.inference_mode():
        assert HybridDemucs(config)(torch.randn(1, 1, 5000)).shape == (1, 2, 1, 5000)


@pytest.mark.parametrize("n_fft, depth", [(2048, 6), (4096, 4), (8192, 6)])
def test_sizes_that_do_not_close_are_refused(n_fft, depth):
    with pytest.raises(SettingsError, match="does not close"):
        HybridDemucs(HybridDemucsConfig(n_fft=n_fft, depth=depth))


def test_norms_whose_groups_do_not_divide_a_width_are_refused():
    with pytest.raises(SettingsError, match=r"norm_groups divides .* 4 for a width of 10"):
        HybridDemucs(HybridDemucsConfig(width=10, norm_from=0))


@torch.no_grad()
def test_start_weights_have_the_rescaled_spread():
    torch.manual_seed(1)
    plain = HybridDemucs(HybridDemucsConfig(width=16, init_reference=0))
    torch.manual_seed(1)
    drawn = HybridDemucs(HybridDemucsConfig(width=16))
    for level in range(4):
        before = plain.spec_encoder[level].conv.weight.std()
        after = drawn.spec_encoder[level].conv.weight.std()
        assert float(after) == pytest.approx(float((0.1 * before).sqrt()), rel=1e-4)
    # The reference also rescales the decay rates of attention: from -2 to far below.
    bias = drawn.meeting.residual.branches[0].attention.query_decay.bias
    assert float(bias.detach().mean()) < -15
    table = drawn.spec_encoder[0].embedding.embedding.weight.detach() * 10
    assert float(table.std()) == pytest.approx(1, abs=0.25)
    steps = (table[1:] - table[:-1]).std() / table.std()
    assert float(steps) < 0.5  # neighbouring rows are alike
    assert (drawn.meeting.residual.branches[0].scale.scale == 1e-3).all()
