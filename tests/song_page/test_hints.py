from __future__ import annotations

import numpy as np
import pytest
import soundfile

from unbraid.song_page.hints import hints_of_files, hints_of_signals
from unbraid.song_page.second_look import disagreement


def test_hints_tell_leaks_silence_clipping_and_what_is_left_over():
    rng = np.random.default_rng(0)
    a, b = (0.1 * rng.standard_normal((2, 88200)).astype(np.float32) for _ in range(2))
    clean = hints_of_signals(a + b, {"a": a, "b": b})
    leaky = hints_of_signals(a + b, {"a": 0.7 * a + 0.3 * b, "b": 0.3 * a + 0.7 * b})
    assert clean.residual_db < -100
    assert leaky.stems["a"].coherence > clean.stems["a"].coherence + 0.3
    half = a.copy()
    half[:, 44100:] = 0
    half[0, 100:110] = 1.0
    part = hints_of_signals(a + b, {"a": half, "b": b})
    assert part.stems["a"].silent_share == pytest.approx(0.5, abs=0.06)
    assert part.stems["a"].clipped_samples == 10
    assert -6 < part.residual_db < -4
    none = hints_of_signals(a, {"a": a, "b": 0 * a})
    assert none.stems["b"].silent_share == 1.0
    assert none.stems["b"].coherence is None


def test_hints_of_files_do_not_depend_on_a_shared_gain(tmp_path):
    rng = np.random.default_rng(0)
    a, b = (0.05 * rng.standard_normal((40000, 2)) for _ in range(2))
    for name, sound in {"mixture": a + b, "a": a / 2, "b": b / 2}.items():
        soundfile.write(tmp_path / f"{name}.wav", sound, 8000, subtype="FLOAT")
    stems = {name: tmp_path / f"{name}.wav" for name in ("a", "b")}
    hints = hints_of_files(tmp_path / "mixture.wav", stems, gain_db=20 * np.log10(0.5))
    assert hints.residual_db < -100
    assert hints.stems["a"].share_db == pytest.approx(-3.0, abs=0.1)


def test_a_model_that_ignores_where_it_starts_agrees_with_itself():
    rng = np.random.default_rng(0)
    excerpt = rng.standard_normal((2, 5000)).astype(np.float32)
    same = disagreement(lambda x: {"a": 0.5 * x, "b": 0 * x}, [excerpt], 77)
    assert same == {"a": -120.0, "b": None}

    def restless(x):
        return {"a": x + rng.standard_normal(x.shape).astype(np.float32)}

    assert disagreement(restless, [excerpt], 77)["a"] == pytest.approx(0.0, abs=0.3)
