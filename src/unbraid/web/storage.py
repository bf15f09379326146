"""Where the files of the web app are, and that none is left behind.

    DATA/jobs.sqlite3             all jobs
    DATA/server.lock              held by the server that uses this folder
    DATA/incoming/                uploads on their way, mixes being rendered; emptied at each start
    DATA/songs/ID/original.EXT    as uploaded
    DATA/songs/ID/excerpt.wav     what a preview separates
    DATA/songs/ID/listen/         16-bit copies for the mixer, of what cannot be read from anywhere
    DATA/songs/ID/listen.json     where stems can be heard while they are separated
    DATA/songs/ID/stems/          PART.EXT
    DATA/songs/ID/peaks.json

A song's folder comes before its row in the database and goes after it, so that a crash leaves
folders without rows, never rows without folders; the next start removes those.
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

from unbraid.audio.suffixes import EXTENSIONS
from unbraid.errors import SettingsError
from unbraid.locks import HeldLock, try_lock

ID = re.compile(r"[0-9a-f]{20}")


def data_root() -> Path:
    """Where this user's songs are kept when no folder is named."""
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
    """A name that nobody can guess."""
    return secrets.token_hex(10)


def known_suffix(name: str) -> str:
    """The suffix of a client's file name if it is a usual one of sound files, else "".

    FFmpeg tells a few formats by it; nothing else of the name goes any further.

    >>> known_suffix("../../etc/song.MP3"), known_suffix("song.mp3/..")
    ('.mp3', '')
    """
    suffix = name.rpartition(".")[2].lower()
    return f".{suffix}" if suffix in EXTENSIONS else ""


class Storage:
    """The folder of one server.

    Args:
        root: made if need be.
    Raises:
        SettingsError: if it cannot be made or written, or another server uses it.
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
        return self.root / "jobs.sqlite3"

    def song(self, id: str) -> Path:
        """The folder of a song."""
        if not ID.fullmatch(id):
            raise ValueError(f"{id!r} is no id")
        return self.songs / id

    def original(self, id: str, suffix: str) -> Path:
        """The uploaded file."""
        return self.song(id) / f"original{suffix}"

    def arriving(self) -> Path:
        """A new name for a file on its way."""
        return self.incoming / secrets.token_hex(10)

    def free_bytes(self) -> int:
        """Free space of the disk."""
        return shutil.disk_usage(self.root).free

    def take(self, id: str, arrived: Path, suffix: str) -> None:
        """Move an upload that is complete into the folder of a new song."""
        self.song(id).mkdir()
        arrived.replace(self.original(id, suffix))

    def share(self, old: str, new: str, suffix: str) -> None:
        """Give a new song the upload of another, without taking its space twice."""
        self.song(new).mkdir()
        source, target = self.original(old, suffix), self.original(new, suffix)
        try:
            os.link(source, target)
        except OSError:  # a file system without links
            shutil.copyfile(source, target)

    def used_bytes(self, id: str) -> int:
        """Disk that a song takes."""
        total = 0
        for folder, _, names in os.walk(self.song(id)):
            for name in names:
                with suppress(OSError):
                    total += Path(folder, name).stat().st_size
        return total

    def clear_results(self, id: str) -> None:
        """Remove all but the upload, before a song is separated anew."""
        for path in list(self.song(id).iterdir()) if self.song(id).is_dir() else []:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.stem != "original":
                path.unlink(missing_ok=True)

    def remove(self, id: str) -> None:
        """Remove all files of a song: out of sight at once, then from the disk."""
        grave = self.arriving()
        with suppress(OSError):
            self.song(id).rename(grave)
            shutil.rmtree(grave, ignore_errors=True)

    def sweep(self, known: Collection[str]) -> int:
        """Remove what no job knows; returns how many songs and files that were."""
        orphans = [path for path in self.songs.iterdir() if path.name not in known]
        orphans += list(self.incoming.iterdir())
        for path in orphans:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        return len(orphans)

    def close(self) -> None:
        """Let another server use the folder."""
        self._lock.close()


def _hold(path: Path) -> HeldLock:
    lock = try_lock(path)
    if lock is None:
        raise SettingsError(
            f"another unbraid serve uses {str(path.parent)!r}; end it, or choose another --data"
        )
    return lock
