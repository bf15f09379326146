"""Folders in, files of scores out: the rules of pairing, silence, resuming."""

from __future__ import annotations

import csv
import json
import math
import shutil

import numpy as np
import pytest

from evaluation.folders import RATE, make_tracks, sound, write
from unbraid.audio.resample import resample
from unbraid.errors import EvaluationError, SettingsError
from unbraid.evaluation import evaluate as evaluate_module
from unbraid.evaluation.bss_eval import bss_eval_v4
from unbraid.evaluation.evaluate import EvaluationSettings, evaluate_folders
from unbraid.evaluation.metrics import nsdr
from unbraid.evaluation.page_data import looks_like_evaluation
from unbraid.evaluation.score_track import score_track
from unbraid.evaluation.scores import load_track
from unbraid.evaluation.summary import load_summary, save_summary, summarize

FAST = EvaluationSettings(metrics=("nsdr",))


def run(folders, out, settings=FAST, **more):
    return evaluate_folders(*folders, out, settings, workers=1, **more)


def stems_of(folder):
    import soundfile

    return np.stack([soundfile.read(p, always_2d=True)[0].T for p in sorted(folder.glob("*.wav"))])


def test_scores_of_files_are_those_of_their_signals(tmp_path):
    references, estimates = make_tracks(tmp_path, ("A",))
    (track,) = run((references, estimates), tmp_path / "out", EvaluationSettings()).tracks
    truth, guess = stems_of(references / "A"), stems_of(estimates / "A")
    whole = nsdr(truth, guess)
    frames = bss_eval_v4(np.moveaxis(truth, 1, 2), np.moveaxis(guess, 1, 2), RATE, RATE)
    for row, (stem, values) in enumerate(track.stems.items()):
        assert stem == ("bass", "drums")[row]
        assert values.nsdr == pytest.approx(whole[row], abs=1e-6)
        assert values.value("cSIR") == pytest.approx(np.median(frames["SIR"][row]), abs=1e-6)
        for metric, scores in frames.items():
            np.testing.assert_allclose(values.frames[metric], scores[row], atol=1e-6)


def test_a_track_file_is_in_museval_form_and_reads_back(tmp_path):
    folders = make_tracks(tmp_path, ("A",))
    (track,) = run(folders, tmp_path / "out").tracks
    path = tmp_path / "out" / "test" / "A.json"
    content = json.loads(path.read_text())
    (first, second) = content["targets"]
    assert [first["name"], second["name"]] == ["bass", "drums"]
    assert first["frames"][1]["time"] == 1.0
    assert first["frames"][1]["duration"] == 1.0
    assert first["frames"][1]["metrics"]["SDR"] == pytest.approx(
        track.stems["bass"].frames["SDR"][1]
    )
    again = load_track(path)
    assert again.stems["bass"].nsdr == pytest.approx(track.stems["bass"].nsdr, abs=1e-6)
    assert again.inputs == track.inputs


def test_estimates_pair_by_name_whatever_the_format(tmp_path):
    references, estimates = make_tracks(tmp_path, ("A",))
    before = run((references, estimates), tmp_path / "out").tracks[0]
    guess = stems_of(estimates / "A")[0]
    (estimates / "A" / "bass.wav").unlink()
    write(estimates / "A" / "bass.flac", guess, subtype="PCM_24")
    after = run((references, estimates), tmp_path / "out").tracks[0]
    assert after.stems["bass"].nsdr == pytest.approx(before.stems["bass"].nsdr, abs=1e-3)


def test_the_spelling_of_stems_and_of_the_mixture_changes_no_score(tmp_path):
    references, estimates = make_tracks(tmp_path, ("A",))
    before = run((references, estimates), tmp_path / "out").tracks[0]
    (references / "A" / "bass.wav").rename(references / "A" / "BASS.wav")
    (estimates / "A" / "drums.wav").rename(estimates / "A" / "Drums.wav")
    write(references / "A" / "Mix.wav", sound(9))
    after = run((references, estimates), tmp_path / "again").tracks[0]
    assert {name: stem.nsdr for name, stem in after.stems.items()} == {
        name: stem.nsdr for name, stem in before.stems.items()
    }


