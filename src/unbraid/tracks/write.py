"""The third step: stems are encoded, and get their names when all of them are complete."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from unbraid.atomic import fsync_file, make_folder, rename_all
from unbraid.audio.files import AudioInfo
from unbraid.audio.tags import read_tags
from unbraid.separation.progress import Progress
from unbraid.tracks.decode import Decoded
from unbraid.tracks.encode import Encoded, TrackEncoder
from unbraid.tracks.failures import naming_the_disk
from unbraid.tracks.names import PROJECT, OutputPlan
from unbraid.tracks.project import reaper_project
from unbraid.tracks.records import publishing, save_record
from unbraid.tracks.result import TrackResult, peak_rss_mb
from unbraid.tracks.separate import Separated

_FIRST = 0.94  # of the song's progress


def write(separated: Separated) -> TrackResult:
    """Write all parts of a song, or none.

    Raises:
        UnbraidError: if they cannot be written; nothing has changed then.
        OSError: if a folder cannot be made.
    """
    begun = time.monotonic()
    decoded = separated.decoded
    plan, info = decoded.plan, decoded.info
    with naming_the_disk(plan):
        encoded = _encode(separated)
        if plan.fields or plan.project is not None:
            from unbraid.tracks.heard import hear  # which few songs need

            plan = plan.named(hear(decoded.sound, info.sample_rate))
        files = {**encoded.files, **_project(decoded, plan)}
    _publish(decoded, plan, files)
    return TrackResult(
        input=str(plan.track.path),
        status="done",
        outputs={part: plan.path(part) for part in plan.files},
        seconds_audio=decoded.sound.samples / info.sample_rate,
        seconds_wall=separated.seconds + time.monotonic() - begun,
        peak_rss_mb=peak_rss_mb(),
        null_test_db=encoded.null_test_db,
        gain_db=20.0 * math.log10(encoded.gain),
        sample_rate=decoded.delivery.sample_rate,
        channels=info.channels,
        stream=info.stream,
        notes=(*_notes(decoded, encoded), *encoded.notes),
    )


def _project(decoded: Decoded, plan: OutputPlan) -> dict[str, Path]:
    """The project file, if one is wanted."""
    if plan.project is None:
        return {}
    bpm = plan.heard.get("bpm", "")
    text = reaper_project(
        {part: plan.path(part) for part in plan.files},
        plan.path(PROJECT).parent,
        seconds=decoded.sound.samples / decoded.info.sample_rate,
        sample_rate=decoded.delivery.sample_rate,
        tempo=float(bpm) if bpm.isdigit() else None,
    )
    path = decoded.scratch.folder / "project.rpp"
    path.write_text(text, "utf-8")
    return {PROJECT: path}


def _encode(separated: Separated) -> Encoded:
    decoded = separated.decoded
    job, watch = decoded.job, decoded.watch
    watch.tell(Progress("write", _FIRST, None))
    encoder = TrackEncoder(
        info=decoded.info,
        source=decoded.sound,
        stems=separated.stems,
        parts=job.parts,
        output=job.output,
        chosen=decoded.delivery.format,
        sample_rate=decoded.delivery.sample_rate,
        seed=job.settings.seed,
    )
    tags = read_tags(decoded.plan.track.file)
    encoded = encoder.run(decoded.scratch.folder, tags, watch.within(_FIRST, 1.0))
    watch.tell(Progress("write", 1.0, None))
    return encoded


def _publish(decoded: Decoded, plan: OutputPlan, files: Mapping[str, Path]) -> None:
    """Give all files their names; the record first, so that they are ours whatever happens."""
    for path in files.values():  # while nobody waits for it
        fsync_file(path)
    request = plan.track.request(decoded.job.request)
    with publishing(plan.root):
        decoded.job.check_free(plan, decoded.content)
        for part in files:
            make_folder(plan.path(part).parent)
        draft = decoded.scratch.folder / "record.json"
        save_record(plan, files, request, decoded.content, draft)
        rename_all({path: plan.path(part) for part, path in files.items()})


def _notes(decoded: Decoded, encoded: Encoded) -> list[str]:
    job, info, delivery = decoded.job, decoded.info, decoded.delivery
    track = decoded.plan.track
    output, notes = job.output, [*track.notes, *_notes_of_source(info, track.stream)]
    if encoded.saturated:
        notes.append(
            f"{encoded.saturated} samples were beyond full scale and were cut off "
            f"(clip mode {output.clip_mode})"
        )
    if encoded.moved:
        closing = job.parts.closing
        notes.append(f"{encoded.moved} samples of {closing} did not fit and went to a stem")
    if output.sample_rate == "source" and delivery.sample_rate != info.sample_rate:
        notes.append(
            f"{delivery.format.name} does not take {info.sample_rate} Hz; "
            f"written at {delivery.sample_rate} Hz"
        )
    if output.residual and output.two_stems:
        notes.append(f"{job.parts.closing} already holds what is left; no residual is written")
    return notes


def _notes_of_source(info: AudioInfo, asked: int | None) -> Iterator[str]:
    count = len(info.stream_names)
    if count > 1 and asked is None:
        others = ", ".join(
            f"{number} {name}".rstrip()
            for number, name in enumerate(info.stream_names, 1)
            if number != info.stream
        )
        yield (
            f"audio stream {info.stream} of {count} was separated; "
            f"--stream takes another one ({others})"
        )
    if info.delay_s:
        yield (
            f"the audio starts {info.delay_s:.3f} s after the picture; the stems begin with as "
            "much silence, so that they stay aligned with the video"
        )
