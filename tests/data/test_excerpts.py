from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from data.datasets import RATE, STEMS, make_dataset, noise, signal_of, write
from unbraid.audio.resample import resample
from unbraid.data.cache import SampleCache
from unbraid.data.excerpt_places import ExcerptSettings
from unbraid.data.excerpts import Excerpts
from unbraid.data.index import build_index
from unbraid.data.repitch import RepitchSettings
from unbraid.data.whole_tracks import read_mixture, read_sources
from unbraid.errors import AudioReadError, SettingsError

PLAIN = ExcerptSettings(excerpt_s=1.0, stride_s=0.5, normalize=False)


def excerpts(root, settings=PLAIN, rate=RATE, channels=2, stems=STEMS, weights=None, **more):
    index = build_index(
        [root] if not isinstance(root, list) else root, "train", stems, weights=weights
    )
    return Excerpts(index, stems, rate, channels, settings, **more)


def test_a_grid_covers_every_track_and_is_filled_up_with_zeros(tmp_path):
    root = make_dataset(tmp_path, {"A": RATE * 2 + 1000, "B": RATE // 2})
    items = excerpts(root)
    # ceil((2.125 - 1) / 0.5) + 1 for the long one, 1 for the short one
    assert len(items) == 4 + 1
    whole = np.stack([signal_of(root / f"train/A/{stem}.wav") for stem in STEMS])
    for k in range(4):
        start = RATE * k // 2
        expected = whole[..., start : start + RATE]
        assert np.array_equal(items[k][..., : expected.shape[-1]], expected)
        assert not items[k][..., expected.shape[-1] :].any()
    assert items[4].shape == (2, 2, RATE)
    assert not items[4][..., RATE // 2 :].any()
    with pytest.raises(IndexError):
        items[5]


@pytest.mark.parametrize("seconds", [0.4, 1.0, 1.2, 1.5, 2.0, 2.3])
def test_the_grid_has_as_many_excerpts_as_the_paper_says(tmp_path, seconds):
    items = excerpts(make_dataset(tmp_path, {"A": round(seconds * RATE)}))
    assert len(items) == (1 if seconds < 1 else math.ceil(round((seconds - 1) / 0.5, 9)) + 1)


def test_items_are_normalized_by_their_track(tmp_path):
    root = make_dataset(tmp_path, {"A": RATE})
    item = excerpts(root, ExcerptSettings(1.0, 1.0))[0]
    plain = excerpts(root)[0]
    track = build_index([root], "train", STEMS).tracks[0]
    assert torch.allclose(item, (plain - track.mean) / track.std, atol=1e-6)
    assert item.sum(0).mean(0).std() == pytest.approx(1.0, abs=1e-4)


def test_random_items_depend_on_seed_epoch_and_number_alone(tmp_path):
    root = make_dataset(tmp_path, {"A": RATE * 3, "B": RATE * 6})
    settings = ExcerptSettings(1.0, 1.0, mode="random", per_epoch=30)
    one, two = excerpts(root, settings, seed=3), excerpts(root, settings, seed=3)
    list(two)
    two.set_epoch(5)
    fifth = two[7].clone()
    two.set_epoch(0)
    assert torch.equal(one[7], two[7])
    assert not torch.equal(fifth, one[7])
    one.set_epoch(5)
    assert torch.equal(one[7], fifth)
    assert len({one.place(i) for i in range(30)}) > 25
    assert excerpts(root, settings, seed=4).place(7) != one.place(7)


def test_long_tracks_are_drawn_more_often_and_weights_overrule(tmp_path):
    one = make_dataset(tmp_path / "1", {"A": RATE * 2, "B": RATE * 6})
    two = make_dataset(tmp_path / "2", {"C": RATE * 2})
    settings = ExcerptSettings(1.0, 1.0, mode="random", per_epoch=2000)

    def share(items, name):
        return sum(items.place(i)[0] == name for i in range(2000)) / 2000

    assert share(excerpts([one, two], settings), "B") == pytest.approx(0.6, abs=0.05)
    weighted = excerpts([one, two], settings, weights=[1, 1])
    assert share(weighted, "C") == pytest.approx(0.5, abs=0.05)
    assert share(weighted, "A") == pytest.approx(0.125, abs=0.03)


def test_weights_repeat_the_smaller_part_of_a_grid(tmp_path):
    base = make_dataset(tmp_path / "1", {"A": RATE * 4})  # 4 examples
    extra = make_dataset(tmp_path / "2", {"C": RATE * 10, "D": RATE * 8})  # 18 examples
    settings = ExcerptSettings(1.0, 1.0, normalize=False)
    items = excerpts([base, extra], settings, weights=[0.4, 0.6])
    repeats = round(18 / 4 * (1 / 0.6 - 1))  # as in the public recipe
    assert len(items) == 18 + repeats * 4
    assert sum(items.place(i)[0] == "A" for i in range(len(items))) == repeats * 4
    assert len(excerpts([base, extra], settings)) == 22


def test_a_shorter_epoch_of_a_grid_takes_no_place_twice(tmp_path):
    root = make_dataset(tmp_path, {"A": RATE * 8})
    items = excerpts(root, ExcerptSettings(1.0, 0.5, per_epoch=10))
    places = [items.place(i) for i in range(len(items))]
    assert len(set(places)) == len(places) == 10
    items.set_epoch(1)
    assert [items.place(i) for i in range(10)] != places


def test_other_rates_and_channels_are_brought_to_those_of_the_model(tmp_path):
    mono, wide = noise(RATE, 1, 1), noise(RATE, 2, 4)
    write(tmp_path / "train/A/bass.wav", mono)
    write(tmp_path / "train/A/drums.wav", wide)
    item = excerpts(tmp_path)[0]
    assert torch.equal(item[0, 0], item[0, 1])
    assert np.allclose(item[1], wide[:2], atol=1e-4)
    assert np.allclose(excerpts(tmp_path, channels=1)[0][1, 0], wide.mean(0), atol=1e-4)
    item = excerpts(tmp_path, ExcerptSettings(0.5, 0.25, normalize=False), rate=12000)[1]
    expected = resample(signal_of(tmp_path / "train/A/drums.wav")[:2], RATE, 12000)
    assert np.array_equal(item[1], expected[:, 3000:9000])


@pytest.mark.parametrize(("suffix", "rate"), [(".wav", RATE), (".flac", 12000), (".ogg", RATE)])
def test_cached_items_have_the_same_bytes(tmp_path, suffix, rate):
    root = make_dataset(tmp_path / "data", {"A": RATE * 2, "B": RATE * 3}, suffix=suffix)
    cache = SampleCache(tmp_path / "cache")
    plain, cached = excerpts(root, rate=rate), excerpts(root, rate=rate, cache=cache)
    assert len(plain) == len(cached)
    assert all(torch.equal(plain[i], cached[i]) for i in range(len(plain)))
    assert (cache.used_bytes() > 0) == (suffix != ".wav")  # a wav is read where it lies
    assert all(torch.equal(plain[i], cached[i]) for i in range(len(plain)))


def test_items_are_the_same_in_workers_and_follow_the_epoch_there(tmp_path):
    root = make_dataset(tmp_path / "data", {"A": RATE * 4})
    settings = ExcerptSettings(0.5, 0.5, mode="random", per_epoch=4)
    cache = SampleCache(tmp_path / "cache")
    items = excerpts(root, settings, cache=cache)
    loader = torch.utils.data.DataLoader(
        items, batch_size=2, num_workers=1, persistent_workers=True, multiprocessing_context="fork"
    )
    for epoch in (0, 1):
        items.set_epoch(epoch)
        batches = torch.cat(list(loader))
        assert torch.equal(batches, torch.stack([items[i] for i in range(4)]))


def test_repitched_items_are_cut_and_repeat_themselves(tmp_path):
    root = make_dataset(tmp_path, {"A": RATE * 3})
    items = excerpts(root, repitch=RepitchSettings(probability=0.5))
    assert items.samples == int(0.88 * RATE)
    plain = excerpts(root)
    unchanged = [torch.equal(items[i], plain[i][..., : items.samples]) for i in range(len(items))]
    assert any(unchanged)
    assert not all(unchanged)
    assert all(torch.equal(items[i], items[i]) for i in range(len(items)))
    assert items[0].shape == (2, 2, items.samples)


def test_silent_mixtures_cannot_be_normalized(tmp_path):
    root = make_dataset(tmp_path, {"A": RATE})
    for stem in STEMS:
        write(root / f"train/A/{stem}.wav", np.zeros((2, RATE), np.float32))
    with pytest.raises(SettingsError, match="A' cannot be trained on: its mixture is silent"):
        excerpts(root, ExcerptSettings(1.0, 1.0))
    assert not excerpts(root)[0].any()


def test_missing_stems_are_silent_if_they_may_be(tmp_path):
    root = make_dataset(tmp_path, {"A": RATE})
    (root / "train/A/drums.wav").unlink()
    write(root / "train/B/drums.wav", noise(RATE, 2))
    write(root / "train/B/bass.wav", noise(RATE, 3))
    index = build_index([root], "train", STEMS, missing="silence")
    items = Excerpts(index, STEMS, RATE, 2, PLAIN)
    assert items[0][0].any()
    assert not items[0][1].any()


def test_a_file_that_changes_after_the_index_is_named(tmp_path):
    root = make_dataset(tmp_path, {"A": RATE})
    items = excerpts(root)
    write(root / "train/A/bass.wav", noise(RATE // 2, 1))
    with pytest.raises(AudioReadError, match=r"bass\.wav' has changed"):
        items[0]


def test_whole_tracks_are_read_as_they_are(tmp_path):
    root = make_dataset(tmp_path / "data", {"A": RATE})
    track = build_index([root], "train", STEMS).tracks[0]
    for cache in (None, SampleCache(tmp_path / "cache")):
        sources = read_sources(track, ("drums", "bass", "none"), RATE, 2, cache)
        assert np.array_equal(sources[0], signal_of(root / "train/A/drums.wav"))
        assert not sources[2].any()
        assert torch.equal(read_mixture(track, RATE, 2, cache), sources[1] + sources[0])


@pytest.mark.parametrize(
    "wrong", [{"excerpt_s": 0.0}, {"stride_s": -1.0}, {"mode": "all"}, {"per_epoch": 0}]
)
def test_settings_that_make_no_sense_are_refused(wrong, unchecked):
    with pytest.raises(SettingsError):
        ExcerptSettings(**wrong)


def test_unknown_stems_are_named(tmp_path):
    index = build_index([make_dataset(tmp_path, {"A": RATE})], "train", STEMS)
    with pytest.raises(SettingsError, match=r"knows the stems bass, drums; got vocals"):
        Excerpts(index, ("bass", "vocals"), RATE, 2, PLAIN)
