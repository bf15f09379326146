"""Separate a whole library with any number of processes and machines; resume
after any stop.

unbraid batch ~/Music -o stems              run the command again to resume
unbraid batch ~/Music -o stems --workers 2  the same on other machines helps
unbraid batch ~/Music -o stems --watch      also songs that are added later
unbraid batch ~/Music -o stems --ray        on a Ray cluster, or --ray HOST:PORT
unbraid batch status stems                  show the progress
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from unbraid.atomic import make_folder
from unbraid.cli import separate, types
from unbraid.errors import SettingsError
from unbraid.words import counted

if TYPE_CHECKING:
    from unbraid.batch.journal import Entry, Journal
    from unbraid.batch.request import BatchRequest
    from unbraid.batch.store_state import StoreJournal
    from unbraid.cli.batch_progress import BatchProgress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All options of the command."""
    add = parser.add_argument
    add("inputs", metavar="INPUT", nargs="+", help="files, folders or patterns; or: status OUT")
    add("-o", "--out", metavar="DIR", help="output folder, shared by all workers")
    separate.add_model_options(parser)
    add("--stream", metavar="N", type=types.count, help="which audio stream (that of players)")
    separate.add_output_options(parser.add_argument_group("what is written"))
    separate.add_separation_options(parser.add_argument_group("how it is separated"))
    _add_run(parser.add_argument_group("the batch"))


def _add_run(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--workers", metavar="N", type=types.count, help="processes here (1); with --ray at most")
    ray = "work on a Ray cluster at this address (that in RAY_ADDRESS, or a new one here)"
    add("--ray", metavar="ADDRESS", type=types.ray_address, nargs="?", const="", help=ray)
    shard = "only share I of N of the songs, for job arrays"
    add("--shard", metavar="I/N", type=types.shard, default=(1, 1), help=shard)
    add("--retries", metavar="N", type=int, default=2, help="of a failed song (%(default)s)")
    pause = "pause before the first retry; each further one is four times as long (%(default)s)"
    add("--pause", metavar="S", type=float, default=5.0, help=pause)
    add("--retry-failed", action="store_true", help="try songs again that failed in an earlier run")
    lease = "take over the songs of a worker that was silent for this long (%(default)s)"
    add("--lease", metavar="S", type=float, default=60.0, help=lease)
    add("--watch", action="store_true", help="keep looking for new songs until interrupted")
    add("--overwrite", action="store_true", help="replace existing files")
    add("--json", action="store_true", help="print the journal's line of each song on stdout")
    add("--quiet", action="store_true", help="print nothing but errors on stderr")


def run(options: argparse.Namespace) -> int:
    """Run the batch, or show its progress; returns the exit code."""
    if options.inputs[0] == "status" and not Path("status").exists():
        return _status(options)
    if options.out is None:
        raise SettingsError("a batch needs an output folder: -o DIR")
    from unbraid.cli.batch_progress import BatchProgress

    request = _request(options)
    total, problems = _songs(request)
    if problems and not total:
        raise SettingsError("; ".join(problems))
    for problem in problems:
        print(f"unbraid: {problem}", file=sys.stderr)
    if not request.has_urls:
        make_folder(request.folder)
    part, parts = request.shard
    with BatchProgress(
        _journal(request),
        request.retries,
        None if total is None else len(range(total)[part - 1 :: parts]),
        quiet=options.quiet,
        as_json=options.json,
    ) as progress:
        _work(request, options, progress)
    return 1 if progress.failed or problems else 0


def _songs(request: BatchRequest) -> tuple[int | None, list[str]]:
    """How many songs the inputs mean, None if more may come; and why some of them mean nothing."""
    from unbraid.batch.store import find_songs
    from unbraid.tracks.inputs import find_inputs

    if request.watch:
        return None, []
    if request.has_urls:
        found = {place: find_songs((place,), str(request.out)) for place in request.inputs}
        songs = {song.url for several in found.values() for song in several}
        return len(songs), [f"there are no songs at {p!r}" for p, s in found.items() if not s]
    tracks = find_inputs(list(request.inputs), request.folder)
    problems = [track.problem for track in tracks if track.problem is not None]
    return len(tracks) - len(problems), problems


def _work(request: BatchRequest, options: argparse.Namespace, progress: BatchProgress) -> None:
    from unbraid.batch.ray_cluster import run_on_ray
    from unbraid.batch.supervisor import run_workers

    if options.ray is None:
        run_workers(request, options.workers or 1, progress.tick, notes=not options.quiet)
        return
    run_on_ray(
        request,
        options.ray,
        options.workers,
        progress.tick,
        lambda note: progress.note(f"note: {note}"),
    )


def _request(options: argparse.Namespace) -> BatchRequest:
    from unbraid.batch.request import BatchRequest
    from unbraid.batch.store import is_url

    options.skip_existing = True
    return BatchRequest(
        inputs=tuple(options.inputs),
        out=options.out if is_url(options.out) else Path(options.out),
        output=separate.output_settings(options),
        separator=separate.separator_arguments(options),
        stream=options.stream,
        shard=options.shard,
        retries=options.retries,
        first_pause_s=options.pause,
        retry_failed=options.retry_failed,
        lease_s=options.lease,
        watch=options.watch,
    )


def _journal(request: BatchRequest) -> Journal | StoreJournal:
    from unbraid.batch.journal import Journal
    from unbraid.batch.store import Store
    from unbraid.batch.store_state import StoreJournal

    return StoreJournal(Store(str(request.out))) if request.has_urls else Journal(request.folder)


def _status(options: argparse.Namespace) -> int:
    if len(options.inputs) != 2:
        raise SettingsError("unbraid batch status takes one output folder")
    entries, working = _state_of(options.inputs[1], options.lease)
    failed = [entry for entry in entries if entry.status == "failed"]
    hours = sum(entry.seconds_audio or 0 for entry in entries if entry.status == "done") / 3600
    print(f"{len(entries) - len(failed)} done ({hours:.2f} hours of audio), {len(failed)} failed")
    workers = counted(len(set(working)), "worker")
    print(f"{counted(len(working), 'song')} in progress, by {workers}")
    for entry in failed:
        print(f"failed after attempt {entry.attempt}: {entry.song}: {entry.error}")
    return 1 if failed else 0


def _state_of(place: str, lease_s: float) -> tuple[list[Entry], list[str]]:
    """The last attempt at every song, and the owner of each song that is claimed."""
    from unbraid.batch import claims
    from unbraid.batch.journal import FILE, Journal
    from unbraid.batch.store import Store, is_url
    from unbraid.batch.store_state import StoreJournal, owners
    from unbraid.batch.worker import STATE

    if is_url(place):
        store = Store(place)
        entries, working = StoreJournal(store).entries(), owners(store)
        if not entries and not working:
            raise SettingsError(f"{place!r} holds no batch")
        return entries, working
    folder = Path(place)
    if not (folder / FILE).is_file():
        raise SettingsError(f"{place!r} holds no batch: there is no {FILE}")
    return Journal(folder).entries(), claims.owners(folder / STATE / "claims", lease_s)
