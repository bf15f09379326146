"""Made-up bands that play sampled instruments by hand (studies/quartet)."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import soundfile
from studies.quartet import lines, more_instruments
from studies.quartet.records import Records, alone
from studies.quartet.sampler import Drum, Sampler, Stroke

from unbraid.songs.compose import make_plan
from unbraid.songs.ingredients import Ingredients
from unbraid.songs.synth import Sample

RATE = 44_100


def _tone(path, hertz: float, seconds: float = 1.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    at = np.arange(int(seconds * RATE)) / RATE
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * hertz * at) * np.exp(-3 * at), RATE)
    return path


def _pitch(audio: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 1 << 18))
    return float(np.argmax(spectrum)) * RATE / (1 << 18)


def _takes(tmp_path, count: int = 3) -> list[Sample]:
    return [Sample(_tone(tmp_path / f"a{n}.wav", 55.0), 33, (1, 127)) for n in range(count)]


@pytest.mark.parametrize("pitch", (28, 33, 40))
def test_a_sampler_plays_the_pitch_of_the_note(tmp_path, pitch):
    sampler = Sampler(_takes(tmp_path), np.random.default_rng(0), cents=0.0)
    audio = sampler.note(Stroke(0, 0.9, pitch, 100))
    assert _pitch(audio) == pytest.approx(440 * 2 ** ((pitch - 69) / 12), rel=0.01)


def test_a_slide_ends_at_the_pitch_of_the_note(tmp_path):
    sampler = Sampler(_takes(tmp_path), np.random.default_rng(0), cents=0.0)
    audio = sampler.note(Stroke(0, 0.9, 40, 100, slide=-5.0))
    assert _pitch(audio[RATE // 5 :]) == pytest.approx(440 * 2 ** ((40 - 69) / 12), rel=0.01)


def test_no_take_sounds_twice_in_a_row(tmp_path):
    sampler = Sampler(_takes(tmp_path), np.random.default_rng(0))
    picked = [sampler.pick(33, 100).path for _ in range(20)]
    assert all(a != b for a, b in itertools.pairwise(picked))


def test_a_drum_plays_its_loud_hits_when_hit_hard(tmp_path):
    hits = [
        Sample(_tone(tmp_path / f"{n}.wav", 60 + 40 * n, 0.5), 36, (1 + 32 * n, 32 + 32 * n))
        for n in range(4)
    ]
    drum = Drum(hits, np.random.default_rng(0), 1.0, 0.0)
    assert _pitch(drum.hit(10)[:, 0]) < 110 < 140 < _pitch(drum.hit(127)[:, 0])


@pytest.mark.parametrize("seed", range(5))
def test_a_bass_below_the_riff_stays_on_the_instrument(seed):
    rng = np.random.default_rng(seed)
    plan = make_plan(rng, 120, 20)
    riff = lines.riff(rng, plan, range(plan.bars), "metal", 35)
    bass = lines.below(riff, rng, 23)
    assert all(0 < r.pitch - b.pitch <= 12 for r, b in zip(riff, bass, strict=True))
    assert min(b.pitch for b in bass) >= 23


@pytest.mark.parametrize("style", lines.BASS_KINDS)
def test_bass_lines_hold_one_note_at_a_time_between_their_lowest_and_57(style):
    rng = np.random.default_rng(1)
    plan = make_plan(rng, 110, 30)
    strokes = lines.bass_line(rng, plan, range(plan.bars), style, [0.0, 1.1, 2.3], 28)
    assert min(s.pitch for s in strokes) >= 24
    assert max(s.pitch for s in strokes) <= 57
    line = alone([s for s in strokes if not s.muted])
    assert all(a.start + a.length <= b.start + 0.041 for a, b in itertools.pairwise(line))


def _ingredients(folder) -> Ingredients:
    top = folder / "instruments"
    for family, hertz in (("bass", 55.0), ("guitar", 110.0)):
        _tone(top / family / "one" / "a.wav", hertz)
        entry = {"file": "one/a.wav", "inst": "one", "midi": 33 if family == "bass" else 45}
        (top / family / "map.json").write_text(json.dumps([entry]))
    hits = []
    for drum in (36, 38, 42, 46, 48, 49):
        _tone(top / "drums" / "muldjord-close" / f"{drum}.wav", 20.0 * drum, 0.3)
        file = f"muldjord-close/{drum}.wav"
        hits.append({"file": file, "gm_note": drum, "inst": "muldjord-close"})
    (top / "drums" / "map.json").write_text(json.dumps(hits))
    return Ingredients(folder)


class _Sampled(Records):
    """Without soundfonts, which not every machine has."""

    font_kits = 0.0

    def font_play(self, program, notes, room=False):
        return np.full((self.samples, 2), 0.01, np.float32)


def test_a_record_has_three_stems_that_sound_and_do_not_clip(tmp_path):
    ingredients = _ingredients(tmp_path)
    for number in range(4):
        song = _Sampled((3, number), ingredients, 6.0).song()
        assert song.shape == (3, 6 * RATE, 2)
        assert song.dtype == np.int16
        assert np.abs(song.astype(int)).max() <= 32_113
        assert all(np.abs(stem.astype(int)).max() > 300 for stem in song)


def test_velocities_are_shared_out_without_gaps():
    shared = more_instruments.ranges(5)
    assert shared[0][0] == 1
    assert shared[-1][1] == 127
    assert all(b[0] == a[1] + 1 for a, b in itertools.pairwise(shared))


def test_kits_get_the_drums_that_they_lack():
    drums = [
        {"file": f"{kit}/{drum}", "gm_note": drum, "vel": [1, 127], "inst": kit}
        for kit, own in (("muldjord-close", (36, 38, 42, 49)), ("small", (36, 38)))
        for drum in own
    ]
    piece = {"file": "snare-x/38", "gm_note": 38, "vel": [1, 127], "inst": "snare-x"}
    kits: dict[str, list[int]] = {}
    for entry in more_instruments.whole_kits([piece], drums):
        kits.setdefault(entry["inst"], []).append(entry["gm_note"])
    assert set(kits) == {"muldjord-close", "small", "snare-x"}
    assert all(sorted(notes) == [36, 38, 42, 49] for notes in kits.values())
