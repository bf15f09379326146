"""The files of the web app.

    DATA/jobs.sqlite3             all jobs
    DATA/server.lock              held by the server that uses this folder
    DATA/incoming/                unfinished uploads and mixes; emptied at each start
    DATA/songs/ID/original.EXT    as uploaded
    DATA/songs/ID/cover.jpg       a small copy of the cover in the upload
    DATA/songs/ID/excerpt.wav     what a preview separates
    DATA/songs/ID/listen/         16-bit copies for the mixer, of files without random access
    DATA/songs/ID/listen.json     where the stems are during separation
    DATA/songs/ID/stems/          PART.EXT
    DATA/songs/ID/peaks.json
    DATA/songs/ID/music.json      beats and chords; music-edited.json if somebody corrected them
    DATA/songs/ID/report.html     if somebody wanted to see it

A song's folder is created before its row in the database and deleted after it, so that a crash can
leave folders without rows, but never rows without folders; the next start removes such folders.
What is in it is on the disk before the row says so, and the row before a client is told.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sys
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from unbraid.atomic import fsync_tree, make_folder, publish
from unbraid.audio.suffixes import EXTENSIONS
from unbraid.errors import SettingsError
from unbraid.locks import HeldLock, try_lock

ID = re.compile(r"[0-9a-f]{20}")


def data_root() -> Path:
    """The default folder for this user's songs."""
    own = os.environ.get("UNBRAID_DATA")
    if own:
        return Path(own).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "unbraid"
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home()) / "unbraid"
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "unbraid"


def new_id() -> str:
    """A random, unguessable name."""
    return secrets.token_hex(10)


def known_suffix(name: str) -> str:
    """The suffix of a client's file name if it is a common audio suffix, else "".

    FFmpeg recognizes a few formats by it; the rest of the name is not used.

    >>> known_suffix("../../etc/song.MP3"), known_suffix("song.mp3/..")
    ('.mp3', '')
    """
    suffix = name.rpartition(".")[2].lower()
    return f".{suffix}" if suffix in EXTENSIONS else ""


class Storage:
    """The folder of one server.

    Args:
        root: created if needed.
    Raises:
        SettingsError: if it cannot be created or written, or another server uses it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.songs = self.root / "songs"
        self.incoming = self.root / "incoming"
        try:
            for folder in (self.root, self.songs, self.incoming):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _hold(self.root / "server.lock")
        except OSError as error:
            raise SettingsError(
                f"songs cannot be kept in {str(root)!r}: {error.strerror or error}; "
                "choose another --data"
            ) from None

    @property
    def database(self) -> Path:
        """The file of the job store."""
        return self.root / "jobs.sqlite3"

    def song(self, id: str) -> Path:
        """The folder of a song."""
        if not ID.fullmatch(id):
            raise ValueError(f"{id!r} is not an id")
        return self.songs / id

    def original(self, id: str, suffix: str) -> Path:
        """The uploaded file."""
        return self.song(id) / f"original{suffix}"

    def arriving(self) -> Path:
        """A new name for an unfinished file."""
        return self.incoming / secrets.token_hex(10)

    def free_bytes(self) -> int:
        """Free space on the disk."""
        return shutil.disk_usage(self.root).free

    def take(self, id: str, arrived: Path, suffix: str) -> None:
        """Move a complete upload into the folder of a new song."""
        make_folder(self.song(id))
        publish(arrived, self.original(id, suffix))

    def share(self, old: str, new: str, suffix: str) -> None:
        """Give a new song the upload of another, without taking its space twice."""
        make_folder(self.song(new))
        source, target = self.original(old, suffix), self.original(new, suffix)
        try:
            os.link(source, target)
        except OSError:  # a file system without links
            shutil.copyfile(source, target)
        fsync_tree(target.parent)

    def used_bytes(self, id: str) -> int:
        """Disk space of a song."""
        total = 0
        for folder, _, names in os.walk(self.song(id)):
            for name in names:
                with suppress(OSError):
                    total += Path(folder, name).stat().st_size
        return total

    def clear_results(self, id: str) -> None:
        """Remove everything except the upload, before a song is separated again."""
        for path in list(self.song(id).iterdir()) if self.song(id).is_dir() else []:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.stem != "original":
                path.unlink(missing_ok=True)

    def remove(self, id: str) -> None:
        """Remove all files of a song: first from its folder, then from the disk."""
        grave = self.arriving()
        with suppress(OSError):
            self.song(id).rename(grave)
            shutil.rmtree(grave, ignore_errors=True)

    def sweep(self, known: Collection[str]) -> int:
        """Remove files that belong to no job; returns how many songs and files were removed."""
        orphans = [path for path in self.songs.iterdir() if path.name not in known]
        orphans += list(self.incoming.iterdir())
        for path in orphans:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        return len(orphans)

    def close(self) -> None:
        """Release the folder for another server."""
        self._lock.close()


def _hold(path: Path) -> HeldLock:
    lock = try_lock(path)
    if lock is None:
        raise SettingsError(
            f"another unbraid serve uses {str(path.parent)!r}; end it, or choose another --data"
        )
    return lock
