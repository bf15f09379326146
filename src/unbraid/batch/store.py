"""A folder at a URL, in an object store or elsewhere, by way of the package `fsspec`.

Objects appear whole or not at all. Object stores (s3, gs, az) show an object when its upload is
complete; on everything else it is uploaded under another name and then moved.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from unbraid.audio.suffixes import EXTENSIONS
from unbraid.errors import SettingsError, UnbraidError, how_to_install

_ATOMIC = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"}
_SINGLE = {"http", "https"}  # servers that list no folders


def is_url(place: object) -> bool:
    """Whether a place is a URL and no path.

    >>> is_url("s3://bucket/songs"), is_url("/srv/songs")
    (True, False)
    """
    return "://" in str(place) and not isinstance(place, Path)


class Store:
    """A folder at a URL.

    Args:
        url: of the folder, such as "s3://bucket/stems", or a path.
    Attributes:
        url: as given, without a slash at its end.
    Raises:
        SettingsError: if the package for such URLs is not installed, or the URL is wrong.
    """

    def __init__(self, url: str) -> None:
        self.url = str(url).rstrip("/")
        self._fs, self._root = _opened(self.url)
        self._is_atomic = bool(_protocols(self._fs) & _ATOMIC)

    def read(self, name: str) -> bytes | None:
        """The content of an object; None if there is none."""
        try:
            content: bytes = self._fs.cat_file(self._path(name))
        except FileNotFoundError:
            return None
        return content

    def write(self, name: str, content: bytes) -> None:
        """Write an object, whole or not at all."""
        if self._is_atomic:
            self._fs.pipe_file(self._path(name), content)
            return
        part = self._part(name)
        self._fs.pipe_file(part, content)
        self._fs.mv(part, self._path(name))

    def create(self, name: str, content: bytes) -> bool:
        """Write an object unless it is there; of several that try at once, one succeeds."""
        self._make_folder(name)
        try:
            self._fs.pipe_file(self._path(name), content, mode="create")
        except FileExistsError:
            return False
        return True

    def upload(self, file: Path, name: str) -> None:
        """Write an object from a file, whole or not at all."""
        if self._is_atomic:
            self._fs.put_file(str(file), self._path(name))
            return
        part = self._part(name)
        try:
            self._fs.put_file(str(file), part)
            self._fs.mv(part, self._path(name))
        except BaseException:
            if self._fs.exists(part):
                self._fs.rm_file(part)
            raise

    def delete(self, name: str) -> None:
        """Delete an object that may be there."""
        try:
            self._fs.rm_file(self._path(name))
        except FileNotFoundError:
            return

    def exists(self, name: str) -> bool:
        """Whether there is such an object."""
        self._fs.invalidate_cache()
        return bool(self._fs.exists(self._path(name)))

    def names(self, folder: str) -> Iterator[tuple[str, int]]:
        """Name and size of the objects in a folder, by name; unfinished ones are left out."""
        for name, size in self._files(folder):
            if not name.startswith("."):
                yield f"{folder}/{name}", size

    def clear_unfinished(self, names: Iterable[str]) -> None:
        """Delete what those have left who died while they wrote these objects."""
        if self._is_atomic:
            return
        places = [name.rpartition("/") for name in names]
        for folder in {folder for folder, _, _ in places}:
            starts = tuple(f".{last}." for above, _, last in places if above == folder)
            for name, _ in list(self._files(folder)):
                if name.startswith(starts) and name.endswith(".part"):
                    self.delete(f"{folder}/{name}")

    def _files(self, folder: str) -> Iterator[tuple[str, int]]:
        self._fs.invalidate_cache()
        try:
            found = self._fs.ls(self._path(folder), detail=True)
        except FileNotFoundError:
            return
        for info in sorted(found, key=lambda info: str(info["name"])):
            if info["type"] == "file":
                yield str(info["name"]).rstrip("/").rpartition("/")[2], int(info["size"] or 0)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _part(self, name: str) -> str:
        self._make_folder(name)
        folder, _, last = self._path(name).rpartition("/")
        return f"{folder}/.{last}.{uuid.uuid4().hex[:8]}.part"

    def _make_folder(self, name: str) -> None:
        if not self._is_atomic:  # object stores have no folders
            self._fs.makedirs(self._path(name).rpartition("/")[0], exist_ok=True)


class RemoteSong:
    """A song at a URL, or a local one.

    Attributes:
        url: of the song.
        folder: names of the folders between the place that was searched and the song.
        stamp: size, and a number that changes with its content; None if it is not there.
    """

    def __init__(self, fs: Any, path: str, folder: tuple[str, ...]) -> None:
        self._fs, self._path, self.folder = fs, path, folder
        self.url = str(fs.unstrip_protocol(path))

    @property
    def name(self) -> str:
        """The last part of its URL."""
        return self._path.partition("?")[0].rstrip("/").rpartition("/")[2]

    @cached_property
    def stamp(self) -> tuple[int, int] | None:
        """See the class."""
        try:
            info = self._fs.info(self._path)
        except (OSError, ValueError):
            return None
        known = [str(info.get(key, "")) for key in ("ETag", "etag", "mtime", "LastModified")]
        digest = sha256("|".join(known).encode()).digest()
        return int(info.get("size") or 0), int.from_bytes(digest[:6], "big")

    def download(self, file: Path) -> None:
        """Copy the song into a file.

        Raises:
            UnbraidError: if it cannot be read.
        """
        try:
            self._fs.get_file(self._path, str(file))
        except Exception as error:  # each kind of store has errors of its own
            reason = f"{type(error).__name__}: {error}".partition("\n")[0]
            raise UnbraidError(f"{self.url} cannot be read: {reason}") from error


def find_songs(places: tuple[str, ...], besides: str) -> list[RemoteSong]:
    """All songs at URLs or paths, each once, by URL; folders are searched, patterns are resolved.

    Args:
        places: URLs or paths.
        besides: URL of a folder whose objects are not songs: the output.
    """
    found: dict[str, RemoteSong] = {}
    own = _opened(besides)
    for place in places:
        fs, root = _opened(place)
        skipped = own[1] if type(own[0]) is type(fs) else None
        for path, folder in _below(fs, root):
            if skipped is None or not path.startswith(f"{skipped}/"):
                song = RemoteSong(fs, path, folder)
                found.setdefault(song.url, song)
    return [found[url] for url in sorted(found)]


def _below(fs: Any, root: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    if _protocols(fs) & _SINGLE:
        yield root, ()
    elif any(mark in root for mark in "*?[") and not fs.exists(root):
        for path in sorted(fs.glob(root)):
            yield str(path), ()
    elif fs.isdir(root):
        for path in sorted(fs.find(root)):
            *folders, name = str(path)[len(root) :].strip("/").split("/")
            hidden = any(part.startswith(".") for part in (*folders, name))
            if not hidden and name.rpartition(".")[2].lower() in EXTENSIONS:
                yield str(path), tuple(folders)
    elif fs.exists(root):
        yield root, ()


def _opened(url: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise SettingsError(
            "URLs need more packages, and s3fs, gcsfs or another one for the kind of store: "
            f"{how_to_install('stores')}"
        ) from None
    try:
        fs, path = url_to_fs(url)
    except ImportError as error:
        raise SettingsError(f"{url}: {error}") from None
    except ValueError as error:
        raise SettingsError(f"{url} is not a URL that can be opened: {error}") from None
    return fs, str(path).rstrip("/")


def _protocols(fs: Any) -> set[str]:
    protocol = fs.protocol
    return {protocol} if isinstance(protocol, str) else set(protocol)
