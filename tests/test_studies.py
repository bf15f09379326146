from __future__ import annotations

import importlib

import numpy as np
import pytest
import soundfile
from studies.mini.export import mean
from studies.mini.make_data import mixture_nsdr, save_item
from studies.mini.measure import ideal_mask, score, share_closed, table
from studies.quartet import as_tracks, measure
from studies.quartet.batches import Mixer, Pool

PROGRAMS = (
    *("mini.make_test", "mini.more_instruments", "ablations.compare_runs"),
    *("quartet.make_songs", "quartet.make_electronic", "quartet.real_stems"),
    *("quartet.more_instruments",),
    *("quartet.train", "quartet.average", "quartet.measure"),
    *("systems.table", "systems.excerpts"),
)


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_study_can_be_imported(name):
    assert importlib.import_module(f"studies.{name}").main


def _sources(seconds: float = 1.5) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.standard_normal((4, 2, int(44100 * seconds))).astype(np.float32) / 8


def test_the_ideal_masks_estimates_add_up_to_the_mixture():
    sources = _sources()
    estimates = ideal_mask(sources)
    assert np.abs(estimates.sum(0) - sources.sum(0)).max() < 1e-5


def test_a_better_estimate_scores_higher_and_silence_scores_nothing():
    sources = _sources(2.5)
    close, far = (score(sources, sources * (1 - error)) for error in (0.1, 0.5))
    assert all(a[0] > b[0] for a, b in zip(close, far, strict=True))
    sources[2] = 0
    assert score(sources, sources)[2] == (None, None)


def test_the_table_says_how_much_of_the_way_to_the_ideal_mask_a_model_goes():
    def all_stems(value: float) -> dict:
        return dict.fromkeys(("drums", "bass", "other", "vocals"), (value, value))

    tracks = {
        "song": {
            "the mixture": all_stems(-4.0),
            "silence": all_stems(0.0),
            "ideal ratio mask": all_stems(10.0),
            "mini": all_stems(2.5),
        }
    }
    assert share_closed(tracks, "mini") == [0.25] * 4
    text = table(tracks, ["mini"])
    assert "| the mixture | −4.00 |" in text
    assert "drums 25%" in text


def test_ten_lines_of_signal_processing_share_out_the_mixture():
    mixture = _sources(1.0)[0].T
    parts = measure.ten_lines(mixture)
    assert np.abs(sum(parts.values()) - mixture).max() < 1e-5


def test_songs_are_measured_by_the_stems_that_they_have(tmp_path):
    sources = _sources(1.0)
    (tmp_path / "song").mkdir()
    for stem, audio in zip(("drums", "bass", "other"), sources, strict=False):
        soundfile.write(tmp_path / "song" / f"{stem}.wav", audio.T, 44100, "FLOAT")
    stems = measure.read_song(tmp_path / "song")
    mixture = sum(stems.values(), start=np.zeros((1, 1)))
    rows = measure.make_rows([], None)
    table = {
        name: {"song": measure.score(stems, row(stems, mixture))} for name, row in rows.items()
    }
    assert set(table["silence"]["song"]) == {"drums", "bass", "other"}
    assert all(abs(value) < 1e-9 for value in table["silence"]["song"].values())
    assert min(table["ideal ratio mask"]["song"].values()) > 1
    assert measure.lines(table)[2] == "| **silence** | 0.00 | 0.00 | 0.00 |  |"


def test_a_batch_holds_sums_over_bands_that_add_up(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "song.npy", rng.integers(-9999, 9999, (3, 60_000, 2)).astype(np.int16))
    edges = (0, 40, 300, 2049)
    mixer = Mixer(Pool([tmp_path], [1.0]), edges, 8, 0, absent=0.0)
    for _ in range(2):  # new excerpts, and swapped ones
        batch = mixer.batch(2)
        assert batch["own"].shape == (2, 2, 3, 8)
        assert batch["source"].shape == (2, 3, 2, 3, 8)
        assert np.allclose(batch["cross"].sum(1), batch["own"], rtol=1e-3)


def test_a_track_has_what_is_left_of_a_voice_in_other_and_no_file_for_silence(tmp_path):
    song = np.random.default_rng(0).integers(-32_768, 32_767, (4, 5000, 2)).astype(np.int16)
    song[1] = 0
    as_tracks.write_track(tmp_path / "song", as_tracks.three_stems(song))
    assert sorted(p.name for p in (tmp_path / "song").iterdir()) == ["drums.wav", "other.wav"]
    other, _ = soundfile.read(tmp_path / "song" / "other.wav")
    assert np.allclose(other, (song[2] / 2 + song[3] / 2) / 32_768, atol=1 / 32_768)


def test_equalizers_change_the_balance_of_stems_and_not_their_levels():
    song = np.random.default_rng(0).integers(-3000, 3000, (3, 20_000, 2)).astype(np.int16)
    made = [as_tracks.equalized(song, np.random.default_rng(seed)) for seed in range(6)]
    assert any(np.array_equal(song, one) for one in made)
    changed = next(one for one in made if not np.array_equal(song, one))
    level = np.square(changed.astype(float)).mean((1, 2)) / np.square(song.astype(float)).mean(
        (1, 2)
    )
    assert np.allclose(level, 1, atol=0.05)


def test_an_item_holds_whole_numbers_and_no_file_for_a_silent_stem(tmp_path):
    stems = {"drums": _sources()[0].T, "bass": np.zeros((66150, 2), np.float32)}
    meta = save_item(tmp_path / "item", stems, {"title": "noise"})
    assert meta["silent"] == ["bass", "other", "vocals"]
    drums = np.load(tmp_path / "item" / "drums.npy")
    assert drums.dtype == np.int16
    assert np.abs(drums / 32767 - stems["drums"]).max() <= 0.5 / 32767 + 1e-7
    assert mixture_nsdr({"drums": stems["drums"]})["drums"] > 60


def test_the_mean_of_one_checkpoint_is_that_checkpoint():
    import torch

    class Model(torch.nn.Linear):
        pass

    one, other = Model(2, 2), Model(2, 2)
    want = (one.weight + other.weight).detach() / 2
    assert torch.equal(mean([one]).weight, one.weight)
    assert torch.allclose(mean([one, other]).weight, want)