def test_what_is_missing_fails_its_track_and_what_is_extra_is_noted(tmp_path):
    references, estimates = make_tracks(tmp_path, ("A", "B", "C"))
    (estimates / "A" / "drums.wav").unlink()
    shutil.rmtree(estimates / "B")
    write(estimates / "C" / "residual.wav", sound(1))
    write(estimates / "D" / "bass.wav", sound(1))
    done = run((references, estimates), tmp_path / "out")
    assert [track.name for track in done.tracks] == ["C"]
    assert "no estimate of drums" in done.failed["A"]
    assert "no folder of estimates" in done.failed["B"]
    assert "no reference for the estimate of residual" in done.tracks[0].notes[0]
    assert done.notes == ["estimates of 'D' have no references; left out"]
    only_bass = EvaluationSettings(metrics=("nsdr",), stems=("bass",))
    assert list(run((references, estimates), tmp_path / "o2", only_bass).tracks[0].stems) == [
        "bass"
    ]


def test_references_set_length_rate_and_channels(tmp_path):
    references, estimates = make_tracks(tmp_path, ("A",))
    truth = sound(1, channels=2)
    write(references / "A" / "bass.wav", truth)
    write(references / "A" / "drums.wav", truth)
    short = truth[:, :-1000]
    write(estimates / "A" / "bass.wav", short, subtype="FLOAT")
    faster = resample(truth[:1].astype(np.float32), RATE, 2 * RATE)
    faster = np.concatenate([faster, np.ones((1, 400), np.float32)], axis=1)
    write(estimates / "A" / "drums.wav", faster, 2 * RATE, subtype="FLOAT")
    (track,) = run((references, estimates), tmp_path / "out").tracks
    padded = np.pad(short, ((0, 0), (0, 1000)))
    assert track.stems["bass"].nsdr == pytest.approx(nsdr(truth[None], padded[None])[0], abs=1e-4)
    told = " ".join(track.notes)
    assert "bass is 1000 samples shorter than its reference; followed by zeros" in told
    assert "drums was resampled from 16000 Hz" in told
    assert "mono estimate of drums was put on all 2 channels" in told
    assert "drums is 200 samples longer than its reference; cut" in told


def test_channels_that_do_not_fit_fail_the_track(tmp_path):
    references, estimates = make_tracks(tmp_path, ("A",))
    write(estimates / "A" / "bass.wav", sound(1, channels=2))
    assert "bass has 2 channels" in run((references, estimates), tmp_path / "out").failed["A"]


def test_a_silent_reference_is_shown_but_stays_out_of_the_figures(tmp_path):
    references, estimates = make_tracks(tmp_path, ("A", "B"), ("bass", "drums", "vocals"))
    write(references / "A" / "vocals.wav", 0 * sound(1))
    done = run((references, estimates), tmp_path / "out", EvaluationSettings())
    silent = done.tracks[0].stems["vocals"]
    assert silent.silent_reference
    assert math.isfinite(silent.nsdr)
    assert np.isnan(silent.frames["SDR"]).all()
    assert np.isfinite(done.tracks[0].stems["bass"].frames["SIR"]).all()
    assert "reference of vocals is silent throughout" in " ".join(done.tracks[0].notes)
    summary = summarize(done, system="x", leaked=None, provenance={})
    assert summary.figures["uSDR"]["vocals"].tracks == 1
    assert summary.figures["uSDR"]["vocals"].value == done.tracks[1].stems["vocals"].nsdr


def test_the_others_are_scored_as_if_a_silent_source_did_not_exist(tmp_path):
    references, estimates = make_tracks(tmp_path, ("A",), ("bass", "drums", "vocals"))
    write(references / "A" / "vocals.wav", 0 * sound(1))
    with_it = run((references, estimates), tmp_path / "out", EvaluationSettings()).tracks[0]
    (references / "A" / "vocals.wav").unlink()
    without = run((references, estimates), tmp_path / "o2", EvaluationSettings()).tracks[0]
    for stem in without.stems:
        for metric, values in without.stems[stem].frames.items():
            np.testing.assert_array_equal(values, with_it.stems[stem].frames[metric])


def test_a_silent_estimate_has_no_frame_scores_and_spares_the_others(tmp_path):
    references, estimates = make_tracks(tmp_path, ("A",))
    write(estimates / "A" / "drums.wav", 0 * sound(1))
    (track,) = run((references, estimates), tmp_path / "out", EvaluationSettings()).tracks
    assert track.stems["drums"].nsdr == pytest.approx(0, abs=1e-5)
    assert np.isnan(track.stems["drums"].frames["SDR"]).all()
    assert np.isfinite(track.stems["bass"].frames["SAR"]).all()


