"""What a song will cost."""

from __future__ import annotations

import pytest
import torch

from small_songs import LowHigh
from unbraid.errors import SettingsError
from unbraid.separation.settings import SeparationSettings
from unbraid.tracks import estimate
from unbraid.tracks.estimate import (
    ModelCost,
    fit_batch,
    fit_segment,
    measure_cost,
    memory_bytes,
    parse_bytes,
    separation_seconds,
)
from unbraid.tracks.model import prepare_model


def test_memory_of_a_pass_is_counted_and_the_same_each_time():
    class Hungry(LowHigh):
        def __call__(self, mixture):
            held = [torch.zeros(1_000_000) for _ in range(5)]
            return super().__call__(mixture) + held[0][0]

    ready = prepare_model(Hungry(), "cpu")
    first, second = (measure_cost(ready, timed=False) for _ in range(2))
    assert first == second
    seconds = LowHigh().valid_samples(22050) / 44100
    assert first.bytes_per_s * seconds == pytest.approx(20e6, rel=0.2)


def test_time_follows_length_shifts_overlap_and_channels():
    ready = prepare_model(LowHigh(), "cpu")
    cost = measure_cost(ready)
    plain = separation_seconds(cost, ready, SeparationSettings(), 60, 1)
    assert plain > 0
    for settings, groups, times in (
        (SeparationSettings(shifts=2), 1, 2.0),
        (SeparationSettings(overlap=0.625), 1, 2.0),
        (SeparationSettings(), 4, 4.0),
    ):
        longer = separation_seconds(cost, ready, settings, 60, groups)
        assert longer == pytest.approx(times * plain, rel=0.05)


def test_segments_are_shortened_until_they_fit_and_no_further():
    class Hungry(LowHigh):
        def __call__(self, mixture):
            held = mixture.repeat(600, 1, 1)
            return super().__call__(mixture) + held[0, 0, 0] * 0

    ready = prepare_model(Hungry(), "cpu")
    settings = SeparationSettings(segment_s=40)
    cost = measure_cost(ready, timed=False)
    limit = int(memory_bytes(cost, ready, SeparationSettings(segment_s=10)) * 1.01)
    fitted = fit_segment(ready, settings, limit)
    assert 8 <= fitted.segment_s <= 12
    with pytest.raises(SettingsError, match="too little"):
        fit_segment(ready, settings, 1000)


@pytest.mark.parametrize(
    ("text", "size"),
    [("2GB", 2_000_000_000), ("1.5 GiB", 3 << 29), ("800m", 800_000_000), ("123456", 123456)],
)
def test_sizes_are_read(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "2XB", "0", "1iB", "nan", "1e9"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(SettingsError):
        parse_bytes(text)


@pytest.mark.parametrize(
    "free, batch", [(10**12, 16), (24_000_000, 4), (12_000_000, 2), (10**6, 1)]
)
def test_a_batch_is_as_large_as_free_memory_allows(free, batch, monkeypatch):
    monkeypatch.setattr(estimate, "_WORKSPACE", 0)
    monkeypatch.setattr(estimate, "memory_now", lambda device: 3e8)  # is not asked for again
    ready = prepare_model(LowHigh(), "cpu")
    monkeypatch.setattr(estimate, "measure_cost", lambda ready, timed: ModelCost(None, 5e6))
    assert fit_batch(ready, SeparationSettings(), free).batch_size == batch


def test_a_batch_is_no_longer_than_a_card_needs(monkeypatch):
    ready = prepare_model(LowHigh(), "cpu")
    monkeypatch.setattr(estimate, "measure_cost", lambda ready, timed: ModelCost(None, 5e6))
    assert fit_batch(ready, SeparationSettings(segment_s=44.0), 10**13).batch_size == 8
