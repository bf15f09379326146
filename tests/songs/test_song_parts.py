"""Notes, instruments, effects and voices, each for itself."""

from __future__ import annotations

import mido
import numpy as np
import pytest

from unbraid.errors import SettingsError
from unbraid.songs import compose, patches, synth, voices
from unbraid.songs import effects as fx
from unbraid.songs.effects import RATE
from unbraid.songs.multitracks import place
from unbraid.songs.notes import Note


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def noise(seconds: float = 0.5, level: float = 0.1) -> np.ndarray:
    return (level * rng(9).standard_normal((int(seconds * RATE), 2))).astype(np.float32)


@pytest.mark.parametrize("seed", range(4))
def test_parts_keep_to_the_key_and_to_the_song(seed):
    plan = compose.make_plan(rng(seed), 120.0, 20.0)
    bars = compose.active_bars(rng(seed), plan, 0.7)
    key = {(plan.root + step) % 12 for step in plan.scale}
    parts = [
        compose.bass_line(rng(seed), plan, bars, 1),
        compose.loose_line(rng(seed), plan, bars, 1),
        compose.chords(rng(seed), plan, bars, held=False),
        compose.arpeggio(rng(seed), plan, bars),
        compose.melody(rng(seed), plan, bars),
    ]
    for notes in parts:
        assert notes
        assert {note.pitch % 12 for note in notes} <= key
        assert all(0 <= note.start < plan.bars * plan.bar_s for note in notes)
        assert all(0 < note.velocity < 128 for note in notes)


def test_a_midi_file_gives_its_notes_in_seconds(tmp_path):
    file = mido.MidiFile(ticks_per_beat=100)
    track = mido.MidiTrack()
    file.tracks.append(track)
    track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(60)))
    track.append(mido.Message("program_change", program=33, channel=2))
    track.append(mido.Message("note_on", note=40, velocity=90, channel=2, time=100))
    track.append(mido.Message("note_off", note=40, channel=2, time=50))
    file.save(tmp_path / "a.mid")
    assert compose.midi_parts(tmp_path / "a.mid") == {(2, 33): [Note(1.0, 0.5, 40, 90)]}
    (tmp_path / "b.mid").write_bytes(b"MThd no midi")
    with pytest.raises(SettingsError, match=r"b\.mid' is not a readable MIDI file"):
        compose.midi_parts(tmp_path / "b.mid")


def test_a_voice_sounds_at_its_notes():
    def click(pitch: int, seconds: float, velocity: int) -> np.ndarray:
        return np.full((3, 2), float(pitch), np.float32)

    notes = [Note(0.0, 1, 5, 64), Note(0.01, 1, 7, 64), Note(99.0, 1, 5, 64)]
    out = synth.render(notes, click, 500)
    assert [i for i in range(500) if out[i, 0]] == [0, 1, 2, 441, 442, 443]
    assert (out[0, 0], out[441, 1]) == (5, 7)


@pytest.mark.parametrize("role", ["bass", "deep", "loose", "drone", "pad", "pluck", "lead"])
def test_a_patch_plays_its_pitch_and_stays_sane(role):
    note = patches.patch(rng(3), role)(57, 0.5, 100)
    assert note.shape[1] == 2
    assert note.dtype == np.float32
    assert np.isfinite(note).all()
    assert 1e-4 < np.abs(note).max() < 5


def test_samples_are_played_at_the_pitch_that_is_asked_for(tmp_path):
    import soundfile

    time = np.arange(RATE) / RATE
    soundfile.write(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 220 * time), RATE)
    voice = synth.sampled([synth.Sample(tmp_path / "a.wav", 57, (1, 127))])
    note = voice(60, 0.4, 127)[:, 0]
    spectrum = np.abs(np.fft.rfft(note * np.hanning(len(note)), 1 << 18))
    heard = np.argmax(spectrum) * RATE / (1 << 18)
    assert heard == pytest.approx(220 * 2 ** (3 / 12), rel=0.005)


