"""What a song will cost."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import torch

from small_songs import LowHigh
from unbraid.audio.formats import AudioFormat
from unbraid.costs import fit, model_cost
from unbraid.costs.file_cost import file_seconds
from unbraid.costs.fit import fit_batch, fit_segment
from unbraid.costs.model_cost import ModelCost, measure_cost, memory_bytes, separation_seconds
from unbraid.costs.sizes import parse_bytes
from unbraid.engines.prepare import prepare_model
from unbraid.errors import SettingsError
from unbraid.separation.settings import SeparationSettings


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
    monkeypatch.setattr(model_cost, "_WORKSPACE", 0)
    for module in (fit, model_cost):
        monkeypatch.setattr(module, "memory_now", lambda device: 3e8)  # is not asked for again
    ready = prepare_model(LowHigh(), "cpu")
    monkeypatch.setattr(fit, "measure_cost", lambda ready, timed: ModelCost(None, 5e6))
    assert fit_batch(ready, SeparationSettings(), free).batch_size == batch


def test_a_batch_is_no_longer_than_a_card_needs(monkeypatch):
    ready = prepare_model(LowHigh(), "cpu")
    monkeypatch.setattr(fit, "measure_cost", lambda ready, timed: ModelCost(None, 5e6))
    assert fit_batch(ready, SeparationSettings(segment_s=44.0), 10**13).batch_size == 8


def test_what_only_the_first_pass_takes_is_not_counted():
    class LateStarter(LowHigh):
        started = False

        def __call__(self, mixture):
            if not self.started:
                self.started = True
                time.sleep(1.0)
            return super().__call__(mixture)

    cost = measure_cost(prepare_model(LateStarter(), "cpu"))
    assert 0 < cost.seconds_per_s < 1.0


def test_passes_are_timed_in_segments_as_long_as_those_of_the_song(monkeypatch):
    lengths = []

    def timed(model, noise):
        lengths.append(noise.shape[-1] / 44100)
        return 0.1

    monkeypatch.setattr(model_cost, "pass_seconds", timed)

    class Long(LowHigh):
        spec = replace(LowHigh.spec, segment_samples=10 * 44100)

    measure_cost(prepare_model(Long(), "cpu"))
    measure_cost(prepare_model(Long(), "cpu"), segment_s=3.0)
    assert lengths == pytest.approx([1, 1, 10, 1, 1, 3], rel=0.01)


@pytest.mark.parametrize("name", ["wav", "flac", "mp3"])
def test_files_take_more_time_the_more_there_are(name):
    chosen = AudioFormat(name, "16" if name != "mp3" else None)
    one, many = (file_seconds(chosen, 44100, 2, n, lossy_check=True) for n in (1, 64))
    assert 0 < one < many