def test_a_finished_track_is_not_scored_again_unless_something_changed(tmp_path, monkeypatch):
    references, estimates = make_tracks(tmp_path)
    scored = []

    def watched(pair, **settings):
        scored.append(pair.name)
        return score_track(pair, **settings)

    monkeypatch.setattr(evaluate_module, "score_track", watched)
    folders, out = (references, estimates), tmp_path / "out"
    run(folders, out)
    assert run(folders, out).kept == ["A", "B"]
    assert scored == ["A", "B"]
    write(estimates / "B" / "bass.wav", sound(77))
    assert run(folders, out).kept == ["A"]
    (out / "test" / "A.json").write_text("{")
    with pytest.raises(SettingsError, match="not written by unbraid evaluate"):
        run(folders, out)
    (out / "test" / "A.json").unlink()
    assert run(folders, out).kept == ["B"]
    leaked = EvaluationSettings(metrics=("nsdr",), leaked="seen")
    assert run(folders, out, leaked).kept == []


def test_files_of_others_are_never_replaced(tmp_path):
    folders = make_tracks(tmp_path, ("A",))
    path = tmp_path / "out" / "test" / "A.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"targets": []}')
    with pytest.raises(SettingsError, match="choose another --out"):
        run(folders, tmp_path / "out")
    assert path.read_text() == '{"targets": []}'


@pytest.mark.slow
def test_processes_give_what_one_gives(tmp_path):
    folders = make_tracks(tmp_path)
    alone = run(folders, tmp_path / "alone", EvaluationSettings())
    many = evaluate_folders(*folders, tmp_path / "many", EvaluationSettings(), workers=2)
    assert [t.name for t in alone.tracks] == [t.name for t in many.tracks]
    for one, other in zip(alone.tracks, many.tracks, strict=True):
        for stem in one.stems:
            for metric, values in one.stems[stem].frames.items():
                np.testing.assert_allclose(values, other.stems[stem].frames[metric], atol=1e-6)


def test_a_leak_is_told_in_every_output(tmp_path):
    folders = make_tracks(tmp_path, ("A",))
    settings = EvaluationSettings(metrics=("nsdr",), leaked="trained on the test set")
    done = run(folders, tmp_path / "out", settings)
    summary = summarize(done, system="x", leaked=settings.leaked, provenance={})
    save_summary(tmp_path / "out", summary)
    for name in ("summary.json", "scores.csv", "test/A.json"):
        assert "trained on the test set" in (tmp_path / "out" / name).read_text()


def test_a_summary_reads_back_and_its_figures_are_those_of_the_csv(tmp_path):
    folders = make_tracks(tmp_path)
    done = run(folders, tmp_path / "out")
    save_summary(tmp_path / "out", summarize(done, system="x", leaked=None, provenance={}))
    again = load_summary(tmp_path / "out")
    assert [track.name for track in again.tracks] == ["A", "B"]
    rows = list(csv.DictReader((tmp_path / "out" / "scores.csv").read_text().splitlines()))
    bass = [float(row["nSDR"]) for row in rows if row["stem"] == "bass"]
    assert again.figures["uSDR"]["bass"].value == pytest.approx(np.mean(bass), abs=1e-6)
    text = (tmp_path / "out" / "summary.json").read_text()
    assert "NaN" not in text
    assert '"SDR"' not in text


def test_nothing_to_compare_is_a_wrong_request(tmp_path):
    references, estimates = make_tracks(tmp_path, ("A",))
    with pytest.raises(SettingsError, match="does not exist"):
        run((references, tmp_path / "none"), tmp_path / "out")
    write(references / "B" / "bass.wav", sound(1))
    (estimates / "A").rename(estimates / "C")
    with pytest.raises(SettingsError, match="no track has a folder of the same name"):
        run((references, estimates), tmp_path / "out")
    with pytest.raises(SettingsError, match="metrics are nsdr and bsseval4"):
        EvaluationSettings(metrics=("sdr",))


def test_a_file_that_is_no_scores_is_an_error(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"a": 1}')
    with pytest.raises(EvaluationError, match=r"not a file of scores.*it has no 'targets'$"):
        load_track(path)
    path.write_text("[1]")
    with pytest.raises(EvaluationError, match=r"not a file of scores.*it is made otherwise"):
        load_track(path)
    with pytest.raises(EvaluationError, match="holds no evaluation"):
        load_summary(tmp_path / "none")


def test_a_folder_of_stems_is_no_evaluation_whatever_lies_hidden_in_it(tmp_path):
    record = tmp_path / ".unbraid" / "records" / "x.json"
    record.parent.mkdir(parents=True)
    record.write_text('{"version": 1}')
    with pytest.raises(EvaluationError, match="holds no evaluation; make one with"):
        load_summary(tmp_path)
    record.write_text('{"targets": []}')
    assert not looks_like_evaluation(tmp_path)
    (tmp_path / "song.json").write_text('{"targets": []}')
    assert looks_like_evaluation(tmp_path)
