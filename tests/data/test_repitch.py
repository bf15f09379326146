from __future__ import annotations

import os
import shutil
import sys

import numpy as np
import pytest

from unbraid.data.repitch import RepitchSettings, change, repitch, repitched_samples
from unbraid.errors import SettingsError

RATE = 44100


def tone(hz: float, seconds: float = 2.0, level: float = 3.0) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return np.repeat(level * np.sin(2 * np.pi * hz * time)[None], 2, 0).astype(np.float32)


def pitch_of(signal: np.ndarray) -> float:
    middle = signal[0, 8000:-8000]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 1 << 19))
    return float(np.argmax(spectrum) * RATE / (1 << 19))


@pytest.mark.parametrize("speech", [False, True])
@pytest.mark.parametrize(("semitones", "tempo"), [(2, 0.0), (-2, 8.0), (0, -12.0), (1, 12.0)])
def test_pitch_moves_by_the_ratio_and_length_by_the_tempo(semitones, tempo, speech):
    changed = change(tone(440.0), RATE, semitones, tempo, speech=speech)
    assert abs(changed.shape[1] - 2 * RATE / (1 + tempo / 100)) <= 1
    assert pitch_of(changed) == pytest.approx(440 * 2 ** (semitones / 12), rel=0.004)
    assert np.abs(changed[0, 8000:-8000]).max() == pytest.approx(3.0, rel=0.1)


@pytest.mark.parametrize("speech", [False, True])
def test_a_click_moves_with_the_tempo(speech):
    click = np.zeros((1, RATE), np.float32)
    click[0, 20000] = 1
    changed = change(click, RATE, 0, 10.0, speech=speech)
    assert abs(int(np.argmax(np.abs(changed[0]))) - 20000 / 1.1) < 100


def test_nothing_to_change_leaves_all_as_it_was():
    assert np.array_equal(change(tone(440.0), RATE, 0, 0.0), tone(440.0))
    assert change(np.zeros((2, 1000), np.float32), RATE, 1, 5.0).shape == (2, 952)


def test_levels_beyond_full_scale_are_kept_unless_clipping_is_asked_for():
    loud = tone(440.0, 1.0, level=5.0)
    assert np.abs(change(loud, RATE, 1, 3.0)[:, 9000:-9000]).max() > 4.5
    clipped = change(loud, RATE, 0, 0.0, clip=True)
    assert np.abs(clipped).max() == pytest.approx(0.99, abs=1e-4)
    assert np.array_equal(clipped * 2**15, np.rint(clipped * 2**15))


def test_all_stems_change_alike_and_are_cut_alike():
    sources = np.stack([tone(300.0), tone(300.0), tone(600.0)])
    settings = RepitchSettings(probability=1.0, speech_stems=())
    for seed in range(4):
        out = repitch(sources, ("a", "b", "c"), RATE, settings, np.random.default_rng(seed))
        assert out.shape == (3, 2, repitched_samples(2 * RATE, settings)) == (3, 2, 77616)
        assert np.array_equal(out[0], out[1])
        assert pitch_of(out[2]) == pytest.approx(2 * pitch_of(out[0]), rel=0.004)
        step = 12 * np.log2(pitch_of(out[0]) / 300)
        assert abs(step - round(step)) < 0.05
        assert abs(round(step)) <= 2


def test_the_same_generator_gives_the_same_bytes():
    sources, settings = np.stack([tone(300.0, 0.5)]), RepitchSettings(probability=1.0)
    one, two = (
        repitch(sources, ("vocals",), RATE, settings, np.random.default_rng(3)) for _ in "12"
    )
    assert one.tobytes() == two.tobytes()


def test_one_in_five_changes_by_default():
    sources = np.zeros((1, 1, 1000), np.float32)
    sources[..., 500:] = 1
    settings = RepitchSettings()
    rng = np.random.default_rng(0)
    kept = sources[..., :880]
    changed = sum(
        not np.array_equal(repitch(sources, ("a",), 8000, settings, rng), kept) for _ in range(300)
    )
    assert 40 < changed < 80


def test_the_length_left_is_that_of_the_recipe():
    assert repitched_samples(485_100, RepitchSettings()) == 426_888  # as in the public recipe


@pytest.mark.parametrize(
    "wrong",
    [
        {"probability": 2.0},
        {"max_semitones": -1},
        {"max_tempo": 80.0},
        {"tempo_std": -1.0},
        {"backend": "rubberband"},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong, unchecked):
    with pytest.raises(SettingsError):
        RepitchSettings(**wrong)


STAND_IN = """#!{python}
import sys, soundfile
import numpy as np
sound, rate = soundfile.read(sys.argv[1], always_2d=True)
info = soundfile.info(sys.argv[1]).subtype
assert np.abs(sound).max() < 1.0
open({log!r}, "a").write(" ".join([info, *sys.argv[3:]]) + "\\n")
soundfile.write(sys.argv[2], sound[: int(len(sound) / 1.1)], rate, subtype=info)
"""


def test_soundstretch_is_asked_as_the_recipe_asks_it(tmp_path, monkeypatch):

    program, log = tmp_path / "soundstretch", tmp_path / "log"
    program.write_text(STAND_IN.format(python=sys.executable, log=str(log)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    RepitchSettings(backend="soundstretch").check_backend()
    loud = tone(440.0, 0.2)
    changed = change(loud, RATE, -1, 10.0, speech=True, backend="soundstretch")
    assert np.allclose(changed, loud[:, : changed.shape[1]], atol=1e-5)
    change(loud, RATE, 2, -3.25, backend="soundstretch", clip=True, quick=True)
    assert log.read_text().splitlines() == [
        "PCM_24 -pitch=-1 -tempo=10.000000 -speech",
        "PCM_16 -pitch=2 -tempo=-3.250000 -quick",
    ]


def test_a_soundstretch_that_is_not_there_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsError, match="not on the PATH"):
        RepitchSettings(backend="soundstretch").check_backend()
    with pytest.raises(SettingsError, match="not on the PATH"):
        change(tone(440.0, 0.1), RATE, 1, 0.0, backend="soundstretch")


@pytest.mark.skipif(shutil.which("soundstretch") is None, reason="needs soundstretch")
@pytest.mark.parametrize(("semitones", "tempo"), [(2, 0.0), (-1, 8.0)])
def test_the_real_soundstretch_keeps_the_same_laws(semitones, tempo):
    changed = change(tone(440.0), RATE, semitones, tempo, backend="soundstretch")
    assert abs(changed.shape[1] * (1 + tempo / 100) / (2 * RATE) - 1) < 0.01
    assert pitch_of(changed) == pytest.approx(440 * 2 ** (semitones / 12), rel=0.004)
    assert np.abs(changed).max() == pytest.approx(3.0, rel=0.1)
