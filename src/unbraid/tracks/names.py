"""Names of the files that are written: from a template, safe, apart from each other, never outside.

A rendered name stays below the output root whatever a song is called: fields lose separators,
control characters and leading dots, and over-long names are cut with a mark of their own.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from unbraid.errors import SettingsError
from unbraid.tracks.safe_names import LONGEST_NAME_BYTES, safe_name, shorten

HEARD = ("bpm", "key")
"""Fields that are known only once a song was heard; until then they stay as they are in names."""
PROJECT = "project"
_LONGEST_FIELD_BYTES = {"trackext": 32, "model": 80, "stem": 80}


@dataclass(frozen=True)
class InputTrack:
    """A song to separate.

    Attributes:
        path: the file.
        folder: names of the folders, below the output root, that mirror where it was found.
        problem: why it cannot be a song, known before it is opened; None for all others.
        stream: which of several audio streams, counted from 1; None for the one that players take.
        copy: the file to read where `path` is a pipe that was copied; None for all others.
        notes: what a listener should know about how it was found, in sentences.
    """

    path: Path
    folder: tuple[str, ...] = ()
    problem: str | None = None
    stream: int | None = None
    copy: Path | None = None
    notes: tuple[str, ...] = ()

    @property
    def file(self) -> Path:
        """The file that is read."""
        return self.path if self.copy is None else self.copy

    @property
    def name(self) -> str:
        """What the song is called: its file name, "stdin" or "pipe"."""
        path = self.path.as_posix()
        if path in ("-", "/dev/stdin"):
            return "stdin"
        return "pipe" if re.fullmatch(r"/(dev|proc/\w+)/fd/\d+", path) else self.path.name

    def request(self, request: str) -> str:
        """The digest of a request, for this song: another stream gives other stems."""
        return request if self.stream is None else f"{request} stream {self.stream}"


@dataclass(frozen=True)
class OutputPlan:
    """Where one song's parts go.

    Attributes:
        track: the song.
        root: the output root.
        group: relative pattern that all parts of the song share; names its record.
        files: part to relative path below the root, as POSIX.
        ext: extension of the files, without its dot.
        heard: values of the fields in `HEARD`, once they are known.
        project: relative path of the project file; None if there is none.
    """

    track: InputTrack
    root: Path
    group: str
    files: dict[str, str]
    ext: str = ""
    heard: Mapping[str, str] = field(default_factory=dict)
    project: str | None = None

    @property
    def everything(self) -> dict[str, str]:
        """As `files`, with the project."""
        return self.files if self.project is None else {**self.files, PROJECT: self.project}

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of the names that are known only once the song was heard."""
        return tuple(name for name in HEARD if f"{{{name}}}" in self.group)

    def named(self, heard: Mapping[str, str]) -> OutputPlan:
        """The plan with the names that it has once the song was heard; its group stays."""
        files = {part: _filled(name, heard) for part, name in self.files.items()}
        project = None if self.project is None else _filled(self.project, heard)
        return replace(self, files=files, heard=heard, project=project)

    @property
    def page(self) -> str:
        """Relative path of the song's report, named as its parts are: "report" is its stem."""
        return self._named_as_its_parts("report", "html")

    def _named_as_its_parts(self, stem: str, suffix: str) -> str:
        folder, _, name = _filled(self.group.replace("*", stem), self.heard).rpartition("/")
        bare = name.removesuffix(f".{self.ext}") if self.ext else name
        return f"{folder}/{bare}.{suffix}" if folder else f"{bare}.{suffix}"

    def path(self, part: str) -> Path:
        """Where `part` is written."""
        return self.root / self.everything[part]

    def with_project(self) -> OutputPlan:
        """The plan with a project file next to the stems, named like them."""
        return replace(self, project=self._named_as_its_parts(PROJECT, "rpp"))


def _filled(name: str, heard: Mapping[str, str]) -> str:
    for known, value in heard.items():
        name = name.replace(f"{{{known}}}", value)
    return name


