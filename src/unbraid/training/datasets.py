"""The data of a run: excerpts to train on and whole tracks to validate on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from unbraid.data.cache import SampleCache
from unbraid.data.excerpts import Excerpts
from unbraid.data.index import TrackIndex, build_index
from unbraid.data.indexed_track import IndexedTrack
from unbraid.data.tracks import MUSDB_VALIDATION
from unbraid.errors import SettingsError
from unbraid.training.config import Recipe, model_member

OnSplitTrack = Callable[[str, int, int], None]
"""Called with a split, how many of its tracks are done, and of how many."""


@dataclass(frozen=True)
class RunData:
    """The data of a run.

    Attributes:
        excerpts: of the training tracks.
        validation: whole tracks, none if the dataset has no such split.
        stems, sample_rate, channels: of both, those of the model.
        cache: the cache of decoded audio, if any.
    """

    excerpts: Excerpts
    validation: tuple[IndexedTrack, ...]
    stems: tuple[str, ...]
    sample_rate: int
    channels: int
    cache: SampleCache | None

    def summary(self) -> dict[str, Any]:
        """Amounts of data, in plain values."""
        return {
            "stems": list(self.stems),
            "training_tracks": len(self.excerpts.tracks),
            "training_seconds": round(sum(t.duration_s for t in self.excerpts.tracks), 1),
            "validation_tracks": len(self.validation),
            "validation_seconds": round(sum(t.duration_s for t in self.validation), 1),
            "tracks_digest": self.tracks_digest(),
            "excerpts": len(self.excerpts),
            "excerpt_seconds": round(self.excerpts.samples / self.sample_rate, 3),
        }

    def tracks_digest(self) -> str:
        """Changes with the training tracks: their names, lengths and stems, wherever they are."""
        facts = [
            [track.root, track.name, track.samples, track.sample_rate, sorted(track.stems)]
            for track in self.excerpts.tracks
        ]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def open_data(
    recipe: Recipe,
    roots: Sequence[str | Path],
    weights: Sequence[float] | None = None,
    on_track: OnSplitTrack | None = None,
) -> RunData:
    """Index the datasets and open them by the recipe.

    Raises:
        SettingsError, AudioReadError: if something is wrong with a dataset; names the file.
    """
    spec = model_member(recipe).config.spec

    def index(split: str, weights: Sequence[float] | None = None) -> TrackIndex:
        told = None if on_track is None else partial(on_track, split)
        missing = recipe.data.missing
        return build_index(
            roots, split, spec.stems, weights=weights, missing=missing, on_track=told
        )

    train = index("train", weights)
    valid: TrackIndex | None = None
    if has_validation(roots):
        valid = index("valid")
    if recipe.data.train_valid:
        if valid is None:
            raise SettingsError("data.train_valid is on, but the dataset has no validation tracks")
        train = dataclasses.replace(train, tracks=train.tracks + valid.tracks)
    cache = None
    if recipe.data.cache_gb > 0:
        cache = SampleCache(max_bytes=int(recipe.data.cache_gb * 1e9))
    excerpts = Excerpts(
        train,
        spec.stems,
        spec.sample_rate,
        spec.channels,
        recipe.excerpts,
        seed=recipe.seed,
        repitch=recipe.repitch if recipe.repitch.probability > 0 else None,
        cache=cache,
    )
    seconds = excerpts.samples / spec.sample_rate
    if seconds <= recipe.augment.shift_s:
        raise SettingsError(
            f"excerpts of {seconds:g} s leave nothing after a shift of up to "
            f"{recipe.augment.shift_s:g} s; make excerpts.excerpt_s longer or augment.shift_s less"
        )
    tracks = valid.tracks if valid is not None else ()
    return RunData(excerpts, tracks, tuple(spec.stems), spec.sample_rate, spec.channels, cache)


def has_validation(roots: Sequence[str | Path]) -> bool:
    """Whether a dataset has a folder `valid`, or MUSDB18's validation songs in `train`."""
    for root in map(Path, roots):
        if (root / "valid").is_dir():
            return True
        if any((root / "train" / name).is_dir() for name in MUSDB_VALIDATION):
            return True
    return False
