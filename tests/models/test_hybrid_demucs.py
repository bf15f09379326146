"""Hybrid Demucs against stored outputs of the public implementation, and the laws of its shape."""

from __future__ import annotations

import pytest
import torch
from reference.generator import fill, signal, uniform

from unbraid.errors import SettingsError
from unbraid.models.hybrid_demucs import HybridDemucs, HybridDemucsConfig
from unbraid.zoo.convert import from_official, to_official_state

# kwargs, samples, mean, std, absmax, first four, middle four, last three (specification 01, par. 16)
CASES = {
    "A": (
        {}, 250001, -1.881249e-3, 3.011228e-2, 2.398740e-1,
        [.014982, -.021459, .025671, .018546], [-.001435, .016682, -.011460, -.054679],
        [-.006144, .002266, .028136],
    ),
    "B": (
        {"channels": 16}, 100003, 2.815706e-4, 1.676905e-2, 1.655126e-1,
        [-.001155, -.001545, -.010743, .004959], [-.006220, .006741, -.010470, -.012494],
        [-.018295, -.013762, .005329],
    ),
    "I": (
        {"channels": 16, "dconv_mode": 3, "context_enc": 1, "freq_emb": 0}, 100003,
        -2.615420e-3, 4.189470e-2, 4.802590e-1,
        [.010359, -.010433, -.015334, -.000291], [-.011580, .013858, -.056279, -.025341],
        [.018298, .001817, -.002669],
    ),
    "O": (
        {"channels": 16}, 700, 1.191730e-3, 1.664500e-2, 8.304954e-2,
        [.005307, -.003750, -.000514, -.004429], [.006398, -.026598, -.038294, -.008934],
        [.000777, .010218, -.002149],
    ),
}  # fmt: skip


def filled_model(kwargs: dict[str, object]) -> HybridDemucs:
    model = from_official("HDemucs", kwargs)
    assert isinstance(model, HybridDemucs)
    public = {key: fill(key, tuple(v.shape)) for key, v in to_official_state(model).items()}
    filled = from_official("HDemucs", kwargs, public)
    assert isinstance(filled, HybridDemucs)
    return filled


def test_generator_gives_the_specified_numbers():
    expected = [-0.33870588, 0.17729200, -0.10820255, -0.00209372]
    assert uniform("input", 4) == pytest.approx(expected, abs=1e-8)
    expected = [-0.2574818, 0.40455292]
    assert uniform("encoder.0.conv.weight", 2) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("case", CASES)
def test_output_is_that_of_the_public_implementation(case):
    kwargs, samples, mean, std, largest, first, middle, last = CASES[case]
    with torch.inference_mode():
        y = filled_model(kwargs)(signal(1, 2, samples, gain=0.4))
    assert y.shape == (1, 4, 2, samples)
    found = [y.mean(), y.std(), y.abs().max()]
    assert [float(v) for v in found] == pytest.approx([mean, std, largest], abs=1e-6)
    half = samples // 2
    assert y[0, 0, 0, :4].tolist() == pytest.approx(first, abs=2e-6)
    assert y[0, 3, 1, half : half + 4].tolist() == pytest.approx(middle, abs=2e-6)
    assert y[0, 2, 0, -3:].tolist() == pytest.approx(last, abs=2e-6)


def test_default_size_is_the_published_one():
    with torch.device("meta"):
        model = HybridDemucs(HybridDemucsConfig(init_reference=0))
    assert sum(p.numel() for p in model.parameters()) == 83_637_832
    assert len(model.state_dict()) == 395


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
