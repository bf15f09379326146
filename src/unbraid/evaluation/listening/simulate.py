"""Raters with known preferences, to check that a study finds them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from unbraid.evaluation.listening.store import Rating, Store
from unbraid.evaluation.listening.study import Study


def simulate_raters(
    study: Study,
    store: Store,
    preferences: Mapping[str, Mapping[str, float]],
    raters: int,
    *,
    careless: int = 0,
    spread: float = 0.8,
    bias: float = 0.3,
    seed: int = 0,
) -> None:
    """Let raters answer every sample of their playlists, practice too.

    Args:
        study: what they hear.
        store: where their answers go.
        preferences: system -> question -> mean of the answers about it.
        raters: how many.
        careless: how many of them, the last ones, answer anything.
        spread: standard deviation of one answer.
        bias: standard deviation between raters.
        seed: of all chance.
    """
    rng = np.random.default_rng(seed)
    low, high = study.settings.scale
    for number in range(raters):
        token, playlist = store.join({"simulated": True})
        leaning = rng.normal(0, bias)
        for trial in study.playlists[playlist % len(study.playlists)]:
            for sound in trial.sounds:
                wanted = preferences[study.sounds[sound].system]
                for question in study.question_names:
                    value = wanted[question] + leaning + rng.normal(0, spread)
                    if number >= raters - careless:
                        value = rng.uniform(low - 0.5, high + 0.5)
                    answer = float(np.clip(round(value), low, high))
                    store.rate(token, Rating(trial.id, sound, question, answer, 12.0))
