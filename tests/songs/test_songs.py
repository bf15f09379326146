"""Whole songs and datasets of them, from the tiny set that ships."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.datasets import signal_of
from durable import Disk
from unbraid.data.index import build_index
from unbraid.errors import SettingsError
from unbraid.songs import dataset, dataset_writer, soundfont
from unbraid.songs.dataset import SongsRequest, make_dataset
from unbraid.songs.dataset_writer import write_track
from unbraid.songs.deep_bass import LINES
from unbraid.songs.ingredients import Ingredients, find_ingredients, tiny_folder
from unbraid.songs.make_song import make_low_end, make_song
from unbraid.songs.notes import Note
from unbraid.songs.song import STEMS, SongSettings

TINY = Ingredients(tiny_folder())
SHORT = SongSettings((4.0, 5.0))
REQUEST = SongsRequest(songs=2, valid=1, seconds=(4.0, 5.0))


def content(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_the_tiny_set_is_whole_small_and_free():
    assert set(TINY.basses) == {"swag"}
    assert set(TINY.guitars) == {"black"}
    assert {36, 38, 42} <= {sample.pitch for sample in TINY.kits["drums"]}
    assert list(TINY.voices) == ["librivox", "merry_orks"]
    files = [path for path in tiny_folder().rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 400_000
    for samples in (*TINY.basses["swag"].values(), TINY.kits["drums"]):
        assert all(sample.path.is_file() for sample in samples)
    assert all(
        credit.startswith(("CC0", "Public domain"))
        for credit in TINY.credits.values()
        if credit in json.loads((tiny_folder() / "credits.json").read_text()).values()
    )


@pytest.mark.parametrize("seed", [3])
def test_a_song_repeats_itself_and_never_clips(seed):
    stems, facts = make_song(seed, TINY, SHORT)
    again, _ = make_song(seed, TINY, SHORT)
    assert set(stems) <= set(STEMS)
    assert all(np.array_equal(stems[name], again[name]) for name in stems)
    lengths = {audio.shape for audio in stems.values()}
    assert len(lengths) == 1
    assert 4 * 44100 <= lengths.pop()[0] <= 5 * 44100
    assert np.abs(sum(stems.values())).max() < 1
    assert all(line.split(":")[0] for line in facts["licences"])
    other, _ = make_song(seed + 1, TINY, SHORT)
    assert {n: a.tobytes() for n, a in other.items()} != {n: a.tobytes() for n, a in stems.items()}


@pytest.mark.parametrize("line", ["pattern", "loose", "punch", "mono"])
def test_the_low_end_has_drums_and_a_bass_without_treble(line):
    stems, _ = make_low_end(1, TINY, SHORT, line=line)
    assert set(stems) == {"drums", "bass"}
    spectrum = np.abs(np.fft.rfft(stems["bass"][:, 0])) ** 2
    assert spectrum[: len(spectrum) // 22].sum() > 0.9 * spectrum.sum()  # below 1 kHz


def test_a_dataset_can_be_gone_on_with_and_has_the_same_bytes(tmp_path):
    told: list[tuple[str, bool]] = []
    out = tmp_path / "out"
    make_dataset(out, TINY, REQUEST, on_song=lambda s, n, t: told.append((s.track, s.made)))
    first = content(out)
    assert told == [("train/song-0000", True), ("valid/song-0001", True)]
    gone = out / "train" / "song-0000"
    gone.rename(gone.with_name(".song-0000.part"))  # as if it had been stopped midway
    (gone.with_name(".song-0000.part") / "vocals.flac").write_bytes(b"half")
    done = make_dataset(out, TINY, REQUEST)
    assert [(song.track, song.made) for song in done] == [
        *[("train/song-0000", True), ("valid/song-0001", False)],
    ]
    assert content(out) == first
    licences = json.loads((out / "songs.json").read_text())["licences"]
    assert list(licences) == ["train/song-0000", "valid/song-0001"]
    index = build_index([out], "train", STEMS)
    assert index.tracks[0].sample_rate == 44100
    mixture = sum(signal_of(gone / f"{stem}.flac") for stem in STEMS)
    assert 0.01 < np.abs(mixture).max() < 1
    with pytest.raises(SettingsError, match="begun with other seed"):
        make_dataset(out, TINY, replace(REQUEST, seed=1))


def test_of_two_runs_that_make_the_same_track_the_first_counts(tmp_path):
    folder = tmp_path / "train" / "a"
    stems = {"drums": np.full((2, 100), 0.5, np.float32)}
    first = write_track(folder, stems, 44100, {"by": 1}, "wav")
    sound = (folder / "drums.wav").read_bytes()
    folder.with_name(".a.77.part").mkdir()
    second = write_track(folder, {"drums": stems["drums"] / 2}, 44100, {"by": 2}, "wav")
    assert first["by"] == second["by"] == 1
    assert (folder / "drums.wav").read_bytes() == sound
    assert write_track(folder.with_name("b"), stems, 44100, {"by": 3}, "wav")["by"] == 3
    assert {path.name for path in folder.parent.iterdir()} == {"a", "b", ".a.77.part"}
    shutil.rmtree(folder)
    write_track(folder, stems, 44100, {"by": 4}, "wav")
    assert {path.name for path in folder.parent.iterdir()} == {"a", "b"}


def test_a_track_that_another_run_finishes_meanwhile_counts(tmp_path, monkeypatch):
    folder, stems = tmp_path / "a", {n: np.zeros((2, 100), np.float32) for n in ("drums", "bass")}
    real = dataset_writer.AudioWriter

    def meanwhile(path, *how):
        monkeypatch.undo()
        write_track(folder, stems, 44100, {"by": 1}, "wav")  # and removes the part of this one
        return real(path, *how)

    monkeypatch.setattr(dataset_writer, "AudioWriter", meanwhile)
    (tmp_path / ".a.77.part").mkdir()
    assert write_track(folder, stems, 44100, {"by": 2}, "wav")["by"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_power_cut_leaves_whole_tracks(tmp_path, monkeypatch):
    disk = Disk(monkeypatch)
    write_track(tmp_path / "a", {"drums": np.zeros((2, 9), np.float32)}, 44100, {}, "wav")
    disk.check("a")


def test_a_share_of_the_songs_for_training_is_a_low_end_and_others_stay_as_they_were(tmp_path):
    request = replace(REQUEST, songs=3, low_end=0.5)
    done = {song.track: song.facts for song in make_dataset(tmp_path / "low", TINY, request)}
    styles = [done[f"train/song-000{n}"]["style"] for n in range(2)]
    assert styles[0] != "low end" and styles[1] == "low end"
    assert {"other", "vocals"} <= set(done["train/song-0001"]["silent"])
    assert done["valid/song-0002"]["style"] != "low end"
    kept = json.loads((tmp_path / "low/songs.json").read_text())["request"]
    assert kept["low_end"] == 0.5


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.25, 25), (0.5, 50), (1.0, 100)])
def test_low_ends_are_spread_evenly_and_all_kinds_come_in_turn(share, count):
    lines = [dataset._line_of(number, share) for number in range(100)]
    found = [line for line in lines if line is not None]
    assert len(found) == count
    assert found == [LINES[i % 4] for i in range(count)]


@pytest.mark.slow
def test_any_number_of_processes_makes_the_same_bytes(tmp_path):
    request = replace(REQUEST, songs=3)
    for workers in (1, 2):
        make_dataset(tmp_path / str(workers), TINY, request, workers=workers)
    assert content(tmp_path / "1") == content(tmp_path / "2")


def test_foreign_folders_are_left_alone(tmp_path):
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(SettingsError, match="not begun by this command"):
        make_dataset(tmp_path, TINY, REQUEST)
    with pytest.raises(SettingsError, match="holds none of instruments/"):
        find_ingredients(tmp_path)
    with pytest.raises(SettingsError, match="no folder of ingredients"):
        find_ingredients(tmp_path / "none")
    with pytest.raises(SettingsError, match="no soundfont"):
        find_ingredients(None, tmp_path / "none.sf2")


@pytest.mark.parametrize(
    "wrong",
    [
        {"songs": 0},
        {"valid": 2},
        {"seed": -1},
        {"seconds": (1.0, 2.0)},
        {"low_end": 1.5},
        {"choirs": 2},
    ],
)
def test_requests_that_make_no_sense_are_refused(wrong):
    with pytest.raises(SettingsError):
        replace(REQUEST, **wrong)


def test_broken_ingredients_are_named(tmp_path):
    folder = tmp_path / "instruments" / "bass"
    folder.mkdir(parents=True)
    (folder / "map.json").write_text("[{]")
    with pytest.raises(SettingsError, match=r"map\.json' is not readable JSON"):
        _ = find_ingredients(tmp_path).basses
    (folder / "map.json").write_text('[{"file": "a.wav"}]')
    with pytest.raises(SettingsError, match="an entry without file, midi"):
        _ = find_ingredients(tmp_path).basses


def test_speakers_are_heard_on_one_side_only():
    sides = [replace(TINY, side=side).voices["librivox"] for side in ("train", "valid")]
    train, valid = ({entry["speaker"] for entry in entries} for entries in sides)
    assert train
    assert valid
    assert not train & valid
    assert train | valid == {entry["speaker"] for entry in TINY.voices["librivox"]}


@pytest.mark.skipif(soundfont.find_soundfont() is None, reason="needs fluidsynth and a soundfont")
def test_a_soundfont_plays_the_pitch_that_is_asked_for():
    font = soundfont.find_soundfont()
    audio = soundfont.play(font, [(19, [Note(0.0, 1.0, 69, 100)])], 44100)[8000:40000, 0]
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 1 << 18))
    low = int(500 / 44100 * (1 << 18))
    assert np.argmax(spectrum[:low]) * 44100 / (1 << 18) == pytest.approx(440, rel=0.01)


def test_a_song_without_anything_is_still_a_song(tmp_path):
    (tmp_path / "instruments").mkdir()
    stems, facts = make_song(5, Ingredients(tmp_path), SHORT)
    assert "other" in stems
    assert facts["licences"] == []
