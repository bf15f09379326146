from __future__ import annotations

import json
import re
from collections import Counter

import numpy as np
import pytest
import soundfile
from small_studies import LEAKS, small_study, write_systems

from durable import Disk
from unbraid.audio.files import read
from unbraid.audio.loudness import integrated_loudness
from unbraid.errors import SettingsError
from unbraid.listening import build
from unbraid.listening.playlists import side_by_side_playlists, single_playlists
from unbraid.listening.stimuli import (
    SAMPLE_RATE,
    Mixtures,
    ModelSystem,
    choose_start,
    low_passed,
    matched,
)
from unbraid.listening.study import ANCHOR, StudySettings, load_study


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return small_study(tmp_path_factory.mktemp("study"))


@pytest.mark.parametrize("rate", [44100, 48000])
def test_a_997_hz_sine_at_full_scale_in_one_channel_is_minus_3_lufs(rate):
    sine = np.sin(2 * np.pi * 997 * np.arange(5 * rate) / rate)[None]
    assert integrated_loudness(sine.astype(np.float32), rate) == pytest.approx(-3.01, abs=0.03)
    both = np.concatenate([sine, sine])
    assert integrated_loudness(both.astype(np.float32), rate) == pytest.approx(0.0, abs=0.03)


def test_silence_between_sounds_does_not_lower_loudness():
    sine = 0.1 * np.sin(2 * np.pi * 500 * np.arange(4 * 44100) / 44100)[None].astype(np.float32)
    gap = np.concatenate([sine, np.zeros((1, 8 * 44100), np.float32)], axis=1)
    assert integrated_loudness(gap, 44100) == pytest.approx(
        integrated_loudness(sine, 44100), abs=0.6
    )
    assert integrated_loudness(np.zeros((2, 44100), np.float32), 44100) == -np.inf


def test_no_file_or_page_that_raters_get_names_a_system_or_a_track(study):
    public = study[1] / "public"
    assert {path.name for path in public.iterdir()} == {"index.html", "audio"}
    page = (public / "index.html").read_text()
    # "good" and "bad" are words of the page's text too: they are looked for in its data alone.
    data = page.split('id="study">')[1].split("</script>")[0].replace("How good is", "")
    data = re.sub(r"\b[0-9a-f]{12,}\b", "", data)  # random names, where "bad" may stand
    assert not any(name in data for name in LEAKS)
    assert "song 0" not in page and "song 1" not in page
    for path in (public / "audio").iterdir():
        assert re.fullmatch(r"[0-9a-f]{24}\.flac", path.name)
        content = path.read_bytes()
        assert not any(word.encode() in content for word in (*LEAKS, "song 0", "song 1"))


def test_all_files_have_one_time_and_one_format(study):
    paths = list((study[1] / "public" / "audio").iterdir())
    assert {path.stat().st_mtime for path in paths} == {86400}
    infos = {(i.samplerate, i.channels, i.frames) for i in map(soundfile.info, paths)}
    assert infos == {(44100, 2, 66150)}


def test_all_systems_of_an_excerpt_are_equally_loud(study):
    study, folder = study
    for item in {(s.track, s.stem) for s in study.sounds.values()}:
        rated = [s for s in study.sounds.values() if (s.track, s.stem) == item]
        lufs = [integrated_loudness(*read(folder / "public" / "audio" / s.file)) for s in rated]
        assert max(lufs) - min(lufs) < 0.2


def test_a_quiet_system_is_raised_and_its_gain_written_down(study):
    gains = {}
    for sound in study[0].sounds.values():
        if sound.role == "rated":
            gains.setdefault(sound.system, []).append(sound.gain_db)
    assert min(gains["bad"]) > max(gains["truth"]) + 1


def test_near_silence_is_not_blown_up_and_silence_stays():
    rng = np.random.default_rng(0)
    loud = (0.1 * rng.standard_normal((2, 44100))).astype(np.float32)
    out = matched({"truth": loud, "weak": loud / 100, "none": loud * 0}, "truth", -23)
    assert out["weak"][1] == pytest.approx(out["truth"][1] + 20, abs=1e-3)
    assert out["none"][1:] == (0.0, None)
    peaks = [np.abs(signal).max() for signal, _, _ in out.values()]
    assert max(peaks) <= 10 ** (-1 / 20) + 1e-6


def test_a_study_read_back_is_the_same(study):
    study, folder = study
    again = load_study(folder)
    assert again.settings == study.settings and again.sounds == study.sounds
    assert [list(p) for p in again.playlists] == [list(p) for p in study.playlists]


