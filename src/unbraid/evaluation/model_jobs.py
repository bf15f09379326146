"""Jobs whose estimates come from a model, computed one track at a time, when needed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unbraid.audio.write import AudioFormat, AudioWriter
from unbraid.data.tracks import MIXTURE, Track, part_name
from unbraid.errors import AudioError, EvaluationError
from unbraid.evaluation.evaluate import Job, stamp_files
from unbraid.evaluation.pairs import PairReader, TrackPair, pair_tracks

SeparateFile = Callable[[Path, Path], Mapping[str, Path]]
"""Takes a mixture and a folder; writes stems there, unclipped float wav; gives stem to file."""


def model_jobs(
    tracks: Sequence[Track],
    separate: SeparateFile,
    identity: Any,
    scratch: Path,
    *,
    stems: Sequence[str] | None = None,
    keep: Path | None = None,
) -> list[Job]:
    """One job a track.

    Args:
        tracks: references, and mixtures as far as there are any; the sum of the stems otherwise.
        separate: the model.
        identity: plain JSON that identifies model and settings.
        scratch: folder for what is removed once it is scored.
        stems: estimates to score.
        keep: keep the estimates here, as KEEP/TRACK/STEM.wav, instead of removing them.
    """
    return [
        _job(track, separate, identity, scratch / str(number), stems, keep)
        for number, track in enumerate(tracks)
    ]


def _job(
    track: Track,
    separate: SeparateFile,
    identity: Any,
    scratch: Path,
    stems: Sequence[str] | None,
    keep: Path | None,
) -> Job:
    def make() -> TrackPair:
        scratch.mkdir(parents=True, exist_ok=True)
        mixture = track.mixture or _write_sum(track, scratch / f"{MIXTURE}.wav")
        folder = scratch / "estimates" if keep is None else keep / track.name
        try:
            made = separate(mixture, folder)
        except OSError as error:
            raise AudioError(f"its estimates cannot be written: {error}") from error
        estimates = {part_name(stem): path for stem, path in made.items()}
        (pair,) = pair_tracks([track], [Track(track.name, folder, estimates)], stems)
        if pair.problem is not None:
            raise EvaluationError(pair.problem)
        return pair

    files = {**track.stems, **({MIXTURE: track.mixture} if track.mixture else {})}
    return Job(
        name=track.name,
        sources=[identity, stamp_files(files)],
        make=make,
        tidy=lambda: shutil.rmtree(scratch, ignore_errors=True),
        problem=track.problem,
    )


def _write_sum(track: Track, path: Path) -> Path:
    """The mixture of a track that has none: the sum of its stems."""
    if not track.stems:
        raise EvaluationError("its folder holds neither stems nor a mixture")
    reader = PairReader(TrackPair(track.name, track.stems, track.stems))
    with AudioWriter(
        path, AudioFormat("wav", "32f", None), reader.sample_rate, reader.channels
    ) as out:
        for block in _sums(reader):
            out.write(block)
    return path


def _sums(reader: PairReader) -> Iterator[np.ndarray]:
    for references, _ in reader.blocks():
        yield references.sum(axis=0).astype(np.float32)
