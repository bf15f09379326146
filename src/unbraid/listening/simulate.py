"""Raters with known preferences, to check that a study finds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from unbraid.listening.study import Study


def simulate_raters(
    study: Study,
    preferences: Mapping[str, Mapping[str, float]],
    raters: int,
    *,
    careless: int = 0,
    spread: float = 0.8,
    bias: float = 0.3,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Let raters answer every sample of their playlists, practice too.

    Args:
        study: what they hear.
        preferences: system -> question -> mean of the answers about it.
        raters: how many.
        careless: how many of them, the last ones, answer anything.
        spread: standard deviation of one answer.
        bias: standard deviation between raters.
        seed: of all chance.
    Returns:
        for each rater the content of a file as the page exports it.
    """
    rng = np.random.default_rng(seed)
    low, high = study.settings.scale
    exports = []
    for number in range(raters):
        leaning = rng.normal(0, bias)
        ratings = []
        for trial in study.playlists[number % len(study.playlists)]:
            for sound in trial.sounds:
                wanted = preferences[study.sounds[sound].system]
                for question in study.question_names:
                    value = wanted[question] + leaning + rng.normal(0, spread)
                    if number >= raters - careless:
                        value = rng.uniform(low - 0.5, high + 0.5)
                    ratings.append(
                        {
                            "trial": trial.id,
                            "sound": sound,
                            "question": question,
                            "value": int(np.clip(round(value), low, high)),
                            "listened_s": study.settings.excerpt_s,
                        }
                    )
        exports.append(
            {
                "unbraid_listening": 1,
                "study": study.id,
                "token": f"simulated-{number}",
                "playlist": number,
                "ratings": ratings,
            }
        )
    return exports