def plan_outputs(
    tracks: Sequence[InputTrack],
    root: Path,
    template: str,
    *,
    parts: Sequence[str],
    ext: str,
    model: str,
    project: bool = False,
) -> list[OutputPlan]:
    """Give every part of every song its file.

    All files of the run are known and distinct. Songs that would share a file are distinguished in
    the order given: the second "song" becomes "song.mp3" (its own file name), the next "song (2)".

    Args:
        tracks: all songs of the request, so that names do not depend on which are done here.
        root: output root.
        template: as `check_template` accepts it.
        parts: written parts.
        ext: extension of the files, without its dot.
        model: name of the model.
        project: whether each song also gets a project file.
    Raises:
        SettingsError: if the template gives two songs, or two parts of one, the same file.
    """
    plans: list[OutputPlan] = []
    taken = _Taken()
    for track in tracks:
        values = {
            "trackext": track.path.suffix.lstrip("."),
            "ext": ext,
            "model": model,
            **{name: f"{{{name}}}" for name in HEARD},
        }
        tried: set[str] = set()
        for attempt, name in enumerate(_track_names(Path(track.name))):
            group, files = _render(template, {**values, "track": name}, parts, track.folder)
            plan = OutputPlan(track, root, group, files, ext)
            plan = plan.with_project() if project else plan
            other = taken.other(plan)
            if other is None:
                break
            if group in tried:  # other names for the track change nothing
                raise SettingsError(
                    f"the template {template!r} gives {other} and {track.path} the same names; "
                    "put {track} into it"
                )
            if attempt > len(plans) + 2:  # a folder that mirrors the song's own is in the way
                raise SettingsError(
                    f"the template {template!r} gives {other} a file where {track.path} needs a "
                    "folder; put .{ext} into it"
                )
            tried.add(group)
        taken.add(plan)
        plans.append(plan)
    return plans


class _Taken:
    """All files of a run, as a disk compares them that knows no case; and the folders above them.

    The songs' reports count too, so that names are the same with and without them.
    """

    def __init__(self) -> None:
        self._files: dict[str, Path] = {}
        self._folders: dict[str, Path] = {}

    def add(self, plan: OutputPlan) -> None:
        """Take the files of a song.

        Raises:
            SettingsError: if two of its parts share a file.
        """
        for key in _keys(plan):
            if key in self._files:
                raise SettingsError(
                    f"two parts of {plan.track.path} would share the file {key}; "
                    "choose another template"
                )
            self._files[key] = plan.track.path
            for folder in _above(key):
                self._folders[folder] = plan.track.path

    def other(self, plan: OutputPlan) -> Path | None:
        """A song that owns one of these file names; None if all are free."""
        for key in _keys(plan):
            other = self._files.get(key) or self._folders.get(key)
            for folder in _above(key):
                other = other or self._files.get(folder)
            if other is not None:
                return other
        return None


def _keys(plan: OutputPlan) -> list[str]:
    names = (*plan.everything.values(), plan.page)
    return [unicodedata.normalize("NFC", name).casefold() for name in names]


def _above(key: str) -> list[str]:
    parts = key.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]


def _track_names(path: Path) -> Iterator[str]:
    yield path.stem
    yield path.name
    number = 2
    while True:
        yield f"{path.stem} ({number})"
        number += 1


def _render(
    template: str, values: dict[str, str], parts: Sequence[str], folder: Sequence[str]
) -> tuple[str, dict[str, str]]:
    """Names of all parts of one song, the track's name cut so far that every one fits."""
    safe = {
        field: safe_name(text, _LONGEST_FIELD_BYTES.get(field, LONGEST_NAME_BYTES)) if text else ""
        for field, text in values.items()
    }
    above = [safe_name(name) for name in folder]
    stems = {part: safe_name(part, _LONGEST_FIELD_BYTES["stem"]) for part in ("*", *parts)}
    room = len(safe["track"].encode())
    while True:
        fields = {**safe, "track": shorten(safe["track"], room)}
        names = {p: template.format(**fields, stem=stem) for p, stem in stems.items()}
        over = max(len(c.encode()) for n in names.values() for c in n.split("/")) - 255
        if over <= 0:
            break
        if room <= 16:
            raise SettingsError(f"the template {template!r} makes names longer than 255 bytes")
        room = max(room - over, 16)
    # A field may end up alone in its component, so that only the whole shows a hidden or odd name.
    whole = {
        p: str(PurePosixPath(*above, *(safe_name(c) for c in name.split("/") if c)))
        for p, name in names.items()
    }
    group = whole.pop("*")
    return group, whole
