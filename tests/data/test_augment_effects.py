from __future__ import annotations

import pytest
import torch

from unbraid.data import augment_effects as effects
from unbraid.data.augment import (
    AugmentSettings,
    augment,
    flip_channels,
    flip_sign,
    gain,
    remix,
    scale,
    shift,
    silence,
)
from unbraid.errors import SettingsError

BATCH, STEMS, CHANNELS, SAMPLES, RATE = 8, 2, 2, 8000, 44100
NAMES = ("drums", "bass")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(seed: int = 9, samples: int = SAMPLES) -> torch.Tensor:
    return torch.randn(BATCH, STEMS, CHANNELS, samples, generator=generator(seed))


def changed(after: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
    return (after - before).abs().amax((2, 3)) > 1e-4


def levels_db(sources: torch.Tensor, low_hz: float, high_hz: float) -> torch.Tensor:
    """Mean level between two frequencies, (batch, stems)."""
    at = torch.fft.rfftfreq(sources.shape[-1], 1 / RATE)
    power = torch.fft.rfft(sources).abs().square()[..., (at >= low_hz) & (at < high_hz)]
    return 10 * torch.log10(power.mean((2, 3)) + 1e-12)


def lows(sources, rng, p, share=(0, 1)):
    return effects.without_lows(sources, RATE, rng, torch.tensor([p, p]), share=share)


EFFECTS = {
    "equalizer": lambda x, rng, p, share=(0, 1): effects.equalizer(x, RATE, rng, p, share=share),
    "codec": lambda x, rng, p, share=(0, 1): effects.band_limit(x, RATE, rng, p, share=share),
    "saturation": lambda x, rng, p, share=(0, 1): effects.saturate(x, rng, p, share=share),
    "reverb": lambda x, rng, p, share=(0, 1): effects.reverberate(x, RATE, rng, p, share=share),
    "without_lows": lows,
}


@pytest.mark.parametrize("name", EFFECTS)
def test_an_effect_changes_sources_with_its_probability_and_the_same_way_again(name):
    effect, sources = EFFECTS[name], batch()
    assert torch.allclose(effect(sources, generator(), 0.0), sources, atol=1e-5)
    assert changed(effect(sources, generator(), 1.0), sources).float().mean() > 0.85
    some = changed(effect(batch(samples=500).repeat(20, 1, 1, 1), generator(), 0.5),
                   batch(samples=500).repeat(20, 1, 1, 1))  # fmt: skip
    assert 0.3 < some.float().mean() < 0.65
    once, again = (effect(sources, generator(3), 0.5) for _ in range(2))
    assert torch.equal(once, again)


@pytest.mark.parametrize("name", EFFECTS)
def test_shares_of_a_batch_are_changed_as_the_whole(name):
    effect, sources = EFFECTS[name], batch()
    whole = effect(sources, generator(), 0.5)
    parts = [effect(sources[4 * n : 4 * n + 4], generator(), 0.5, share=(n, 2)) for n in range(2)]
    assert torch.allclose(torch.cat(parts), whole, atol=1e-6)


def test_lows_are_taken_out_of_the_stems_that_are_named_and_highs_stay():
    chances = torch.tensor([1.0, 0.0])
    thin = effects.without_lows(batch(), RATE, generator(), chances)
    before = levels_db(batch(), 0, 50), levels_db(batch(), 1000, 8000)
    after = levels_db(thin, 0, 50), levels_db(thin, 1000, 8000)
    assert (after[0] - before[0])[:, 0].max() < -20
    assert (after[1] - before[1]).abs().max() < 0.1
    assert torch.allclose(thin[:, 1], batch()[:, 1], atol=1e-5)


def test_the_codec_cuts_all_stems_of_an_item_alike_so_that_they_still_add_up():
    cut = effects.band_limit(batch(), RATE, generator(), 1.0)
    stems = levels_db(cut, 3000, 20000) - levels_db(batch(), 3000, 20000)
    assert torch.allclose(stems[:, 0], stems[:, 1], atol=0.7)
    whole = effects.band_limit(batch().sum(1, keepdim=True), RATE, generator(), 1.0)
    assert torch.allclose(cut.sum(1, keepdim=True), whole, atol=1e-4)


def test_an_equalizer_stays_within_its_gains():
    sources = batch().repeat(10, 1, 1, 1)
    moved = effects.equalizer(sources, RATE, generator(), 1.0)
    for low, high in ((30, 100), (500, 1500), (4000, 8000)):
        difference = levels_db(moved, low, high) - levels_db(sources, low, high)
        assert difference.abs().max() < 12.5 and 1 < difference.std() < 6


def test_saturation_bends_loud_parts_and_keeps_signs():
    bent = effects.saturate(batch(), generator(), 1.0)
    assert (bent.abs() <= batch().abs() + 1e-6).all()
    assert torch.equal(bent.sign(), batch().sign())


def test_a_room_leaves_the_first_sound_and_adds_what_follows():
    click = torch.zeros(1, 1, 2, 22050)
    click[..., 100] = 1.0
    wet = effects.reverberate(click, RATE, generator(), 1.0)
    assert not wet[..., :100].abs().max() > 1e-5
    tail = wet[..., 101:]
    assert tail[..., :2000].abs().mean() > 3 * tail[..., 18000:].abs().mean()


def test_gains_have_the_mean_and_deviation_of_their_stem():
    sources = torch.ones(2000, 2, 1, 1)
    gained = gain(sources, torch.tensor([0.0, 8.0]), torch.tensor([0.0, 5.0]), generator())
    gains_db = 20 * gained.squeeze().log10()
    assert torch.allclose(gains_db[:, 0], torch.zeros(2000), atol=1e-5)
    assert gains_db[:, 1].mean() == pytest.approx(8.0, abs=0.4)
    assert gains_db[:, 1].std() == pytest.approx(5.0, abs=0.3)


def test_stems_are_silent_as_often_as_asked_for():
    kept = silence(torch.ones(2000, 2, 1, 1), torch.tensor([0.25, 0.0]), generator()).squeeze()
    assert kept[:, 0].mean() == pytest.approx(0.75, abs=0.03)
    assert kept[:, 1].min() == 1


def test_with_the_defaults_nothing_is_drawn_beyond_the_papers_four_steps():
    ours, theirs = generator(5), generator(5)
    augmented = augment(batch(), AugmentSettings(shift_s=0.1), RATE, ours, stems=NAMES)
    plain = shift(batch(), 4410, theirs)
    plain = flip_sign(flip_channels(plain, theirs), theirs)
    plain = remix(scale(plain, 0.25, 1.25, theirs), 4, theirs)
    assert torch.equal(augmented, plain)
    assert torch.equal(ours.get_state(), theirs.get_state())


def test_all_that_is_set_is_done_to_a_batch_and_its_shares_alike():
    settings = AugmentSettings(
        shift_s=0.1,
        gain_db={"bass": (8.0, 9.0)},
        absent={"drums": 0.5},
        without_lows={"drums": 0.5},
        equalizer=0.5,
        saturation=0.5,
        reverb=0.5,
        codec=0.5,
    )
    whole = augment(batch(), settings, RATE, generator(), stems=NAMES)
    assert whole.isfinite().all() and (whole[:, 0].abs().amax((1, 2)) == 0).any()
    parts = [
        augment(batch()[4 * n : 4 * n + 4], settings, RATE, generator(), stems=NAMES, share=(n, 2))
        for n in range(2)
    ]
    assert torch.allclose(torch.cat(parts), whole, atol=1e-4)


@pytest.mark.parametrize(
    "wrong",
    [
        {"equalizer": 1.5},
        {"codec": -0.1},
        {"absent": {"bass": 2.0}},
        {"without_lows": {"drums": -1.0}},
        {"gain_db": {"bass": (0.0, -1.0)}},
    ],
)
def test_chances_and_deviations_that_cannot_be_are_refused(wrong):
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        AugmentSettings(**wrong)
