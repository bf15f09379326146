"""What bench measures, chooses and keeps, and what a Separator makes of it."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import torch

import unbraid
from small_songs import LowHigh, noise
from unbraid.costs import model_cost, tuning
from unbraid.costs.model_cost import ModelCost
from unbraid.costs.tuning import Choice, Trial, choose, load_choice, measure, save_choice
from unbraid.engines.prepare import ReadyModel
from unbraid.engines.ready import as_model
from unbraid.errors import SettingsError


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path))


def ready(device: str = "cpu") -> ReadyModel:
    return ReadyModel(as_model(LongSegments()), "lowhigh", device, "auto")


class LongSegments(LowHigh):
    spec = replace(LowHigh.spec, segment_samples=4 * 44100)


class Slow(LongSegments):
    def __call__(self, mixture):
        time.sleep(0.05)
        return super().__call__(mixture)


def trial(threads, seconds, segment_s=1.0, batch=1):
    return Trial(Choice("cpu", threads, batch), segment_s, seconds, 1e6)


def test_threads_segments_and_batches_are_tried_and_threads_are_left_as_they_were(monkeypatch):
    monkeypatch.setattr(tuning, "_cores", lambda: 3)
    torch.set_num_threads(2)
    trials = measure(ready, ["cpu"], budget_s=20)
    assert torch.get_num_threads() == 2
    assert [t.choice.threads for t in trials if t.segment_s == 1.0][:3] == [1, 2, 3]
    assert {t.segment_s for t in trials} == {1.0, 2.0, 4.0}
    assert {t.choice.batch_size for t in trials} == {1, 2, 4}
    assert all(t.seconds_per_s > 0 and t.memory_bytes > 0 for t in trials)


def test_threads_are_always_tried_and_all_else_within_the_time(monkeypatch):
    monkeypatch.setattr(tuning, "_cores", lambda: 4)
    monkeypatch.setattr(tuning, "_PATIENCE_S", 0.0)
    slow = replace(ready(), model=as_model(Slow()))
    trials = measure(lambda device: slow, ["cpu"], budget_s=0.001)
    assert [t.choice for t in trials] == [Choice("cpu", threads) for threads in (1, 2, 4)]


def test_segments_as_a_song_has_them_are_worth_a_wait(monkeypatch):
    monkeypatch.setattr(tuning, "_cores", lambda: 1)
    slow = replace(ready(), model=as_model(Slow()))
    trials = measure(lambda device: slow, ["cpu"], budget_s=0.001)
    assert [t.segment_s for t in trials] == [1.0, 2.0, 4.0]
    assert trials[2].seconds_per_s < trials[0].seconds_per_s / 2  # a pass sleeps, however long


def test_what_takes_too_much_memory_is_left_out(monkeypatch):
    # What else the process holds changes from call to call; here it is always the same.
    monkeypatch.setattr(model_cost, "memory_now", lambda _device: 0)
    monkeypatch.setattr(tuning, "measure_cost", lambda _ready, timed: ModelCost(None, 1e6))
    trials = measure(ready, ["cpu"], budget_s=20)
    needs = [t.memory_bytes for t in trials]
    limit = int((min(needs) + max(needs)) / 2)
    fitting = measure(ready, ["cpu"], budget_s=20, max_bytes=limit)
    assert {t.choice for t in fitting} < {t.choice for t in trials}
    assert all(t.memory_bytes <= limit for t in fitting)


@pytest.mark.parametrize(
    "trials, chosen",
    [
        ([trial(1, 0.2), trial(2, 0.1)], Choice("cpu", 2)),
        ([trial(1, 0.1), trial(2, 0.3), trial(1, 0.09, 4)], Choice("cpu", 1)),
        # A batch has to be a tenth faster than the same segment alone.
        ([trial(1, 0.1), trial(1, 0.10, 4), trial(1, 0.095, 4, 2)], Choice("cpu", 1)),
        ([trial(1, 0.1), trial(1, 0.10, 4), trial(1, 0.05, 4, 2)], Choice("cpu", 1, 2)),
    ],
)
def test_the_fastest_is_chosen(trials, chosen):
    assert choose(trials) == chosen


def test_a_choice_is_kept_for_its_model_and_hardware(monkeypatch):
    assert load_choice(lambda: pytest.fail("nothing was ever chosen")) is None
    path = save_choice(Choice("cpu", 3), "model")
    assert load_choice(lambda: "model") == Choice("cpu", 3)
    assert load_choice(lambda: "other model") is None
    for broken in ("{", '{"device": "cpu", "threads": "many"}', "[]", '{"threads": 0}'):
        path.write_text(broken)
        assert load_choice(lambda: "model") is None
    save_choice(Choice("cpu", 3), "model")
    monkeypatch.setattr(tuning, "hardware", lambda: "another machine")
    assert load_choice(lambda: "model") is None


def test_a_separator_takes_the_choice_only_when_asked_and_its_stems_stay():
    model = LowHigh()
    plain = unbraid.Separator(model)
    save_choice(Choice("cpu", 3, 4), plain._fingerprint)
    assert unbraid.Separator(model, threads=1).settings.batch_size is None
    assert torch.get_num_threads() == 1
    tuned = unbraid.Separator(model, threads="auto")
    assert torch.get_num_threads() == 3
    assert tuned.settings.batch_size == 4
    signal = noise(3.0).astype("float32")
    for stem, part in plain.separate(signal, 44100).items():
        assert (tuned.separate(signal, 44100)[stem] == part).all()
    assert unbraid.Separator(model, threads="auto", max_memory="4GB").settings.batch_size == 1


def test_a_choice_of_another_device_moves_the_model_only_where_none_was_asked_for(monkeypatch):
    moved = []

    def prepare(model, device="auto", precision="auto", config=None):
        moved.append(device)
        return ReadyModel(
            as_model(model), "lowhigh", "cpu" if device == "auto" else device, precision
        )

    monkeypatch.setattr("unbraid.tracks.run_settings.prepare_model", prepare)
    save_choice(Choice("mps", 2, 2), ready().fingerprint())
    assert unbraid.Separator(LongSegments(), threads="auto").device == "mps"
    assert moved == ["auto", "mps"]
    asked = unbraid.Separator(LongSegments(), "cpu", threads="auto")
    assert (asked.device, asked.settings.batch_size) == ("cpu", None)


def test_threads_that_are_no_number_are_told(unchecked):
    with pytest.raises(SettingsError, match="threads"):
        unbraid.Separator(LowHigh(), threads="many")
