"""The command `evaluate`, in this process."""

from __future__ import annotations

import json

import numpy as np
import pytest

from evaluation.folders import make_tracks, sound, write
from small_songs import SAMPLE_RATE
from unbraid.evaluation.baselines import BASELINES


def words_of_folders(folders, out, *more):
    references, estimates = folders
    named = ("--references", references, "--estimates", estimates, "--out", out, "--workers", 1)
    return ("evaluate", *named, "--metrics", "nsdr", *more)


def test_folders_become_scores_and_a_table(unbraid_main, tmp_path):
    folders, out = make_tracks(tmp_path), tmp_path / "out"
    code, text, err = unbraid_main(*words_of_folders(folders, out))
    assert code == 0
    assert sorted(p.name for p in out.rglob("*.*")) == [
        *("A.json", "B.json", "scores.csv", "summary.json"),
    ]
    usdr = json.loads((out / "summary.json").read_text())["figures"]["uSDR"]
    assert f"{usdr['all']['value']:.2f}" in text
    assert "uSDR" in text.splitlines()[1]
    assert " SDR" not in text.splitlines()[1]
    assert "A: nSDR bass" in err


def test_json_on_stdout_is_the_summary(unbraid_main, tmp_path):
    folders, out = make_tracks(tmp_path, ("A",)), tmp_path / "out"
    code, text, err = unbraid_main(*words_of_folders(folders, out, "--json", "--quiet"))
    assert (code, err) == (0, "")
    assert json.loads(text) == json.loads((out / "summary.json").read_text())


