"""Ratings, from the database and from exported files, with what was behind each sound."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unbraid.errors import SettingsError
from unbraid.listening.store import FILE, Store
from unbraid.listening.study import Study


@dataclass(frozen=True)
class Answer:
    """One answer, unblinded.

    Attributes:
        rater: a short name, such as "r3"; no token.
        sound: the file that was rated.
        system, track, stem: what was behind it.
        question: which.
        value: the answer.
        listened_s: how long it had been heard.
    """

    rater: str
    sound: str
    system: str
    track: str
    stem: str
    question: str
    value: float
    listened_s: float


def read_answers(study: Study, folder: Path, exports: Sequence[Path] = ()) -> list[Answer]:
    """All answers of a study that count: of its database, `exports/` and the files given.

    Practice does not count. If there are two files of one rater, the later one counts.

    Raises:
        SettingsError: if a file is not an export of this study.
    """
    found: dict[str, list[tuple[str, str, str, float, float]]] = {}
    playlists: dict[str, int] = {}
    if (folder / FILE).exists():
        store = Store(folder / FILE)
        for token, playlist, _, _ in store.raters():
            playlists[token] = playlist
            found[token] = [
                (r.trial, r.sound, r.question, r.value, r.listened_s) for r in store.ratings(token)
            ]
    for path in [*sorted((folder / "exports").glob("*.json")), *exports]:
        content = _read_export(path, study)
        token = str(content["token"])
        playlists[token] = int(content["playlist"])
        found[token] = [
            (r["trial"], r["sound"], r["question"], float(r["value"]), float(r["listened_s"]))
            for r in content["ratings"]
        ]
    answers = []
    for number, (token, rows) in enumerate(found.items(), 1):
        answers += _unblinded(study, f"r{number}", playlists[token], rows)
    return answers


def _unblinded(
    study: Study,
    rater: str,
    playlist: int,
    rows: Iterable[tuple[str, str, str, float, float]],
) -> list[Answer]:
    answers = []
    low, high = study.settings.scale
    for trial_id, sound, question, value, listened_s in rows:
        trial = study.trial(playlist, trial_id)
        if trial is None or sound not in trial.sounds or not low <= value <= high:
            raise SettingsError(f"an answer of {rater} to {trial_id} does not fit this study")
        if trial.practice or question not in study.question_names:
            continue
        fact = study.sounds[sound]
        answers.append(
            Answer(*(rater, sound, fact.system, fact.track, fact.stem, question, value, listened_s))
        )
    return answers


def _read_export(path: Path, study: Study) -> Any:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        if content["unbraid_listening"] != 1 or not isinstance(content["ratings"], list):
            raise KeyError("ratings")
        for rating in content["ratings"]:
            float(rating["value"]), float(rating["listened_s"]), rating["trial"], rating["sound"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"{str(path)!r} is not a file of ratings: {error}") from None
    if content["study"] != study.id:
        raise SettingsError(f"{str(path)!r} belongs to another study, {content['study']}")
    return content
