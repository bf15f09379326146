"""Score many tracks, each once, and summarize the scores.

OUT/test/TRACK.json   scores of a track, in museval's form (`scores`)
OUT/scores.csv        one line for each track and stem
OUT/summary.json      figures of the set with their intervals (`summary`)

A track whose scores exist, for the same estimates, references and settings, is not scored again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from unbraid.data.tracks import find_tracks
from unbraid.errors import EvaluationError, SettingsError, UnbraidError
from unbraid.evaluation.pairs import TrackPair, left_over, pair_tracks
from unbraid.evaluation.score_track import score_track
from unbraid.evaluation.scores import FORMAT, TrackScores, is_ours, load_track, save_track
from unbraid.evaluation.workers import Workers

METRICS = ("nsdr", "bsseval4")
_MOST_WORKERS = 8


@dataclass(frozen=True)
class EvaluationSettings:
    """Settings of an evaluation.

    Attributes:
        metrics: "nsdr" (with SI-SDR and cSDR, which cost next to nothing) and "bsseval4" (the same
            and cISR, cSIR, cSAR).
        stems: estimates to score; None: of every stem that has a reference.
        window_s: length of the frames in seconds.
        leaked: why the scores are leaked, such as training on the test set; added to every
            output.
        baselines: also score what needs no model, to compare with (`baselines`).
    Raises:
        SettingsError: for an unknown metric, or an invalid window.
    """

    metrics: tuple[str, ...] = METRICS
    stems: tuple[str, ...] | None = None
    window_s: float = 1.0
    leaked: str | None = None
    baselines: bool = True

    def __post_init__(self) -> None:
        for metric in self.metrics:
            if metric not in METRICS:
                raise SettingsError(f"metrics are {' and '.join(METRICS)}, got {metric!r}")
        if not self.metrics:
            raise SettingsError(f"metrics names none; known are {' and '.join(METRICS)}")
        if not 0.01 <= self.window_s <= 3600:
            raise SettingsError(f"window_s lies between 0.01 and 3600, got {self.window_s:g}")


@dataclass(frozen=True)
class Job:
    """A track to score.

    Attributes:
        name: of the track.
        sources: plain JSON that identifies references and estimates.
        make: returns the files, perhaps after a long computation.
        tidy: called when they are no longer needed.
        problem: why it cannot be scored; None for all others.
    """

    name: str
    sources: Any
    make: Callable[[], TrackPair]
    tidy: Callable[[], None] = lambda: None
    problem: str | None = None


@dataclass(frozen=True)
class Evaluation:
    """The results of all tracks.

    Attributes:
        tracks: scores, sorted by name.
        kept: names of those that had been scored before.
        failed: name -> the problem, in one line.
        notes: notes that concern no single track.
    """

    tracks: list[TrackScores]
    kept: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


OnTrack = Callable[[str, "TrackScores | str"], None]


def evaluate_folders(
    references: str | os.PathLike[str],
    estimates: str | os.PathLike[str],
    out: str | os.PathLike[str],
    settings: EvaluationSettings | None = None,
    *,
    workers: int | None = None,
    on_track: OnTrack | None = None,
) -> Evaluation:
    """Score folders of estimates against folders of references; see `pairs` for the rules.

    Args:
        references, estimates: folders of TRACK/STEM.SUFFIX.
        out: folder for the scores; each track's file is written as soon as it is scored.
        workers: processes; None takes one for each core, 8 at most.
        on_track: called with a track's name and its scores, or what went wrong.
    Raises:
        SettingsError: if there is nothing to compare.
    """
    settings = settings or EvaluationSettings()
    truths, guesses = find_tracks(references), find_tracks(estimates)
    pairs = pair_tracks(truths, guesses, settings.stems)
    jobs = [_folder_job(pair) for pair in pairs]
    extra = [
        f"estimates of {name!r} have no references; left out" for name in left_over(truths, guesses)
    ]
    done = evaluate_jobs(jobs, out, settings, workers=workers, on_track=on_track)
    return replace(done, notes=extra)


def evaluate_jobs(
    jobs: Sequence[Job],
    out: str | os.PathLike[str],
    settings: EvaluationSettings,
    *,
    split: str = "test",
    workers: int | None = None,
    on_track: OnTrack | None = None,
) -> Evaluation:
    """Score all jobs that have not been scored before.

    At most one more than `workers` are made ready at a time, so that their files take little room.

    Raises:
        SettingsError: if `out` holds files of scores that are not ours.
    """
    run = _Run(Path(out) / split, settings, on_track or (lambda name, outcome: None))
    run.check_free(jobs)
    count = workers or min(_cores(), _MOST_WORKERS)
    with Workers(min(count, len(jobs))) as pool:
        run.all(jobs, pool)
    return Evaluation(
        tracks=sorted(run.tracks, key=lambda track: track.name),
        kept=sorted(run.kept),
        failed=dict(sorted(run.failed.items())),
    )


class _Run:
    """The state of one evaluation."""

    def __init__(self, folder: Path, settings: EvaluationSettings, on_track: OnTrack) -> None:
        self._folder = folder
        self._settings = settings
        self._on_track = on_track
        self._pending: dict[Future[TrackScores], tuple[Job, str]] = {}
        self.tracks: list[TrackScores] = []
        self.kept: list[str] = []
        self.failed: dict[str, str] = {}

    def check_free(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            path = self._path(job.name)
            if not is_ours(path):
                raise SettingsError(
                    f"{str(path)!r} is in the way and was not written by unbraid evaluate; choose "
                    "another --out"
                )

    def all(self, jobs: Sequence[Job], pool: Workers) -> None:
        try:
            for job in jobs:
                while len(self._pending) > pool.count:
                    self._collect(pool)
                self._begin(job, pool)
            while self._pending:
                self._collect(pool)
        finally:
            for job, _ in self._pending.values():
                job.tidy()

    def _begin(self, job: Job, pool: Workers) -> None:
        inputs = _digest(job, self._settings)
        known = self._known(job.name, inputs)
        if known is not None:
            self.kept.append(job.name)
            self._done(job.name, known)
            return
        try:
            if job.problem is not None:
                raise EvaluationError(job.problem)
            pair = job.make()
        except UnbraidError as error:
            job.tidy()
            self._fail(job.name, error)
            return
        future = pool.submit(
            score_track,
            pair,
            bsseval="bsseval4" in self._settings.metrics,
            window_s=self._settings.window_s,
            baselines=self._settings.baselines,
        )
        self._pending[future] = (job, inputs)

    def _collect(self, pool: Workers) -> None:
        ended, _ = wait(self._pending, return_when=FIRST_COMPLETED)
        for future in ended:
            job, inputs = self._pending.pop(future)
            try:
                scores = replace(
                    pool.result(future),
                    name=job.name,
                    settings=_plain(self._settings),
                    inputs=inputs,
                    leaked=self._settings.leaked,
                )
                save_track(self._path(job.name), scores)
                # As the file has it, so that a track counts the same now and when it is kept.
                self._done(job.name, load_track(self._path(job.name)))
            except (UnbraidError, OSError, MemoryError) as error:
                self._fail(job.name, error)
            finally:
                job.tidy()

    def _done(self, name: str, scores: TrackScores) -> None:
        self.tracks.append(scores)
        self._on_track(name, scores)

    def _fail(self, name: str, error: Exception) -> None:
        text = " ".join(str(error).split()) or type(error).__name__
        self.failed[name] = text
        # What an earlier run found must not pass for this one's.
        self._path(name).unlink(missing_ok=True)
        self._on_track(name, text)

    def _known(self, name: str, inputs: str) -> TrackScores | None:
        try:
            scores = load_track(self._path(name))
        except EvaluationError:
            return None
        complete = scores.baselines is not None or not self._settings.baselines
        return scores if complete and scores.inputs == inputs else None

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def _folder_job(pair: TrackPair) -> Job:
    files = {"references": pair.references, "estimates": pair.estimates}
    stamps = {kind: stamp_files(paths) for kind, paths in files.items()}
    return Job(pair.name, stamps, lambda: pair, problem=pair.problem)


def stamp_files(files: Mapping[str, Path]) -> dict[str, list[Any]]:
    """Detects changes of files: path, size and modification time."""
    stamps = {}
    for stem, path in files.items():
        try:
            stat = path.stat()
        except OSError:
            continue  # reading it will say what is wrong
        stamps[stem] = [str(path.absolute()), stat.st_size, stat.st_mtime_ns]
    return stamps


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _plain(settings: EvaluationSettings) -> dict[str, Any]:
    return {
        "metrics": list(settings.metrics),
        "stems": None if settings.stems is None else list(settings.stems),
        "window_s": settings.window_s,
    }


def _digest(job: Job, settings: EvaluationSettings) -> str:
    facts = [FORMAT, _plain(settings), settings.leaked, job.sources]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
