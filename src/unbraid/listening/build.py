"""A study folder from systems: excerpts drawn, matched, named by hashes; playlists; the page."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from unbraid.atomic import fsync_tree, rename_all
from unbraid.audio.formats import AudioFormat
from unbraid.audio.levels import quantize
from unbraid.audio.signal import Signal
from unbraid.audio.write import AudioWriter
from unbraid.errors import SettingsError
from unbraid.listening.page import study_page
from unbraid.listening.playlists import (
    Item,
    pool_of,
    side_by_side_playlists,
    single_playlists,
)
from unbraid.listening.stimuli import (
    SAMPLE_RATE,
    FolderSystem,
    Mixtures,
    System,
    choose_start,
    low_passed,
    matched,
)
from unbraid.listening.study import (
    ANCHOR,
    Sound,
    Study,
    StudySettings,
    Trial,
    save_study,
)
from unbraid.scratch import Scratch

_DAY = 86_400  # every file gets this time, so that none shows when it was made
_FORMAT = AudioFormat("flac", "16")


def build_study(
    out: Path,
    references: FolderSystem,
    systems: Sequence[System],
    settings: StudySettings,
    *,
    stems: Sequence[str],
    tracks: Sequence[str] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Study:
    """Make the folder of a study, whole or not at all.

    Args:
        out: a new or empty folder.
        references: true stems; they are the hidden reference.
        systems: what is compared with them.
        settings: how.
        stems: to ask about.
        tracks: to draw from; None takes all that the references and all folders have.
        on_progress: called with excerpts done and all excerpts.
    Raises:
        SettingsError: if the folder is not empty, names clash, or nothing is there to compare.
        AudioError: if a sound cannot be read or written.
        OSError: if the disk is full or cannot be written.
    """
    names = [references.name, *(system.name for system in systems)]
    _check(out, names, settings)
    rng = np.random.default_rng(settings.seed)
    chosen = _common_tracks(references, systems) if tracks is None else sorted(tracks)
    if not chosen or not stems:
        raise SettingsError("no track exists for all systems; nothing to compare")
    items = [(t, s, n) for t in chosen for s in stems for n in range(settings.excerpts)]
    practice, items = _practice_items(items, settings, rng)
    size = settings.pool_size(len(names))
    if size is not None:
        items = pool_of(items, max(size, settings.samples), rng)  # so that a rater meets none twice
    trials = _draw(items, names, settings, rng)
    used = sorted({item for playlist in trials for item, _ in playlist} | set(practice))
    with Scratch(out.absolute().parent) as scratch:
        folder = scratch.folder / "study"
        maker = _Maker(folder, references, systems, settings, rng)
        maker.make_all(used, on_progress)
        study = Study(
            id=secrets.token_hex(8),
            settings=settings,
            systems=tuple(names) + ((ANCHOR,) if settings.mode == "mushra" else ()),
            reference=references.name,
            stems=tuple(stems),
            sounds=dict(sorted(maker.sounds.items())),
            playlists=[
                _screens(maker, playlist, practice, references.name, names, rng)
                for playlist in trials
            ],
        )
        (folder / "public" / "index.html").write_text(study_page(study).render(), "utf-8")
        save_study(study, folder)
        _put(folder, out)
    return study


def _put(folder: Path, out: Path) -> None:
    """Give a folder its name, once all of it is on the disk."""
    fsync_tree(folder)
    try:
        if out.exists():  # and is empty
            out.rmdir()
        rename_all({folder: out})
    except OSError as error:
        raise SettingsError(
            f"{str(out)!r} cannot become a study: {error.strerror}; choose another --out"
        ) from error


class _Maker:
    """Writes the sounds of excerpts and remembers what is behind each."""

    def __init__(
        self,
        out: Path,
        references: FolderSystem,
        systems: Sequence[System],
        settings: StudySettings,
        rng: np.random.Generator,
    ) -> None:
        self._folder = out / "public" / "audio"
        self._references = references
        self._systems: list[System] = [references, *systems]
        self._mixtures = Mixtures(references)
        self._settings = settings
        self.mushra = settings.mode == "mushra"
        self._rng = rng
        self._secret = secrets.token_bytes(32)
        self.sounds: dict[str, Sound] = {}
        self.by_item: dict[Item, dict[str, str]] = {}

    def make_all(
        self, items: Sequence[Item], on_progress: Callable[[int, int], None] | None
    ) -> None:
        """All sounds of all excerpts."""
        self._folder.mkdir(parents=True)
        for number, item in enumerate(items):
            self._make(item)
            if on_progress:
                on_progress(number + 1, len(items))

    def _make(self, item: Item) -> None:
        """All sounds of one excerpt: every system's, the mixture, and what MUSHRA needs."""
        track, stem, _ = item
        seconds = self._settings.excerpt_s
        start_s = choose_start(self._references.file(track, stem), seconds, self._rng)
        signals: dict[str, Signal] = {
            system.name: system.excerpt(track, stem, start_s, seconds) for system in self._systems
        }
        mixture = self._mixtures.excerpt(track, start_s, seconds)
        if self.mushra:
            signals[ANCHOR] = low_passed(mixture, self._settings.anchor_hz)
        signals["\0mixture"] = mixture
        samples = min(signal.shape[1] for signal in signals.values())
        signals = {name: signal[:, :samples] for name, signal in signals.items()}
        ready = matched(signals, self._references.name, self._settings.loudness_lufs)
        if self.mushra:
            ready["\0open"] = ready[self._references.name]
        files = self.by_item[item] = {}
        for name, (signal, gain_db, lufs) in ready.items():
            role = {"\0mixture": "mixture", "\0open": "open"}.get(name, "rated")
            system = self._references.name if name.startswith("\0") else name
            file = self._name(*item, name)
            self._write(file, signal)
            sound = Sound(file, role, system, track, stem, start_s, gain_db, lufs)
            self.sounds[file] = sound
            files[name] = file

    def _name(self, *facts: object) -> str:
        text = "\0".join(map(str, facts)).encode("utf-8", "surrogatepass")
        return hmac.new(self._secret, text, hashlib.sha256).hexdigest()[:24] + ".flac"

    def _write(self, file: str, signal: Signal) -> None:
        path = self._folder / file
        with AudioWriter(path, _FORMAT, SAMPLE_RATE, 2) as writer:
            writer.write(quantize(signal, 16, self._rng))
        os.utime(path, (_DAY, _DAY))


