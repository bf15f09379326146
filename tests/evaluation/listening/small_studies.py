"""A small study: three systems, two tracks, sounds of a second and a half."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from unbraid.evaluation.listening.build import build_study
from unbraid.evaluation.listening.stimuli import FolderSystem
from unbraid.evaluation.listening.study import Study, StudySettings

RATE = 44100
STEMS = ("bass", "vocals")
LEAKS = {"truth": 0.0, "good": 0.1, "bad": 0.5}


def write_systems(root: Path, tracks: int = 2, seconds: float = 3.0) -> dict[str, FolderSystem]:
    """Folders of stems: true ones, and ones into which the other stem leaks."""
    rng = np.random.default_rng(0)
    time = np.arange(round(seconds * RATE)) / RATE
    for number in range(tracks):
        true = {
            "bass": 0.2 * np.sin(2 * np.pi * 90 * (number + 1) * time),
            "vocals": 0.1 * rng.standard_normal(len(time)) * (1 + np.sin(2 * np.pi * 3 * time)),
        }
        mixture = sum(true.values())
        for system, leak in LEAKS.items():
            folder = root / system / f"song {number}"
            folder.mkdir(parents=True)
            for stem, sound in true.items():
                level = 0.5 if system == "bad" else 1.0
                heard = level * ((1 - leak) * sound + leak * mixture)
                soundfile.write(folder / f"{stem}.wav", np.stack([heard, heard], 1), RATE)
    return {system: FolderSystem(system, root / system) for system in LEAKS}


def small_study(root: Path, **settings: object) -> tuple[Study, Path]:
    """A study and its folder."""
    systems = write_systems(root / "systems")
    values = {"samples": 6, "excerpt_s": 1.5, "raters": 5, "practice": 1, **settings}
    study = build_study(
        root / "study",
        systems.pop("truth"),
        list(systems.values()),
        StudySettings(**values),
        stems=STEMS,
    )
    return study, root / "study"