def test_pan_keeps_the_power():
    mono = noise()[:, 0]
    for position in (-1, -0.3, 0, 0.8, 1):
        sides = fx.pan(mono, position)
        assert np.sum(sides**2) == pytest.approx(1.41**2 * np.sum(mono**2), rel=1e-4)
    assert np.abs(fx.pan(mono, 1.0)[:, 0]).max() < 1e-6


def test_a_limiter_keeps_to_its_ceiling_and_leaves_quiet_sound():
    loud = noise()
    peak = float(np.abs(loud).max())
    limited = loud * fx.limiter_curve(loud, peak / 2)
    assert np.abs(limited).max() < 1.1 * peak / 2
    assert np.allclose(fx.limiter_curve(loud, 2 * peak), 1)


def test_effects_are_neutral_where_they_should_be():
    sound = noise()
    assert np.allclose(fx.tilt(sound, 0.0), sound, atol=1e-5)
    assert np.array_equal(fx.saturate(sound, 0.0), sound)
    assert np.array_equal(fx.reverb(sound, rng(), 0.5, 0.0), sound)
    assert np.allclose(fx.compress(sound, 1.0), sound, atol=1e-5)
    assert np.allclose(fx.duck(sound, [], 0.5, 0.1)[RATE // 5 :], sound[RATE // 5 :], atol=1e-3)


def test_phrases_are_cut_at_pauses():
    speech = np.concatenate([noise(0.6), np.zeros((RATE, 2), np.float32), noise(0.6)])
    pieces = voices.phrases(speech)
    assert len(pieces) == 2
    assert all(0.5 * RATE < len(piece) < 0.9 * RATE for piece in pieces)


def buzz() -> np.ndarray:
    """Something like a vowel, 1.2 s."""
    time = np.arange(int(1.2 * RATE)) / RATE
    tones = sum(np.sin(2 * np.pi * 150 * k * time) / k for k in range(1, 20)) * 0.1
    return tones.astype(np.float32)


@pytest.mark.skipif(not voices.can_sing(), reason="needs pyworld")
def test_speech_is_sung_at_notes_of_the_scale():
    plan = compose.make_plan(rng(1), 100.0, 10.0)
    sung = voices.sung_phrases(rng(1), buzz(), plan, 60)
    assert sung.shape[1] == 2
    assert np.isfinite(sung).all()
    assert fx.rms(sung) > 1e-3


@pytest.mark.skipif(not voices.can_sing(), reason="needs pyworld")
def test_a_choir_sings_in_several_parts_of_the_scale_from_several_places():
    plan = compose.make_plan(rng(1), 100.0, 10.0)
    sung = voices.choir_phrases(rng(3), buzz(), plan, 60)
    assert np.isfinite(sung).all()
    left, right = sung.T
    assert np.corrcoef(left, right)[0, 1] < 0.98
    singing = voices._sing(rng(3), buzz(), plan, 60, voices.CHOIR_BEATS, 3.0)
    parts = {step: voices._part(rng(5), singing, plan, step) for step in (0, 4, 7)}
    assert all(len(part) == len(singing.f0) for part in parts.values())
    assert all(((part > 0) == (singing.f0 > 0)).all() for part in parts.values())
    sung = singing.f0 > 0
    octave = np.median(parts[7][sung] / parts[0][sung])
    assert octave == pytest.approx(2, rel=0.02)
    assert 1.3 < np.median(parts[4][sung] / parts[0][sung]) < 1.65


def test_segments_are_placed_and_what_lies_outside_is_dropped():
    audio = np.arange(1, 11, dtype=np.float32)[:, None].repeat(2, 1)
    placed = place(audio, [[0, -2, 4], [4, 6, 6]], 10)
    assert placed[:, 0].tolist() == [3, 4, 0, 0, 0, 0, 5, 6, 7, 8]
