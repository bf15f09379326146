"""A process of its own that writes the report of a song, as `unbraid separate --report` does.

The server starts it with a `ReportRequest` on stdin; it answers on stdout with `ReadProgress`, then
`Learned` or `Refused`.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote

from unbraid.errors import UnbraidError
from unbraid.separation.progress import Progress, Watch
from unbraid.song_page.report import FILENAME, write_song_report
from unbraid.tracks.result import TrackResult
from unbraid.web.messages import (
    Learned,
    Message,
    ReadProgress,
    Refused,
    ReportRequest,
    SongFacts,
    from_line,
    to_line,
)
from unbraid.web.pcm import ORIGINAL
from unbraid.web.reader import plain_sentence

_NICE = 5  # as workers have


def write(request: ReportRequest, watch: Watch) -> Path:
    """Write the report into the song's folder.

    Raises:
        UnbraidError: if a file cannot be read, or the model cannot be loaded.
        OSError: if the disk is full.
    """
    facts, song = request.facts, Path(request.song)
    extension = request.settings.output().extension
    result = TrackResult(
        input=request.path,
        status="done",
        outputs={part: song / "stems" / f"{part}.{extension}" for part in facts.parts},
        seconds_audio=facts.seconds_audio,
        seconds_wall=facts.seconds_wall,
        null_test_db=facts.null_test_db,
        gain_db=facts.gain_db,
        sample_rate=facts.sample_rate,
        channels=facts.channels,
        notes=facts.notes,
    )
    return write_song_report(
        result,
        song / FILENAME,
        separator=_separator(request),
        output=request.settings.output(),
        overwrite=True,
        watch=watch,
        title=request.title,
        links={"mixture": _link(ORIGINAL), **{part: _link(part) for part in facts.parts}},
    )


def _separator(request: ReportRequest) -> Any:
    if request.model is None:
        return None
    from unbraid.api import Separator

    settings = request.settings
    return Separator(
        request.model,
        request.device,
        overlap=settings.overlap,
        shifts=settings.shifts,
        threads=request.threads,
    )


def _link(part: str) -> str:
    """The address of a part, seen from the address of the report."""
    return f"stems/{quote(part, safe='')}?download=1"


def main() -> int:
    """Answer one request from stdin."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # output of libraries is not an answer
    if hasattr(os, "nice"):
        os.nice(_NICE)
    request = from_line(sys.stdin.readline())
    assert isinstance(request, ReportRequest)
    threading.Thread(target=_end_with_the_server, daemon=True).start()

    def tell(message: Message) -> None:
        out.write(to_line(message))
        out.flush()

    def on_progress(step: Progress) -> None:
        tell(ReadProgress(round(step.fraction, 3)))

    try:
        write(request, Watch(on_progress))
        tell(Learned(SongFacts()))
    except UnbraidError as error:
        tell(Refused(plain_sentence(error, Path(request.path))))
    except OSError as error:
        tell(Refused(f"The report cannot be stored: {(error.strerror or 'disk error').lower()}."))
    return 0


def _end_with_the_server() -> None:
    """The server keeps our stdin open as long as it lives."""
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