def _screens(
    maker: _Maker,
    playlist: Sequence[tuple[Item, str]],
    practice: Sequence[Item],
    reference: str,
    names: Sequence[str],
    rng: np.random.Generator,
) -> list[Trial]:
    """The screens of one rater: practice first."""
    mushra = maker.mushra
    shown = [*names, ANCHOR] if mushra else names
    warm_up = [
        (item, reference if k == 0 else names[-1 - (k - 1) % max(1, len(names) - 1)])
        for k, item in enumerate(practice)
    ]
    screens = []
    for number, (item, system) in enumerate([*warm_up, *playlist]):
        files = maker.by_item[item]
        order = [shown[k] for k in rng.permutation(len(shown))] if mushra else [system]
        screens.append(
            Trial(
                id=f"t{number}",
                stem=item[1],
                sounds=tuple(files[name] for name in order),
                mixture=files["\0mixture"],
                open_reference=files.get("\0open"),
                practice=number < len(warm_up),
            )
        )
    return screens


def _draw(
    items: Sequence[Item], names: Sequence[str], settings: StudySettings, rng: np.random.Generator
) -> list[list[tuple[Item, str]]]:
    if settings.mode == "likert":
        return single_playlists(items, names, settings.samples, settings.raters, rng)
    drawn = side_by_side_playlists(items, settings.samples, settings.raters, rng)
    return [[(item, "") for item in playlist] for playlist in drawn]


def _practice_items(
    items: list[Item], settings: StudySettings, rng: np.random.Generator
) -> tuple[list[Item], list[Item]]:
    """Excerpts for practice, and those left; the same ones where there are too few to set apart."""
    count = min(settings.practice, len(items))
    order = rng.permutation(len(items))
    practice = [items[k] for k in order[:count]]
    left = [item for item in items if item not in practice]
    stems = {item[1] for item in items}
    if {item[1] for item in left} != stems or len(left) < len(items) / 2:
        return practice, items
    return practice, left


def _common_tracks(references: FolderSystem, systems: Sequence[System]) -> list[str]:
    common = references.tracks()
    for system in systems:
        if isinstance(system, FolderSystem):
            common &= system.tracks()
    return sorted(common)


def _check(out: Path, names: Sequence[str], settings: StudySettings) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SettingsError(f"{str(out)!r} is not empty; a study needs an empty folder")
    if len(names) < 2:
        raise SettingsError("a study compares at least one system with the reference")
    wrong = [name for name in names if not name or name == ANCHOR or not name.isprintable()]
    if wrong or len(set(names)) < len(names):
        raise SettingsError(f"systems need distinct names other than {ANCHOR!r}; got {names}")


def describe(study: Study) -> Mapping[str, object]:
    """A study in a few plain values."""
    ratings = sum(
        len(trial.sounds) * len(study.question_names)
        for playlist in study.playlists
        for trial in playlist
        if not trial.practice
    )
    return {
        "id": study.id,
        "systems": list(study.systems),
        "stems": list(study.stems),
        "sounds": len(study.sounds),
        "playlists": len(study.playlists),
        "ratings_planned": ratings,
    }
