from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from data.datasets import RATE, STEMS, make_dataset, make_rare_bass, write
from unbraid.data.excerpt_places import Cut, ExcerptSettings
from unbraid.data.excerpts import Excerpts
from unbraid.data.index import build_index
from unbraid.errors import SettingsError

SETTINGS = ExcerptSettings(0.5, mode="random", per_epoch=60, normalize=False)


def excerpts(root, **changes) -> Excerpts:
    index = build_index([root], "train", STEMS, missing="silence")
    settings = dataclasses.replace(SETTINGS, **changes)
    return Excerpts(index, STEMS, RATE, 2, settings, seed=1)


@pytest.fixture
def two_songs(tmp_path):
    """A with both stems, of which the bass sounds in its last second; B without a bass."""
    return make_rare_bass(tmp_path, {"A": 8 * RATE, "B": 8 * RATE})


def heard(items: Excerpts, stem: str) -> float:
    """In which share of the items a stem sounds."""
    number = STEMS.index(stem)
    return float(np.mean([bool(items[i][number].abs().max() > 0.01) for i in range(len(items))]))


def test_a_stem_that_rarely_plays_is_found_by_looking_more_often(two_songs):
    assert heard(excerpts(two_songs), "bass") < 0.25
    assert heard(excerpts(two_songs, loud_tries={"bass": 60}), "bass") > 0.95


def test_a_stem_that_an_excerpt_lacks_is_borrowed_and_others_stay(two_songs):
    plain, borrowed = excerpts(two_songs), excerpts(
        two_songs, borrow=("bass",), loud_tries={"bass": 60}
    )  # fmt: skip
    assert heard(borrowed, "bass") > 0.95
    assert heard(plain, "drums") == heard(borrowed, "drums") == 1


def test_stems_apart_come_from_places_of_their_own(tmp_path):
    root = make_dataset(tmp_path, {"A": 4 * RATE})
    for stem in STEMS:  # a ramp tells where an excerpt is from
        ramp = np.tile(np.linspace(0, 0.9, 4 * RATE, dtype=np.float32), (2, 1))
        write(root / "train/A" / f"{stem}.wav", ramp)
    together, apart = excerpts(root), excerpts(root, apart=1.0)
    assert all(torch.equal(item[0], item[1]) for item in together)
    assert sum(not torch.equal(item[0], item[1]) for item in apart) > 55
    half = excerpts(root, apart=0.5)
    assert 15 < sum(not torch.equal(item[0], item[1]) for item in half) < 45


def test_speed_moves_the_pitch_of_stems_apart_within_its_reach(tmp_path):
    root = make_dataset(tmp_path, {"A": 4 * RATE})
    tone = 0.5 * np.sin(2 * np.pi * 500 * np.arange(4 * RATE) / RATE).astype(np.float32)
    write(root / "train/A/bass.wav", np.tile(tone, (2, 1)))
    items = excerpts(root, apart=1.0, speed={"bass": 0.2})
    spectra = [torch.fft.rfft(item[STEMS.index("bass"), 0]).abs() for item in items]
    hertz = [2.0 * int(spectrum.argmax()) for spectrum in spectra]
    assert 500 * 0.8 < min(hertz) < 460 and 545 < max(hertz) < 500 * 1.25


def test_items_that_are_looked_for_depend_on_seed_epoch_and_number_alone(two_songs):
    changes = {"apart": 0.5, "borrow": ("bass",), "loud_tries": {"bass": 9}, "speed": {"bass": 0.1}}
    one, other = excerpts(two_songs, **changes), excerpts(two_songs, **changes)
    backwards = {i: other[i] for i in reversed(range(20))}
    assert all(torch.equal(one[i], backwards[i]) for i in range(20))
    one.set_epoch(1)
    assert not torch.equal(one[0], other[0])


def test_places_tell_every_track_that_was_looked_at(two_songs):
    names = {excerpts(two_songs, apart=1.0).place(i)[0] for i in range(20)}
    assert names <= {f"{a} + {b}" for a in "AB" for b in "AB"} and len(names) > 1


def test_without_these_settings_an_item_is_what_its_place_holds(two_songs):
    items = excerpts(two_songs)
    for i in range(5):
        rng = np.random.default_rng((1, 0, i))
        track, start = items._place(i, rng)
        assert (track.name, start) == items.place(i)
        expected = np.stack([items.read(Cut(track, stem, start)) for stem in STEMS])
        assert np.array_equal(items[i], expected)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"mode": "grid", "apart": 0.5}, "need the mode 'random'"),
        ({"apart": 1.5}, "apart lies within"),
        ({"loud_tries": {"bass": 0}}, "loud_tries.bass is 1 to 1000"),
        ({"speed": {"bass": -1.0}}, "speed.bass lies within"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong, message):
    with pytest.raises(SettingsError, match=message):
        dataclasses.replace(SETTINGS, **wrong)
