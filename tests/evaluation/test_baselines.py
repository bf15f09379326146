"""What needs no model: its signals, and its place in scores, files and tables."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.folders import RATE, make_tracks, sound, write
from unbraid.evaluation.baseline_figures import unbeaten
from unbraid.evaluation.baselines import BASELINES, IDEAL, MIXTURE, PROCESSING, Baselines, stems_of
from unbraid.evaluation.evaluate import EvaluationSettings, evaluate_folders
from unbraid.evaluation.figures import Figure
from unbraid.evaluation.metrics import nsdr
from unbraid.evaluation.scores import load_track
from unbraid.evaluation.summary import load_summary, save_summary, summarize

FAST = EvaluationSettings(metrics=("nsdr",))
FOUR = ("drums", "bass", "other", "vocals")


def band_music(rate=RATE, seconds=6.0):
    """Clicks, a low tone, two tones left and right, and a tone in the middle that wavers."""
    t = np.arange(round(rate * seconds)) / rate
    clicks = np.zeros((2, len(t)))
    clicks[:, :: rate // 3] = 0.9
    bass = 0.2 * np.sin(2 * np.pi * 80 * t) * np.ones((2, 1))
    other = 0.1 * np.stack([np.sin(2 * np.pi * 900 * t), np.sin(2 * np.pi * 1350 * t)])
    vocals = 0.2 * np.sin(2 * np.pi * 500 * t + 3 * np.sin(2 * np.pi * 2 * t)) * np.ones((2, 1))
    return dict(zip(FOUR, (clicks, bass, other, vocals), strict=True))


def estimates_of(stems, names=None, own=None, block=5000, mixture=None):
    """Baseline -> stem -> (channels, samples), with the song pushed in blocks."""
    names = list(names or stems)
    references = np.stack(list(stems.values()))
    own = np.stack([(own or stems)[name] for name in names])
    mixture = references.sum(axis=0) if mixture is None else mixture
    baselines = Baselines(list(stems), names, RATE, 2)
    pieces = []
    for start in range(0, references.shape[-1], block):
        cut = slice(start, start + block)
        pieces += baselines.push(references[..., cut], own[..., cut], mixture[:, cut])
    pieces += baselines.finish()
    again = np.concatenate([references for references, _ in pieces], axis=-1)
    np.testing.assert_array_equal(again, references.astype(np.float32))
    return {
        name: dict(
            zip(
                stems_of(name, names),
                np.concatenate([found[name] for _, found in pieces], axis=-1),
                strict=True,
            )
        )
        for name in BASELINES
    }


def score(stems, found):
    return {stem: nsdr(stems[stem][None], signal[None])[0] for stem, signal in found.items()}


def test_the_cut_into_blocks_changes_nothing():
    stems = band_music(seconds=11)  # more than one chunk
    whole, cut = estimates_of(stems, block=10**9), estimates_of(stems, block=777)
    for name, found in whole.items():
        for stem, signal in found.items():
            np.testing.assert_array_equal(signal, cut[name][stem])


def test_signal_processing_finds_what_it_is_made_for():
    stems = band_music()
    scores = score(stems, estimates_of(stems)[PROCESSING])
    assert min(scores.values()) > 6
    assert scores["bass"] > 15


def test_its_parts_and_the_vocals_of_the_system_are_the_mixture():
    stems = band_music()
    heard = {**stems, "vocals": 0.8 * stems["vocals"] + 0.1 * stems["other"]}
    found = estimates_of(stems, own=heard)[PROCESSING]
    rest = found["drums"] + found["bass"] + found["other"]
    np.testing.assert_allclose(rest, sum(stems.values()) - heard["vocals"], atol=1e-5)


def test_without_drums_and_bass_the_rest_is_the_mixture_without_its_own_vocals():
    stems = band_music()
    two = {"vocals": stems["vocals"], "other": sum(stems[name] for name in FOUR[:3])}
    found = estimates_of(two)[PROCESSING]
    np.testing.assert_allclose(found["vocals"] + found["other"], sum(two.values()), atol=1e-5)
    # Not the system's vocals: then its own complement would be the baseline.
    assert score(two, found)["other"] < 60


def test_ideal_masks_part_what_does_not_overlap():
    stems = band_music()
    del stems["drums"]
    assert min(score(stems, estimates_of(stems)[IDEAL]).values()) > 20


def test_what_no_stem_has_stays_out_of_ideal_masks():
    t = np.arange(6 * RATE) / RATE
    stems = {
        name: 0.1 * np.sin(2 * np.pi * hz * t) * np.ones((2, 1))
        for name, hz in (("bass", 80), ("vocals", 500))
    }
    more = sum(stems.values()) + 0.5 * np.sin(2 * np.pi * 2000 * t)
    assert min(score(stems, estimates_of(stems, mixture=more)[IDEAL]).values()) > 20


def test_the_mixture_as_a_stem_scores_the_ratio_of_that_stem_to_all_others():
    stems = band_music()
    rest = sum(stems[name] for name in FOUR[1:])
    expected = 10 * np.log10(np.square(stems["drums"]).sum() / np.square(rest).sum())
    assert score(stems, estimates_of(stems)[MIXTURE])["drums"] == pytest.approx(expected, abs=1e-3)


def folders_of(root, stems, spoil=0.3):
    """Folders of references and of estimates with some noise."""
    for number, (stem, signal) in enumerate(stems.items()):
        write(root / "references" / "A" / f"{stem}.wav", signal, subtype="FLOAT")
        noise = spoil * sound(number, signal.shape[1] / RATE, 2)
        write(root / "estimates" / "A" / f"{stem}.wav", signal + noise, subtype="FLOAT")
    return root / "references", root / "estimates"


def run(folders, out, settings=FAST):
    return evaluate_folders(*folders, out, settings, workers=1)


def test_scores_of_baselines_are_those_of_their_signals_and_read_back(tmp_path):
    stems = band_music()
    folders = folders_of(tmp_path, stems)
    (track,) = run(folders, tmp_path / "out").tracks
    assert tuple(track.baselines) == BASELINES
    expected = score(stems, estimates_of(stems)[IDEAL])
    for stem, values in track.baselines[IDEAL].items():
        assert values["nSDR"] == pytest.approx(expected[stem], abs=1e-3)
        assert np.isfinite(list(values.values())).all()
    assert load_track(tmp_path / "out" / "test" / "A.json").baselines == track.baselines


def test_a_file_of_the_mixture_counts_more_than_the_sum_of_references(tmp_path):
    folders = make_tracks(tmp_path, ("A",), ("vocals",))
    (track,) = run(folders, tmp_path / "out").tracks
    assert track.baselines == {}
    assert "no baselines: there is neither a mixture nor a second reference" in track.notes
    truth = sound(0)
    write(folders[0] / "A" / "mixture.wav", truth + 0.5 * sound(50), subtype="FLOAT")
    (track,) = run(folders, tmp_path / "again").tracks
    expected = nsdr(truth[None], (truth + 0.5 * sound(50))[None])[0]
    assert track.baselines[MIXTURE]["vocals"]["nSDR"] == pytest.approx(expected, abs=1e-3)


def test_a_mixture_that_does_not_fit_leaves_the_scores_of_the_estimates_alone(tmp_path):
    folders = make_tracks(tmp_path, ("A",))
    (plain,) = run(folders, tmp_path / "out").tracks
    write(folders[0] / "A" / "mixture.wav", sound(1, channels=2))
    (track,) = run(folders, tmp_path / "two").tracks
    assert "no baselines: the mixture has 2 channels, stems 1" in track.notes
    (folders[0] / "A" / "mixture.wav").write_bytes(b"no sound")
    (other,) = run(folders, tmp_path / "three").tracks
    assert any("no baselines: the mixture cannot be read" in note for note in other.notes)
    assert track.stems["bass"].nsdr == other.stems["bass"].nsdr == plain.stems["bass"].nsdr


def test_scores_without_baselines_are_kept_only_where_none_are_asked_for(tmp_path):
    folders, out = make_tracks(tmp_path, ("A",)), tmp_path / "out"
    without = EvaluationSettings(metrics=("nsdr",), baselines=False)
    assert run(folders, out, without).tracks[0].baselines is None
    assert run(folders, out, without).kept == ["A"]
    done = run(folders, out)
    assert done.kept == []
    assert done.tracks[0].baselines
    assert run(folders, out).kept == run(folders, out, without).kept == ["A"]


def test_a_summary_has_figures_of_baselines_over_the_same_songs(tmp_path):
    done = run(make_tracks(tmp_path), tmp_path / "out")
    summary = summarize(done, system="s", leaked=None, provenance={})
    save_summary(tmp_path / "out", summary)
    again = load_summary(tmp_path / "out")
    mean = np.mean([track.baselines[MIXTURE]["bass"]["nSDR"] for track in done.tracks])
    assert again.baselines[MIXTURE]["uSDR"]["bass"].value == pytest.approx(mean, abs=1e-5)
    assert again.baselines[MIXTURE]["uSDR"]["bass"].tracks == 2


def test_all_stands_only_where_a_baseline_has_all_stems(tmp_path):
    folders = make_tracks(tmp_path, ("A",), ("bass", "guitar"))
    done = run(folders, tmp_path / "out")
    found = summarize(done, system="s", leaked=None, provenance={}).baselines
    assert set(found[IDEAL]["uSDR"]) == {"all", "bass", "guitar"}
    assert set(found[PROCESSING]["uSDR"]) == {"bass"}


def figures(tracks=3, **values):
    return {"uSDR": {stem: Figure(value, np.nan, np.nan, tracks) for stem, value in values.items()}}


def test_a_stem_below_a_trivial_baseline_or_silence_is_named():
    baselines = {
        MIXTURE: figures(drums=-5.0, bass=-4.0, vocals=-3.0),
        PROCESSING: figures(drums=2.0, bass=3.0),
        IDEAL: figures(drums=9.0, bass=9.0, vocals=9.0),
    }
    found = unbeaten(figures(all=1.0, drums=2.5, bass=2.9, vocals=-0.5), baselines)
    assert [(one.stem, one.baseline, one.rival) for one in found] == [
        ("bass", PROCESSING, 3.0),
        ("vocals", "silence", 0.0),
    ]
    assert unbeaten(figures(tracks=4, bass=1.0), baselines) == []
