from __future__ import annotations

import os
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

from data.datasets import RATE, noise, signal_of, write
from unbraid.data.cache import SampleCache
from unbraid.data.sound_files import look_at, read_whole
from unbraid.errors import AudioReadError, SettingsError


def test_what_comes_out_is_what_the_file_holds(tmp_path):
    for name, subtype in (("a.wav", "PCM_16"), ("b.wav", "PCM_24"), ("c.wav", "FLOAT")):
        file = look_at(write(tmp_path / name, noise(5000, 1), subtype=subtype))
        cache = SampleCache(tmp_path / "cache")
        expected = signal_of(tmp_path / name)
        for _ in range(2):
            assert np.array_equal(cache.read(file, 100, 900, RATE, 2), expected[:, 100:1000])
            assert np.array_equal(cache.read(file, 4990, 900, RATE, 2), expected[:, 4990:])
            assert cache.read(file, 6000, 10, RATE, 2).shape == (2, 0)


def test_16_bit_files_take_16_bits(tmp_path):
    cache = SampleCache(tmp_path / "cache")
    cache.read(look_at(write(tmp_path / "a.flac", noise(5000, 1))), 0, 1, RATE, 2)
    assert cache.used_bytes() == pytest.approx(5000 * 2 * 2, abs=200)


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_a_wav_of_the_right_kind_is_read_where_it_lies(tmp_path, subtype):
    file = look_at(write(tmp_path / "a.wav", noise(5000, 1), subtype=subtype))
    cache = SampleCache(tmp_path / "cache")
    assert np.array_equal(cache.read(file, 7, 990, RATE, 2), signal_of(file.path)[:, 7:997])
    assert cache.used_bytes() == 0


@pytest.mark.parametrize(("rate", "channels"), [(RATE, 1), (RATE // 2, 2)])
def test_a_wav_of_another_rate_or_width_is_kept(tmp_path, rate, channels):
    file = look_at(write(tmp_path / "a.wav", noise(5000, 1)))
    cache = SampleCache(tmp_path / "cache")
    got = cache.read(file, 0, 9000, rate, channels)
    assert np.array_equal(got, read_whole(file, rate, channels))
    assert cache.used_bytes() > 0


def test_a_wav_that_is_no_longer_as_it_was_is_not_read_in_its_place(tmp_path):
    file = look_at(write(tmp_path / "a.wav", noise(5000, 1)))
    write(tmp_path / "a.wav", noise(4000, 2))
    with pytest.raises(AudioReadError, match="has changed"):
        SampleCache(tmp_path / "cache").read(file, 0, 100, RATE, 2)


def test_the_limit_is_kept_and_the_samples_stay_right(tmp_path):
    files = [look_at(write(tmp_path / f"{n}.flac", noise(5000, n))) for n in range(4)]
    cache = SampleCache(tmp_path / "cache", max_bytes=45_000)
    for file in (*files, *files):
        assert np.array_equal(cache.read(file, 7, 99, RATE, 2), signal_of(file.path)[:, 7:106])
        assert cache.used_bytes() <= 45_000
    assert len(list(cache.folder.glob("*.npy"))) == 2


def test_what_nobody_used_for_an_hour_makes_room(tmp_path):
    files = [look_at(write(tmp_path / f"{n}.flac", noise(5000, n))) for n in range(3)]
    cache = SampleCache(tmp_path / "cache", max_bytes=45_000)
    for file in files[:2]:
        cache.read(file, 0, 1, RATE, 2)
    old = sorted(cache.folder.glob("*.npy"))[0]
    os.utime(old, (1e9, 1e9))
    cache.read(files[2], 0, 1, RATE, 2)
    assert not old.exists()
    assert len(list(cache.folder.glob("*.npy"))) == 2


def test_a_file_that_changed_is_kept_anew(tmp_path):
    cache = SampleCache(tmp_path / "cache")
    for seed in (1, 2):
        file = look_at(write(tmp_path / "a.wav", noise(5000 + seed, seed)))
        got = cache.read(file, 0, 9000, RATE, 2)
        assert np.array_equal(got, signal_of(tmp_path / "a.wav"))


def read_sum(cache: SampleCache, file) -> float:
    return float(cache.read(file, 0, 5000, RATE, 2).sum())


def test_processes_share_it(tmp_path):
    file = look_at(write(tmp_path / "a.flac", noise(5000, 1)))
    cache = pickle.loads(pickle.dumps(SampleCache(tmp_path / "cache")))
    with ProcessPoolExecutor(2, get_context("fork")) as pool:
        sums = set(pool.map(read_sum, [cache] * 6, [file] * 6))
    assert sums == {read_sum(cache, file)}
    assert [p.suffix for p in cache.folder.iterdir() if p.name != "lock"] == [".npy"]


def test_a_broken_entry_is_made_anew(tmp_path):
    file = look_at(write(tmp_path / "a.flac", noise(5000, 1)))
    SampleCache(tmp_path / "cache").read(file, 0, 1, RATE, 2)
    (entry,) = (tmp_path / "cache").glob("*.npy")
    entry.write_bytes(b"no array")
    again = SampleCache(tmp_path / "cache")
    assert np.array_equal(again.read(file, 0, 50, RATE, 2), signal_of(file.path)[:, :50])


def test_a_folder_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="cannot hold the cache"):
        SampleCache(tmp_path / "file")
