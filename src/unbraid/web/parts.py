"""The files and samples of a song's parts, as far as they are there."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unbraid.web.job import Job
from unbraid.web.pcm import MOST_SECONDS, ORIGINAL, find_part, read_samples, read_unfinished
from unbraid.web.refusals import Refusal, not_found
from unbraid.web.storage import Storage

NO_SONG = "This song does not exist; it may have been deleted."


def part_file(storage: Storage, job: Job, part: str) -> Path:
    """The file of a stem, or the upload.

    Raises:
        Refusal: 404, or 409 if it is not ready.
    """
    if part == ORIGINAL:
        path = storage.original(job.id, job.suffix)
    else:
        _check_part(job, part)
        extension = job.settings.output().extension
        path = storage.song(job.id) / "stems" / f"{part}.{extension}"
    if not path.is_file():
        raise not_found(NO_SONG)
    return path


def samples_of(
    storage: Storage, job: Job, part: str, start: int, count: int
) -> tuple[np.ndarray, int]:
    """Samples of a stem, int16 (samples, channels), and their rate; also during separation.

    Raises:
        Refusal: 404, 409 if none are ready, 422 for too many at once.
    """
    facts = job.facts
    rate = facts.sample_rate
    if rate is None:
        raise not_ready()
    if count > MOST_SECONDS * rate:
        raise Refusal(422, "too_many_samples", f"Ask for at most {MOST_SECONDS:g} s at once.")
    if job.status == "running" and facts.channels is not None and part in facts.parts:
        unfinished = read_unfinished(
            storage.song(job.id), part, facts.stems, facts.channels, start, count
        )  # fmt: skip
        if unfinished is None:
            raise not_ready()
        return unfinished, rate
    path = part_sound(storage, job, part)
    return read_samples(path, start, min(count, max(0, (facts.samples or 0) - start)))


def part_sound(storage: Storage, job: Job, part: str) -> Path:
    """A file of a stem that can be read from any sample.

    Raises:
        Refusal: 404, or 409 if it is not ready.
    """
    if part != ORIGINAL:
        _check_part(job, part)
    elif job.facts.samples is None:
        raise not_ready()
    path = find_part(storage.song(job.id), part)
    if path is None:
        raise not_ready()
    return path


def _check_part(job: Job, part: str) -> None:
    if job.status != "succeeded":
        raise not_ready()
    if part not in job.facts.parts:
        raise not_found("This song does not have that stem.")


def not_ready() -> Refusal:
    """409."""
    return Refusal(409, "not_ready", "This is not ready yet; wait until the song is separated.")
