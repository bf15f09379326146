"""Excerpts cut on a device are those that are read from files."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from data.datasets import RATE, STEMS, make_dataset, make_rare_bass, noise, write
from unbraid.data import resident
from unbraid.data.excerpt_places import ExcerptSettings
from unbraid.data.excerpts import Excerpts
from unbraid.data.index import build_index
from unbraid.data.repitch import RepitchSettings
from unbraid.data.resident import Resident
from unbraid.errors import SettingsError

RANDOM = ExcerptSettings(0.5, mode="random", per_epoch=40)
APART = dataclasses.replace(RANDOM, apart=0.7, speed={"bass": 0.3})
LOOKED_FOR = dataclasses.replace(APART, loud_tries={"bass": 60}, borrow=("bass",))


def excerpts(root, settings, rate=RATE, channels=2, **more) -> Excerpts:
    index = build_index([root], "train", STEMS, missing="silence")
    return Excerpts(index, STEMS, rate, channels, settings, seed=1, **more)


@pytest.fixture
def songs(tmp_path):
    """A with a bass in its last second, B without one, C shorter than an excerpt."""
    return make_rare_bass(tmp_path, {"A": 8 * RATE, "B": 6 * RATE, "C": RATE // 4})


def assert_alike(items: Excerpts, atol: float) -> None:
    numbers = [*range(0, len(items), 3)]
    cut = Resident(items, "cpu").batch(numbers)
    expected = torch.stack([items[number] for number in numbers])
    torch.testing.assert_close(cut, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("settings", [ExcerptSettings(1.0, 0.5), RANDOM])
def test_they_are_the_same(songs, settings, normalize):
    assert_alike(excerpts(songs, dataclasses.replace(settings, normalize=normalize)), 1e-6)


def test_they_are_as_fast(songs):
    assert_alike(excerpts(songs, APART), 1e-5)


@pytest.mark.parametrize("rate, channels, subtype", [(RATE, 2, "FLOAT"), (RATE // 2, 1, "PCM_16")])
def test_other_files_are_brought_to_rate_and_channels_first(tmp_path, rate, channels, subtype):
    root = make_dataset(tmp_path, {"A": 4 * RATE})
    write(root / "train/A/bass.wav", noise(4 * RATE, 5), subtype=subtype)
    assert_alike(excerpts(root, RANDOM, rate, channels), 1e-6)


def test_what_is_looked_for_is_found_and_found_again(songs):
    items = excerpts(songs, LOOKED_FOR)
    there = Resident(items, "cpu")
    cut = there.batch(range(40))
    heard = cut[:, STEMS.index("bass")].abs().amax((1, 2)) > 0.1
    assert heard.float().mean() > 0.9
    assert torch.equal(cut, Resident(excerpts(songs, LOOKED_FOR), "cpu").batch(range(40)))
    assert items.place(3, there.sounds)[0]
    items.set_epoch(1)
    assert not torch.equal(cut, there.batch(range(40)))


def test_a_card_without_room_is_told_before_anything_is_read(songs, monkeypatch):
    monkeypatch.setattr(resident, "free_gpu_bytes", lambda device: 100_000)
    monkeypatch.setattr(Resident, "_signals", lambda *_: pytest.fail("read"))
    with pytest.raises(SettingsError, match=r"data\.resident=false"):
        Resident(excerpts(songs, RANDOM), "cpu")


def test_pitch_does_not_change_there(songs):
    items = excerpts(songs, RANDOM, repitch=RepitchSettings(probability=1.0))
    with pytest.raises(SettingsError, match=r"repitch\.probability=0"):
        Resident(items, "cpu")


def test_a_peak_is_that_of_its_block():
    signal = np.zeros((2, 3000), np.float32)
    signal[1, 1100] = -0.5
    assert resident._peaks(signal).tolist() == [0.0, 0.5, 0.0]