def test_each_rater_hears_every_system_and_stem_alike():
    items = [(f"t{k}", stem, 0) for k in range(10) for stem in ("a", "b", "c", "d")]
    systems = ["w", "x", "y", "z"]
    lists = single_playlists(items, systems, 25, 12, np.random.default_rng(1))
    for playlist in lists:
        assert len(playlist) == 25 == len(set(playlist))
        heard = Counter(system for _, system in playlist)
        assert set(heard.values()) <= {6, 7}
        assert len({item for item, _ in playlist}) == 25
        for system in systems:
            stems = Counter(item[1] for item, s in playlist if s == system)
            assert max(stems.values()) - min(stems.values()) <= 1 and len(stems) == 4
    assert lists[0] != lists[1]
    used = Counter(pair for playlist in lists for pair in playlist)
    assert max(used.values()) <= 4  # 300 draws from 160


def test_more_samples_than_there_are_excerpts_gives_all_of_them():
    items = [("t", "a", 0), ("t", "b", 0)]
    (playlist,) = single_playlists(items, ["x", "y"], 25, 1, np.random.default_rng(0))
    assert sorted(playlist) == [(item, s) for item in items for s in ("x", "y")]
    shown = side_by_side_playlists(items, 1, 4, np.random.default_rng(0))
    assert Counter(item for p in shown for item in p) == {items[0]: 2, items[1]: 2}


def test_a_mushra_screen_has_all_systems_and_the_anchor_and_an_open_reference(tmp_path):
    study, folder = small_study(tmp_path, mode="mushra", samples=2, raters=2)
    assert study.systems == ("truth", "good", "bad", ANCHOR)
    orders = set()
    for trial in (trial for playlist in study.playlists for trial in playlist):
        systems = [study.sounds[sound].system for sound in trial.sounds]
        assert sorted(systems) == sorted(study.systems)
        assert trial.open_reference not in trial.sounds
        assert study.sounds[trial.open_reference].role == "open"
        orders.add(tuple(systems))
    assert len(orders) > 1
    assert "mushra" in (folder / "public" / "index.html").read_text()


def test_the_anchor_has_nothing_above_its_cutoff():
    noise = np.random.default_rng(0).standard_normal((2, 44100)).astype(np.float32)
    power = np.abs(np.fft.rfft(low_passed(noise, 3500))) ** 2
    assert power[:, 4200:].sum() < 1e-8 * power[:, :3500].sum()


def test_excerpts_start_where_the_stem_sounds(tmp_path):
    sound = np.zeros((10 * 44100, 1))
    sound[6 * 44100 : 9 * 44100] = 0.1
    soundfile.write(tmp_path / "late.wav", sound, 44100)
    rng = np.random.default_rng(0)
    starts = [choose_start(tmp_path / "late.wav", 2.0, rng) for _ in range(20)]
    assert min(starts) >= 4.0 and max(starts) <= 8.0 and len(set(starts)) > 1


def test_a_model_hears_the_seconds_around_an_excerpt(tmp_path):
    references = write_systems(tmp_path, tracks=1, seconds=6.0)["truth"]
    seen = []

    def halves(signal):
        seen.append(signal.shape[1] / SAMPLE_RATE)
        return {"bass": signal / 2, "vocals": signal / 2}

    model = ModelSystem("halves", halves, Mixtures(references), context_s=1.0)
    piece = model.excerpt("song 0", "bass", 2.0, 1.5)
    mixture = Mixtures(references).excerpt("song 0", 2.0, 1.5)
    np.testing.assert_allclose(piece, mixture / 2, atol=1e-6)
    assert seen == [3.5] and piece.shape == (2, 66150)


def test_what_cannot_be_a_study_is_told(tmp_path):
    systems = write_systems(tmp_path / "systems")
    with pytest.raises(SettingsError, match="likert or mushra"):
        StudySettings(mode="abx")
    with pytest.raises(SettingsError, match="1 to 60 s"):
        StudySettings(excerpt_s=0)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").write_text("")
    from unbraid.listening.build import build_study

    with pytest.raises(SettingsError, match="not empty"):
        build_study(
            tmp_path / "full", systems["truth"], [systems["bad"]], StudySettings(), stems=["bass"]
        )
    with pytest.raises(SettingsError, match="distinct names"):
        build_study(
            tmp_path / "new", systems["truth"], [systems["truth"]], StudySettings(), stems=["bass"]
        )
    with pytest.raises(SettingsError, match="holds no study"):
        load_study(tmp_path)
    (tmp_path / "study.json").write_text(json.dumps({"unbraid_listening": 99}))
    with pytest.raises(SettingsError, match="not a study of this version"):
        load_study(tmp_path)


def test_a_study_appears_when_it_is_whole(tmp_path, monkeypatch):
    def die(names):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(build, "rename_all", die)
        with pytest.raises(KeyboardInterrupt):
            small_study(tmp_path / "new")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"systems"}
    disk = Disk(monkeypatch)
    (tmp_path / "again" / "study").mkdir(parents=True)  # empty
    study, folder = small_study(tmp_path / "again")
    disk.check("study")
    assert load_study(folder) == study
    assert (folder / "public" / "index.html").is_file()
