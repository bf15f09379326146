"""Small studies: one with sounds of a second and a half, and ones that nobody listens to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from unbraid.listening.build import build_study
from unbraid.listening.playlists import (
    pool_of,
    side_by_side_playlists,
    single_playlists,
)
from unbraid.listening.stimuli import FolderSystem
from unbraid.listening.study import (
    ANCHOR,
    Sound,
    Study,
    StudySettings,
    Trial,
    save_study,
)

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
                soundfile.write(folder / f"{stem}.flac", np.stack([heard, heard], 1), RATE)
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


def silent_study(
    folder: Path,
    systems: Sequence[str] = tuple(LEAKS),
    stems: Sequence[str] = STEMS,
    tracks: int = 20,
    **settings: object,
) -> Study:
    """A study without its sounds, in `folder`; the first system is the hidden reference."""
    chosen = StudySettings(**settings)
    rng = np.random.default_rng(chosen.seed)
    everything = [(f"track {k}", stem, 0) for k in range(tracks) for stem in stems]
    items = pool_of(everything, chosen.pool_size(len(systems)), rng)
    shown = [*systems, ANCHOR] if chosen.mode == "mushra" else list(systems)
    if chosen.mode == "mushra":
        drawn = side_by_side_playlists(items, chosen.samples, chosen.raters, rng)
        lists = [[(item, shown) for item in playlist] for playlist in drawn]
    else:
        single = single_playlists(items, systems, chosen.samples, chosen.raters, rng)
        lists = [[(item, [system]) for item, system in playlist] for playlist in single]
    study = Study(
        id="silent",
        settings=chosen,
        systems=tuple(shown),
        reference=systems[0],
        stems=tuple(stems),
        sounds={
            _name(item, system): Sound(
                *(_name(item, system), "rated", system, item[0], item[1], 0.0, 0.0, -23.0)
            )
            for item in items
            for system in shown
        },
        playlists=[
            [
                Trial(f"t{n}", item[1], tuple(_name(item, system) for system in heard), "mixture")
                for n, (item, heard) in enumerate(playlist)
            ]
            for playlist in lists
        ],
    )
    save_study(study, folder)
    return study


def _name(item: tuple[str, str, int], system: str) -> str:
    return f"{item[0]}-{item[1]}-{system}"
