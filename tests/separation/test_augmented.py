"""Means over swapped channels, both polarities and rotations: `tta` and `bigshifts`."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from separation.stand_ins import Identity, Positional, Splitter, StandIn, noise, spec_of
from unbraid import SeparationSettings, apply_model
from unbraid.errors import Cancelled, SettingsError
from unbraid.models.compose.bag import Bag
from unbraid.separation.engine import as_bag
from unbraid.separation.plan import plan_passes
from unbraid.separation.progress import CancelToken
from unbraid.separation.streaming import separate_blocks

PLAIN = SeparationSettings(overlap=0.5, shift_offsets=[3, 7])
FLAT = SeparationSettings(overlap=0.5, windows="flat")


class Lopsided(StandIn):
    """Hears the left channel louder than the right one, and bends one polarity."""

    def separate(self, mixture):
        bent = mixture + 0.3 * mixture.square()
        gains = torch.linspace(1.0, 2.0, mixture.shape[1])[:, None]
        place = torch.linspace(0.5, 1.0, mixture.shape[2])
        return torch.stack([bent * gains, bent * place], dim=1)


def with_(settings, **changes):
    return dataclasses.replace(settings, **changes)


@pytest.mark.parametrize("settings", [PLAIN, FLAT])
def test_tta_is_the_mean_of_three_separations_each_undone(settings):
    song = noise(1, 2, 47)
    plain, swapped, inverted = (
        apply_model(Lopsided(), given, settings) for given in (song, song.flip(1), -song)
    )
    wanted = (plain + swapped.flip(2) - inverted) / 3
    found = apply_model(Lopsided(), song, with_(settings, tta=True))
    assert not torch.allclose(found, plain, atol=1e-2)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)


def test_a_model_of_one_channel_has_two_variants():
    song, model = noise(1, 1, 47), Lopsided(spec_of(channels=1))
    wanted = (apply_model(model, song, PLAIN) - apply_model(model, -song, PLAIN)) / 2
    found = apply_model(model, song, with_(PLAIN, tta=True))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("settings", [PLAIN, FLAT])
@pytest.mark.parametrize("count", [2, 3, 60])
def test_bigshifts_are_the_mean_of_rotated_songs_each_rotated_back(settings, count):
    song = noise(1, 2, 47)
    turns = [number * (47 // count) for number in range(count)]
    wanted = sum(
        apply_model(Positional(), song.roll(by, -1), settings).roll(-by, -1) for by in turns
    )
    found = apply_model(Positional(), song, with_(settings, bigshifts=count))
    torch.testing.assert_close(found, wanted / count, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("settings", [PLAIN, FLAT, SeparationSettings(split=False)])
def test_stems_that_add_up_to_the_song_still_do(settings):
    song = noise(2, 2, 61)
    chosen = with_(settings, tta=True, bigshifts=3)
    found = apply_model(Identity(), song, chosen).sum(1)
    torch.testing.assert_close(found, song, rtol=1e-5, atol=1e-6)


def test_what_treats_all_variants_alike_gives_what_it_gives_without_them():
    song = noise(1, 2, 47)
    plain = apply_model(Splitter(), song, PLAIN)
    found = apply_model(Splitter(), song, with_(PLAIN, tta=True, bigshifts=4))
    torch.testing.assert_close(found, plain, rtol=1e-5, atol=1e-6)


def test_one_bigshift_is_none_to_the_bit():
    song = noise(1, 2, 47)
    found = apply_model(Positional(), song, with_(PLAIN, bigshifts=1))
    assert torch.equal(found, apply_model(Positional(), song, PLAIN))


@pytest.mark.parametrize("settings", [PLAIN, FLAT])
@pytest.mark.parametrize("block", [1, 9, 100])
@pytest.mark.parametrize("members", [1, 2])
def test_a_streamed_song_is_the_whole_song_to_the_bit(settings, block, members):
    song = noise(1, 2, 83)
    models = [Positional(gain=1.0 + number) for number in range(members)]
    model = models[0] if members == 1 else Bag([as_bag(each).member(0) for each in models])
    chosen = with_(settings, tta=True, bigshifts=3)
    whole = apply_model(model, song, chosen).numpy()
    blocks = [part.numpy() for part in song.split(block, dim=-1)]
    streamed = list(separate_blocks(model, lambda: iter(blocks), None, chosen, samples=83))
    np.testing.assert_array_equal(np.concatenate(streamed, axis=-1), whole)


def test_the_work_that_is_planned_is_done():
    bag, chosen = as_bag(Identity()), with_(PLAIN, tta=True, bigshifts=2)
    plain, more = (
        sum(plan.work for plan in plan_passes(bag, 47, settings)) for settings in (PLAIN, chosen)
    )
    assert more == 6 * plain
    fractions = []
    apply_model(
        Identity(),
        noise(1, 2, 47),
        chosen,
        on_progress=lambda told: fractions.append(told.fraction),
    )
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1)


def test_cancelling_waits_for_one_pass_and_not_for_all_variants():
    token, model = CancelToken(), Identity()

    def separate(mixture):
        token.cancel()
        return Identity.separate(model, mixture)

    model.separate = separate
    with pytest.raises(Cancelled):
        apply_model(model, noise(1, 2, 47), with_(PLAIN, tta=True), cancel=token)
    assert len(model.seen) == 1


def test_fewer_than_no_rotations_are_refused():
    with pytest.raises(SettingsError, match="bigshifts is 0"):
        SeparationSettings(bigshifts=-1)
