"""What is known about the tracks of a dataset from earlier runs: nothing is looked at twice."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unbraid.atomic import write_text
from unbraid.cache_root import cache_root
from unbraid.data.indexed_track import IndexedTrack, files
from unbraid.data.sound_files import SoundFile, look_at, stamp

_VERSION = 1


class KeptIndex:
    """What earlier runs found out about one root and split, in `index/` of the cache folder.

    Args:
        root: the dataset.
        split: "train", "valid" or "test".
    """

    def __init__(self, root: Path, split: str) -> None:
        name = hashlib.sha256(str(root).encode("utf-8", "surrogateescape")).hexdigest()[:16]
        self._path = cache_root() / "index" / f"{name}-{split}.json"
        self._known: dict[str, Any] = {"files": {}, "tracks": {}}
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            if content["version"] == _VERSION:
                self._known = {"files": dict(content["files"]), "tracks": dict(content["tracks"])}
        except (OSError, ValueError, KeyError, TypeError):
            pass  # none yet, or not readable: it is rebuilt

    def file(self, path: Path) -> SoundFile:
        """The current file; read only if it has changed."""
        path = Path(path).absolute()
        now = list(stamp(path))
        known = self._known["files"].get(str(path))
        if known is not None and known[:2] == now:
            return SoundFile(path, *known)
        return look_at(path)

    def levels(self, track: IndexedTrack) -> tuple[float, float, float] | None:
        """Mean, deviation and loudness of the mixture, if its files are what they were; or None."""
        known = self._known["tracks"].get(str(track.folder))
        if known is None or known["of"] != _levels_of(track):
            return None
        loudness = known["loudness_lufs"]
        return known["mean"], known["std"], -math.inf if loudness is None else loudness

    def save(self, tracks: Sequence[IndexedTrack]) -> None:
        """Keep what was found, if the cache folder can be written at all."""
        content: dict[str, Any] = {"version": _VERSION, "files": {}, "tracks": {}}
        for kind, known in self._known.items():
            content[kind].update(known)
        for track in tracks:
            for file in files(track):
                facts = [getattr(file, field.name) for field in dataclasses.fields(file)]
                content["files"][str(file.path)] = facts[1:]
            loudness = track.loudness_lufs
            content["tracks"][str(track.folder)] = {
                "of": _levels_of(track),
                "mean": track.mean,
                "std": track.std,
                "loudness_lufs": loudness if math.isfinite(loudness) else None,
            }
        for kind in self._known:
            there = {path: known for path, known in content[kind].items() if Path(path).exists()}
            content[kind] = there
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self._path, json.dumps(content))
        except (OSError, UnicodeEncodeError):
            pass  # nothing is lost but time


def _levels_of(track: IndexedTrack) -> list[list[Any]]:
    """Which files, in which state, the levels of a track come from."""
    chosen = [track.mixture] if track.mixture else list(track.stems.values())
    return [[file.path.name, file.size, file.mtime_ns] for file in chosen]
