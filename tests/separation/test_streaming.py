"""Streamed equals whole, and holds a few segments whatever the length of the song."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from separation.stand_ins import Identity, Positional, noise, spec_of
from separation.test_engine import any_settings
from unbraid import Bag, SeparationSettings, ShapeError, apply_model
from unbraid.errors import SettingsError
from unbraid.separation import engine
from unbraid.separation.overlap_add import RunningSum
from unbraid.separation.progress import Watch
from unbraid.separation.reader import SongReader
from unbraid.separation.settings import DEFAULT_SETTINGS
from unbraid.separation.streaming import (
    Loudness,
    LoudnessMeter,
    measure_loudness,
    separate_blocks,
)


def cut(song, block) -> list[np.ndarray]:
    return [part.numpy() for part in song.split(block, dim=-1)]


def loudness_of(song) -> Loudness:
    return measure_loudness([song.numpy()])


def joined(blocks) -> torch.Tensor:
    return torch.from_numpy(np.concatenate(list(blocks), axis=-1))


def stream(model, song, block, chosen=DEFAULT_SETTINGS, loudness=None, **options):
    return separate_blocks(
        model,
        lambda: cut(song, block),
        loudness,
        chosen,
        samples=song.shape[-1],
        **options,
    )


@settings(max_examples=30, deadline=None)
@given(
    chosen=any_settings(),
    samples=st.integers(1, 150),
    block=st.integers(1, 60),
    members=st.integers(1, 3),
    wider=st.integers(0, 20),
)
def test_streamed_equals_whole_bit_for_bit(chosen, samples, block, members, wider):
    chosen = SeparationSettings(**chosen)
    song = noise(2, 2, samples)
    bag = Bag(
        [Positional(spec_of(segment=9 + m), wider, gain=1.0 + m) for m in range(members)],
        [[1.0, m + 0.5] for m in range(members)],
    )
    loudness = loudness_of(song)
    blocks = list(stream(bag, song, block, chosen, loudness))
    assert all(block.shape[-1] > 0 for block in blocks)
    whole = loudness.restore(apply_model(bag, loudness.normalize(song.numpy()), chosen))
    assert (np.concatenate(blocks, axis=-1) == whole).all()


@settings(max_examples=20, deadline=None)
@given(chosen=any_settings(), samples=st.integers(1, 150), block=st.integers(1, 60))
def test_the_stems_of_a_normalized_identity_add_up_to_the_song(chosen, samples, block):
    chosen = SeparationSettings(**chosen)
    song = noise(2, 2, samples) * 0.1 + 0.05
    estimates = joined(stream(Identity(), song, block, chosen, loudness_of(song)))
    torch.testing.assert_close(estimates.sum(dim=1), song, rtol=0, atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.3, -1.0])
@pytest.mark.parametrize("samples", [1, 50])
def test_stems_of_silence_and_of_a_constant_are_equal_shares_whatever_the_model(value, samples):
    song = torch.full((1, 2, samples), value)
    song = torch.cat([song, noise(1, 2, samples)])  # beside another group of the same song
    estimates = joined(stream(Positional(), song, 7, loudness=loudness_of(song)))
    assert (estimates[0] == torch.tensor(value) / 2).all()


def test_a_model_that_fails_on_silence_cannot_spoil_it():
    class NotANumber(Identity):
        def separate(self, mixture):
            return super().separate(mixture) * math.nan

    song = torch.zeros(1, 2, 30)
    estimates = joined(stream(NotANumber(), song, 30, loudness=loudness_of(song)))
    assert (estimates == 0).all()


@pytest.mark.parametrize("split", [[97], [1, 96], [50, 0, 46, 1], [1] * 97])
def test_loudness_is_that_of_the_channel_mean_however_it_is_cut(split):
    song = noise(3, 2, 97) * torch.tensor([1e-3, 1.0, 300.0])[:, None, None] + 0.7
    middle = song.double().mean(dim=1)
    loudness = measure_loudness(cut(song, split))
    close(loudness.mean, middle.mean(dim=-1))
    close(loudness.std, middle.std(dim=-1, unbiased=True))


def test_loudness_of_a_faint_tone_on_a_large_constant_is_not_lost():
    tone = 1e-3 * torch.sin(torch.arange(100_000.0))
    song = (tone + 1.0).expand(1, 2, -1)
    close(measure_loudness(cut(song, 999)).std[0], song[0].double().mean(dim=0).std())


@pytest.mark.parametrize("samples", [1, 2, 64])
def test_loudness_of_channels_that_cancel_is_that_of_the_channels(samples):
    left = 0.5 * noise(1, 1, samples)
    song = torch.cat([left, -left], dim=1)
    loudness = loudness_of(song)
    assert loudness.mean.item() == 0
    close(loudness.std[0], left.square().mean().sqrt())


def test_loudness_of_one_sample_is_its_mean_and_of_none_an_error():
    loudness = loudness_of(torch.full((1, 2, 1), 0.25))
    assert (loudness.mean.item(), loudness.std.item()) == (0.25, 0.0)
    with pytest.raises(ShapeError, match="at least one sample"):
        LoudnessMeter().result()


def close(found, wanted) -> None:
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1.3e-6, atol=1e-5)


def held_at_most(monkeypatch, model, segments: int, chosen, block=64) -> tuple[int, int]:
    """The most samples that reader and sum held, over a song of so many segments."""
    most = {"read": 0, "summed": 0}

    class Reader(SongReader):
        def read(self, start, stop):
            stretch = super().read(start, stop)
            most["read"] = max(most["read"], self.held_samples)
            return stretch

    class Sum(RunningSum):
        def add(self, start, *values):
            super().add(start, *values)
            most["summed"] = max(most["summed"], self.held_samples)

    monkeypatch.setattr(engine, "SongReader", Reader)
    monkeypatch.setattr(engine, "RunningSum", Sum)
    samples = segments * model.spec.segment_samples
    song = noise(1, 2, block).numpy()
    blocks = (samples + block - 1) // block

    def endless():
        for number in range(blocks):
            yield song[..., : min(block, samples - number * block)]

    loudness = Loudness(np.zeros(1, np.float32), np.ones(1, np.float32))
    done = sum(
        piece.shape[-1]
        for piece in separate_blocks(model, endless, loudness, chosen, samples=samples)
    )
    assert done == samples
    return most["read"], most["summed"]


def test_what_is_held_does_not_grow_with_the_song(monkeypatch):
    model = Identity(spec_of(segment=100), wider=30)
    chosen = SeparationSettings(shifts=3, overlap=0.25)
    model.seen = _Forgetful()
    short = held_at_most(monkeypatch, model, 10, chosen)
    long = held_at_most(monkeypatch, model, 100, chosen)
    assert short == long
    read, summed = long
    assert read <= 100 + 30 + 2 * 64  # a segment with its neighbours, and the blocks they lie in
    assert summed <= 2 * 100


class _Forgetful(list):
    def append(self, item):
        pass


def test_a_bags_sum_waits_in_a_file_without_a_name(tmp_path):
    bag, song = Bag([Positional(), Positional(gain=3.0)]), noise(1, 2, 90)
    blocks = stream(bag, song, 20, scratch_dir=tmp_path)
    next(blocks)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        list(stream(bag, song, 20, scratch_dir=tmp_path / "missing"))
    list(stream(Positional(), song, 20, scratch_dir=tmp_path / "missing"))  # one model needs none


def test_a_bag_fetches_one_model_at_a_time():
    alive, most = [], []

    class Shelf(list):
        """Fetched models are seen here for as long as anyone holds them."""

        def __getitem__(self, index):
            model = Tracked(spec_of())
            alive.append(index)
            return model

    class Tracked(Identity):
        def separate(self, mixture):
            most.append(len(alive))
            return super().separate(mixture)

        def __del__(self):
            alive.pop()

    bag = Bag(Shelf([None] * 3), spec=spec_of())
    assert alive == []
    song = noise(1, 2, 60)
    list(stream(bag, song, 20))
    apply_model(bag, song)
    assert set(most) == {1} and alive == []


@pytest.mark.parametrize("members", [1, 3])
def test_it_tells_once_when_the_model_is_free_and_the_last_block_comes_after(members):
    happened: list[str] = []

    class Noted(Identity):
        def separate(self, mixture):
            happened.append("pass")
            return super().separate(mixture)

    bag = Bag([Noted(spec_of()) for _ in range(members)])
    free = lambda: happened.append("free")  # noqa: E731
    for _ in stream(bag, noise(1, 2, 60), 20, watch=Watch(on_free=free)):
        happened.append("block")
    assert happened.count("free") == 1
    assert "pass" not in happened[happened.index("free") :]
    assert happened[-1] == "block"


def test_wrong_settings_are_refused_at_the_call():
    with pytest.raises(SettingsError):
        stream(Identity(), noise(1, 2, 50), 10, SeparationSettings(segment_s=0.01))
    with pytest.raises(ShapeError, match="at least one sample"):
        separate_blocks(Identity(), list, None, samples=0)


@pytest.mark.parametrize(
    ("announced", "said"), [(51, "ends after 50"), (49, "has 50 samples or more")]
)
def test_a_song_of_another_length_than_announced_is_an_error(announced, said):
    song = noise(1, 2, 50)
    with pytest.raises(ShapeError, match=said):
        list(separate_blocks(Identity(), lambda: cut(song, 10), None, samples=announced))


def test_a_song_that_goes_on_is_an_error():
    song = noise(1, 2, 50)
    with pytest.raises(ShapeError, match="continues after the 40 samples announced"):
        list(separate_blocks(Identity(), lambda: cut(song, 10), None, samples=40))


def test_blocks_of_the_wrong_shape_are_an_error():
    song, loudness = noise(2, 2, 50), loudness_of(noise(1, 2, 50))
    with pytest.raises(ShapeError, match=r"\(1, 2 channels, samples\), got float32"):
        list(stream(Identity(), song, 10, loudness=loudness))
    with pytest.raises(ShapeError, match="keeps its batch of 2"):
        mixed = [song[..., :10].numpy(), song[:1, ..., 10:20].numpy()]
        list(separate_blocks(Identity(), lambda: mixed, None, samples=20))
