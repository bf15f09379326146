"""What was written, of what, and how: hidden files below the output root, one for each song.

A record lets the next run replace only what it may: files that unbraid wrote and that nobody
has changed since. It also tells `skip_existing` that the stems belong to this content, with
these very settings. It is written before the files get their names, so that a run that dies
between two of them still knows both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from unbraid.atomic import make_folder, publish
from unbraid.audio.container import shown
from unbraid.errors import AudioWriteError
from unbraid.locks import locked
from unbraid.tracks.names import OutputPlan

FOLDER = Path(".unbraid") / "records"
_VERSION = 1


@dataclass(frozen=True)
class SourceContent:
    """A song's file as it was when we read it.

    Attributes:
        path: absolute.
        size, mtime_ns, ctime_ns, inode: as the file system had them; the digest is trusted while
            they stay.
        sha256: of the whole file.
    """

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    sha256: str


@dataclass(frozen=True)
class WrittenFile:
    """A file of ours: `size` and `mtime_ns` when written, and the fingerprint of the request."""

    size: int
    mtime_ns: int
    request: str
    source: SourceContent

    @property
    def stamp(self) -> tuple[int, int]:
        """As `stamp_of` gives it."""
        return self.size, self.mtime_ns


@dataclass(frozen=True)
class Record:
    """All files that were written for one song, by relative path.

    Attributes:
        files: by relative path.
        heard: what was heard in the song and is part of its names, see `names.HEARD`.
        replaced: files of ours that those of the same paths were to replace. They are still there
            if the run died before it came to them.
    """

    files: Mapping[str, WrittenFile] = field(default_factory=dict)
    heard: Mapping[str, str] = field(default_factory=dict)
    replaced: Mapping[str, WrittenFile] = field(default_factory=dict)

    def of(self, plan: OutputPlan, part: str) -> WrittenFile | None:
        """What we know of the file of `part`, if it is as we wrote it."""
        name, stamp = plan.everything[part], stamp_of(plan.path(part))
        known = (self.files.get(name), self.replaced.get(name))
        return next((file for file in known if file is not None and file.stamp == stamp), None)

    def stamps(self) -> Iterator[tuple[int, int]]:
        """Those of all files, as `stamp_of` gives them."""
        for file in (*self.files.values(), *self.replaced.values()):
            yield file.stamp


def stamp_of(path: Path) -> tuple[int, int] | None:
    """Size in bytes and modification time in nanoseconds of a file; None if it is not there."""
    try:
        stat = path.stat()
    except (OSError, ValueError):
        return None
    return stat.st_size, stat.st_mtime_ns


def load_record(plan: OutputPlan) -> Record:
    """The record of a song; an empty one if it is missing or cannot be read."""
    return _read(_record_path(plan.root, plan.group))


def written_paths(root: Path) -> Iterator[Path]:
    """Every file below `root` that any record calls ours."""
    for path in sorted((root / FOLDER).glob("*.json")):
        for name in _read(path).files:
            yield root / name


def written_stamps(root: Path) -> set[tuple[int, int]]:
    """(size, mtime_ns) of every file that any record below `root` calls ours.

    They identify our files under any name: a rename changes neither.
    """
    return {stamp for path in (root / FOLDER).glob("*.json") for stamp in _read(path).stamps()}


@contextmanager
def publishing(root: Path) -> Iterator[None]:
    """Files below `root` get their names here, those of one song at a time.

    So the record of a song and its files belong together, also if two runs separate it at once.

    Raises:
        OSError: if nothing can be written below `root`.
    """
    make_folder(root / FOLDER)
    with locked(root / FOLDER / "lock"):
        yield


def save_record(
    plan: OutputPlan,
    finished: Mapping[str, Path],
    request: str,
    source: SourceContent,
    draft: Path,
) -> None:
    """Note finished files, which still have their temporary names, before they get their own.

    Call it while `publishing`.

    Args:
        plan: where they go.
        finished: part to its finished file; a rename keeps its size and time.
        request: fingerprint of the request.
        source: of which content they are.
        draft: a name for the unfinished record.
    """
    record = load_record(plan)
    files, replaced = dict(record.files), dict(record.replaced)
    for part, path in finished.items():
        name, there = plan.everything[part], record.of(plan, part)
        replaced.pop(name, None)
        if there is not None:
            replaced[name] = there
        size, mtime_ns = stamp_of(path) or (0, 0)
        files[name] = WrittenFile(size, mtime_ns, request, source)
    content = {"version": _VERSION, "files": _plain(files)}
    if replaced:
        content["replaced"] = _plain(replaced)
    if plan.heard:
        content["heard"] = dict(plan.heard)
    draft.write_text(json.dumps(content, indent=1), encoding="utf-8")
    publish(draft, _record_path(plan.root, plan.group))


def look_at_source(path: Path, record: Record) -> SourceContent:
    """The content of a song; not read again if the record knows it and the file has not changed.

    Raises:
        OSError: if it cannot be read.
    """
    stat = path.stat()
    now = SourceContent(
        path=str(path.absolute()),
        size=stat.st_size,
        mtime_ns=stat.st_mtime_ns,
        ctime_ns=stat.st_ctime_ns,
        inode=stat.st_ino,
        sha256="",
    )
    for written in record.files.values():
        known = written.source
        if known == replace(now, sha256=known.sha256):
            return known
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return replace(now, sha256=digest.hexdigest())


def is_done(plan: OutputPlan, record: Record, request: str, source: SourceContent) -> bool:
    """Whether all files of the plan are there, untouched, of this content and this request."""
    for part in plan.everything:
        written = record.of(plan, part)
        if written is None or written.request != request:
            return False
        if written.source.sha256 != source.sha256:
            return False
    return True


def check_free(
    plan: OutputPlan,
    record: Record,
    source: SourceContent,
    *,
    overwrite: bool,
    inputs: Collection[tuple[int, int]] = (),
) -> None:
    """Refuse to replace what is not ours to replace.

    Args:
        overwrite: replace any ordinary file but a song of this request.
        inputs: (device, inode) of all songs of the request.
    Raises:
        AudioWriteError: if a file in the way was not written by us, was changed since, belongs to
            another song, or is an input; or if a link leads out of the output root.
    """
    root = plan.root.resolve()
    for part in plan.everything:
        path = plan.path(part)
        if not path.parent.resolve().is_relative_to(root):
            raise AudioWriteError(
                f"{shown(path)} leads out of {shown(plan.root)} by a link; choose another --out"
            )
        if not path.exists() and not path.is_symlink():
            continue
        if not path.is_file():
            raise AudioWriteError(f"{shown(path)} is in the way and is not a file; move it away")
        stat = path.stat()
        if (stat.st_dev, stat.st_ino) in inputs:
            raise AudioWriteError(
                f"{shown(path)} is a song to separate; choose another --out or --filename"
            )
        if overwrite:
            continue
        written = record.of(plan, part)
        if written is None:
            raise AudioWriteError(
                f"{shown(path)} exists and was not written by unbraid, or was changed since; "
                "use --overwrite to replace it"
            )
        earlier = written.source
        if earlier.path != source.path and earlier.sha256 != source.sha256:
            raise AudioWriteError(
                f"{shown(path)} holds a stem of another song, {shown(Path(earlier.path))}; "
                "use --overwrite to replace it, or another --out or --filename"
            )


def _record_path(root: Path, group: str) -> Path:
    return root / FOLDER / f"{hashlib.sha256(group.encode()).hexdigest()[:32]}.json"


def _read(path: Path) -> Record:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        if content["version"] != _VERSION:
            return Record()
        files, replaced = (_written(content.get(kind, {})) for kind in ("files", "replaced"))
        heard = {str(name): str(value) for name, value in content.get("heard", {}).items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Record()  # without a record nothing is ours: nothing is replaced unasked
    return Record(files, heard, replaced)


def _plain(files: Mapping[str, WrittenFile]) -> dict[str, Any]:
    return {name: asdict(written) for name, written in sorted(files.items())}


def _written(files: Mapping[str, Any]) -> dict[str, WrittenFile]:
    return {
        str(name): WrittenFile(**{**entry, "source": SourceContent(**entry["source"])})
        for name, entry in files.items()
    }