def test_a_track_that_fails_is_one_line_and_the_others_are_scored(unbraid_main, tmp_path):
    references, estimates = make_tracks(tmp_path)
    (estimates / "B" / "bass.wav").write_text("no sound")
    out = tmp_path / "out"
    code, _, err = unbraid_main(*words_of_folders((references, estimates), out, "--quiet"))
    assert code == 1
    assert len(err.splitlines()) == 1
    assert err.startswith("unbraid: B: ")
    summary = json.loads((out / "summary.json").read_text())
    assert (list(summary["per_track"]), list(summary["failed"])) == (["A"], ["B"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out", "x"], "give --references DIR and --estimates DIR"),
        (["--model", "mini", "--out", "x"], "--model needs a dataset"),
        (["--model", "mini", "--references", "y", "--out", "x"], "--model goes with --data"),
        (["--references", "y", "--estimates", "y", "--out", "x"], "does not exist"),
        (["--references", "y", "--estimates", "y", "--out", "x", "--seed", "1"], "with --model"),
        (["--references", "y", "--estimates", "y"], "required"),
    ],
)
def test_a_wrong_request_is_one_line_and_code_2(unbraid_main, arguments, said):
    code, out, err = unbraid_main("evaluate", *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1


def test_two_evaluations_are_compared_on_what_they_share(unbraid_main, tmp_path):
    folders = make_tracks(tmp_path, ("A", "B", "C"))
    unbraid_main(
        *words_of_folders(folders, tmp_path / "old", "--name", "old", "--leaked", "seen the test")
    )
    for track in ("A", "B"):
        for stem in ("bass", "drums"):
            better = sound(10 * "AB".index(track) + ("bass", "drums").index(stem))
            write(folders[1] / track / f"{stem}.wav", better)
    out = tmp_path / "new"
    code, text, _ = unbraid_main(*words_of_folders(folders, out, "--compare", tmp_path / "old"))
    assert code == 0
    assert "minus old, on what both have (3 tracks)" in text
    assert "LEAKED: old: seen the test" in text
    found = json.loads((out / "summary.json").read_text())["comparison"]
    drums = found["differences"]["uSDR"]["drums"]
    assert (drums["wins"], drums["losses"], drums["tracks"]) == (2, 0, 3)


def test_a_model_is_scored_on_a_dataset_and_leaves_nothing_else(unbraid_main, tmp_path):
    data, out = tmp_path / "data", tmp_path / "out"
    for stem, seed in (("low", 1), ("high", 2)):
        write(data / "test" / "song" / f"{stem}.wav", sound(seed, 1.2, 2, SAMPLE_RATE), SAMPLE_RATE)
    words = ("evaluate", "--model", "mini", "--data", data, "--out", out, "--workers", 1)
    words = (*words, "--metrics", "nsdr", "--keep-estimates", tmp_path / "kept")
    code, text, _ = unbraid_main(*words)
    assert code == 0
    assert "uSDR" in text
    assert sorted(p.name for p in out.iterdir()) == ["scores.csv", "summary.json", "test"]
    kept = sorted(p.name for p in (tmp_path / "kept" / "song").glob("*.wav"))
    assert kept == ["high.wav", "low.wav"]
    folders = data / "test", tmp_path / "kept"
    unbraid_main(*words_of_folders(folders, tmp_path / "o2"))
    one, two = (json.loads((o / "summary.json").read_text()) for o in (out, tmp_path / "o2"))
    assert one["figures"] == two["figures"]


def test_a_model_that_has_seen_the_test_set_is_flagged(unbraid_main, tmp_path, monkeypatch):
    from unbraid.cli import evaluate

    monkeypatch.setattr(evaluate, "known_leak", lambda model: "it was trained on the test set")
    data, out = tmp_path / "data", tmp_path / "out"
    for stem, seed in (("low", 1), ("high", 2)):
        write(data / "test" / "song" / f"{stem}.wav", sound(seed, 1.2, 2, SAMPLE_RATE), SAMPLE_RATE)
    words = ("--model", "mini", "--data", data, "--out", out, "--workers", 1, "--metrics", "nsdr")
    _, text, _ = unbraid_main("evaluate", *words)
    assert "LEAKED: it was trained on the test set" in text
    for name in ("summary.json", "scores.csv", "test/song.json"):
        assert "it was trained on the test set" in (out / name).read_text()


def test_the_catalog_knows_who_has_seen_the_test_set():
    from unbraid.cli.evaluate import known_leak
    from unbraid.zoo.open import list_models

    seen = {card.name for card in list_models() if card.musdb_test_seen}
    assert seen
    assert all(known_leak(name) is not None for name in seen)
    assert known_leak("mini") is None


def test_the_table_has_what_needs_no_model_and_says_where_it_is_better(unbraid_main, tmp_path):
    folders = make_tracks(tmp_path)
    for track in ("A", "B"):
        write(folders[1] / track / "drums.wav", sound(5))
    code, text, _ = unbraid_main(*words_of_folders(folders, tmp_path / "out"))
    assert code == 0
    rows = [line.split("  ")[0] for line in text.splitlines()]
    assert [row for row in rows if row in (*BASELINES, "estimates")] == [
        *("mixture", "signal processing", "estimates", "ideal ratio mask"),
    ]
    assert "\ndrums: no better than " in text
    assert "\nbass: no better" not in text
    code, text, _ = unbraid_main(*words_of_folders(folders, tmp_path / "none", "--no-baselines"))
    assert "signal processing" not in text
    assert json.loads((tmp_path / "none" / "summary.json").read_text())["baselines"] == {}


def test_scores_by_unstable_filters_are_called_so(unbraid_main, tmp_path):
    folders = make_tracks(tmp_path, ("A",))
    words = [word for word in words_of_folders(folders, tmp_path / "out") if word != "nsdr"]
    words[words.index("--metrics") : words.index("--metrics") + 1] = []
    _, text, err = unbraid_main(*words)
    assert "say nothing" not in text + err
    for number, stem in enumerate(("bass", "drums")):
        low = np.fft.rfft(sound(number, channels=1))
        low[:, low.shape[1] // 3 :] = 0  # nothing in the upper two thirds of the band
        signal = np.fft.irfft(low)
        write(folders[0] / "A" / f"{stem}.wav", signal, subtype="FLOAT")
        noisy = signal + 0.2 * sound(20 + number)[:, : signal.shape[1]]
        write(folders[1] / "A" / f"{stem}.wav", noisy, subtype="FLOAT")
    _, text, err = unbraid_main(*words)
    assert "note: A: ISR, SIR and SAR of bass, drums say nothing" in err
    assert "ISR, SIR and SAR say nothing on 1 of 1 track" in text
