from __future__ import annotations

import pytest
import torch

from unbraid.data.augment import (
    AugmentSettings,
    augment,
    flip_channels,
    flip_sign,
    remix,
    scale,
    shift,
)
from unbraid.errors import SettingsError, ShapeError

BATCH, STEMS, CHANNELS, SAMPLES = 8, 3, 2, 64


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(seed: int = 9) -> torch.Tensor:
    return torch.randn(BATCH, STEMS, CHANNELS, SAMPLES, generator=generator(seed))


def test_shifted_sources_are_windows_of_the_old_ones():
    sources = torch.arange(SAMPLES).float().expand(400, STEMS, CHANNELS, SAMPLES)
    shifted = shift(sources, 10, generator())
    offsets = shifted[:, :, 0, 0]
    assert shifted.shape[-1] == SAMPLES - 10
    assert torch.equal(shifted, offsets[..., None, None] + torch.arange(SAMPLES - 10) + 0 * shifted)
    assert set(offsets.flatten().tolist()) == set(range(10))
    assert (offsets[:, 0] != offsets[:, 1]).any()
    same = shift(sources, 10, generator(), same=True)[:, :, 0, 0]
    assert torch.equal(same[:, 0], same[:, 1])
    assert len(set(same.flatten().tolist())) == 10


def test_validation_cuts_at_the_end_alone():
    assert torch.equal(shift(batch(), 10, None), batch()[..., :-10])
    assert torch.equal(shift(batch(), 0, generator()), batch())


def test_flips_change_half_of_the_sources_and_keep_their_energy():
    sources = batch().repeat(100, 1, 1, 1)
    flipped = flip_channels(sources, generator())
    swapped = (flipped == sources.flip(2)).all(-1).all(-1)
    kept = (flipped == sources).all(-1).all(-1)
    assert (swapped ^ kept).all()
    assert 0.45 < swapped.float().mean() < 0.55
    turned = flip_sign(sources, generator())
    negative = (turned == -sources).all(-1).all(-1)
    assert torch.equal(turned.abs(), sources.abs())
    assert 0.45 < negative.float().mean() < 0.55


def test_gains_lie_in_their_range_and_may_leave_a_batch_alone():
    sources = torch.ones(400, STEMS, CHANNELS, 4)
    gains = scale(sources, 0.25, 1.25, generator())
    assert torch.equal(gains, gains[..., :1, :1].expand_as(gains))
    assert 0.25 <= gains.min() < 0.27
    assert 1.23 < gains.max() <= 1.25
    assert torch.equal(scale(sources, 0.25, 1.25, generator(), 0.0), sources)
    changed = [
        not torch.equal(scale(sources[:2], 0.25, 1.25, generator(s), 0.5), sources[:2])
        for s in range(100)
    ]
    assert 30 < sum(changed) < 70


def test_remixing_permutes_each_stem_within_its_group():
    sources = torch.arange(BATCH).float()[:, None, None, None].expand(BATCH, STEMS, CHANNELS, 4)
    mixed = remix(sources, 4, generator())[..., 0, 0]
    for first in (0, 4):
        group = mixed[first : first + 4]
        for stem in range(STEMS):
            assert sorted(group[:, stem].tolist()) == list(range(first, first + 4))
    assert (mixed[:, 0] != mixed[:, 1]).any()
    assert torch.equal(remix(sources, 4, generator(), 0.0), sources)
    with pytest.raises(ShapeError, match="cannot be cut into groups of 3"):
        remix(sources, 3, generator())


def test_stems_stay_stems():
    sources = torch.arange(STEMS).float()[None, :, None, None].expand(BATCH, STEMS, CHANNELS, 4)
    assert torch.equal(remix(sources, 8, generator()), sources)


def test_nothing_is_changed_in_place():
    sources = batch()
    augment(sources, AugmentSettings(shift_s=1.0), 10, generator())
    assert torch.equal(sources, batch())


def test_the_same_generator_does_the_same():
    settings = AugmentSettings(shift_s=1.0)
    one, two = (augment(batch(), settings, 10, generator(5)) for _ in range(2))
    assert torch.equal(one, two)
    assert one.shape == (BATCH, STEMS, CHANNELS, SAMPLES - 10)
    assert not torch.equal(one, augment(batch(), settings, 10, generator(6)))


@pytest.mark.parametrize("shares", [2, 4])
@pytest.mark.parametrize("probability", [1.0, 0.5])
def test_shares_of_a_batch_are_done_as_the_whole_is(shares, probability):
    settings = AugmentSettings(
        shift_s=1.0,
        remix_group=2,
        scale_probability=probability,
        remix_probability=probability,
    )
    for seed in range(6):
        whole = augment(batch(), settings, 10, generator(seed))
        size = BATCH // shares
        parts = [
            augment(
                batch()[k * size : (k + 1) * size],
                settings,
                10,
                generator(seed),
                share=(k, shares),
            )
            for k in range(shares)
        ]
        assert torch.equal(torch.cat(parts), whole)


def test_settings_that_switch_all_off_leave_the_batch():
    off = AugmentSettings(shift_s=0, flip=False, scale=None, remix_group=0)
    assert torch.equal(augment(batch(), off, 10, generator()), batch())


@pytest.mark.parametrize(
    "wrong",
    [
        {"shift_s": -1.0},
        {"scale": (2.0, 1.0)},
        {"scale_probability": 1.5},
        {"remix_probability": -0.1},
        {"remix_group": -1},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(SettingsError):
        AugmentSettings(**wrong)


def test_a_shift_that_leaves_nothing_is_refused():
    with pytest.raises(ShapeError, match="leaves nothing"):
        shift(batch(), SAMPLES, generator())


@pytest.mark.gpu
def test_a_gpu_draws_the_same():
    here = augment(batch(), AugmentSettings(shift_s=1.0), 10, generator(5))
    there = augment(batch().cuda(), AugmentSettings(shift_s=1.0), 10, generator(5))
    assert torch.equal(here, there.cpu())
