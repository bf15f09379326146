"""The worker process, one for each device: reads orders on stdin, answers on stdout.

The messages are those of `messages`: `Order` and `Cancel` in; `Ready`, `Progress`, `Learned` and
`Ended` out.

When stdin closes, the server has ended, and the worker ends at once: the next server queues the
job again.
"""

from __future__ import annotations

import argparse
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, cast

from unbraid.atomic import fsync_tree
from unbraid.errors import Cancelled, UnbraidError
from unbraid.models.default import DEFAULT_MODEL
from unbraid.separation.progress import CancelToken
from unbraid.separation.progress import Progress as Step
from unbraid.tracks.parts import choose_parts
from unbraid.tracks.spool import SpoolView
from unbraid.web.choices import PREVIEW_S, JobSettings
from unbraid.web.helper import ask
from unbraid.web.messages import (
    Cancel,
    End,
    Ended,
    Learned,
    Message,
    Order,
    Progress,
    ReadRequest,
    Ready,
    SongFacts,
    Stage,
    from_line,
    to_line,
)
from unbraid.web.music import listen, parts_to_hear, write_found
from unbraid.web.pcm import ORIGINAL, copy_part, end_view, find_part, publish_view, read_part
from unbraid.web.peaks import PeakMeter, meter_peaks, write_peaks
from unbraid.web.reader import plain_sentence

_STAGES: dict[str, Stage] = {"read": "separating", "separate": "separating", "write": "writing"}
_READ, _SEPARATED = 0.05, 0.95
_NICE = 5  # answering pages has priority


class Worker:
    """Separates one song after the other.

    Args:
        device: as in `Separator`.
        threads: CPU threads; None for the default.
        out: receives the messages.
    """

    def __init__(self, device: str, threads: int | None, out: IO[str]) -> None:
        self._device = device
        self._threads = threads
        self._out = out
        self._loaded: tuple[tuple[Any, ...], Any] | None = None
        self._told = 0.0
        self.orders: queue.Queue[Order | None] = queue.Queue()
        self._cancel: dict[str, CancelToken] = {}

    def listen(self, lines: IO[str]) -> None:
        """Read orders until the server ends; then end the process."""
        for line in lines:
            message = from_line(line)
            if isinstance(message, Order):
                self._cancel[message.id] = CancelToken()
                self.orders.put(message)
            elif isinstance(message, Cancel) and message.id in self._cancel:
                self._cancel[message.id].cancel()
        os._exit(0)

    def tell(self, message: Message) -> None:
        """Send a message to the server."""
        self._out.write(to_line(message))
        self._out.flush()

    def run(self) -> None:
        """Work until the process ends."""
        while True:
            order = self.orders.get()
            if order is None:
                return
            end, error = self._work(order)
            self._cancel.pop(order.id, None)
            self.tell(Ended(order.id, end, error))

    def _work(self, order: Order) -> tuple[End, str | None]:
        try:
            self._separate(order, self._cancel[order.id])
            fsync_tree(Path(order.song))  # copies for the mixer, cover and excerpt as well
            return "succeeded", None
        except Cancelled:
            return "canceled", None
        except UnbraidError as error:
            return "failed", plain_sentence(error, Path(order.path))
        except Exception as error:
            print(f"unbraid worker: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            return "failed", f"An unexpected error occurred ({type(error).__name__})."

    def _separate(self, order: Order, cancel: CancelToken) -> None:
        settings = order.settings
        facts = self._read(order, settings, cancel)
        self._progress(order, "separating", _READ, None)
        separator = self.separator(order.model, settings.overlap, settings.shifts)
        parts_to_be = choose_parts(settings.output(), separator.spec.stems)
        facts = replace(facts, parts=parts_to_be.names, stems=parts_to_be.stems)
        self.tell(Learned(facts, order.id))
        song = Path(order.song)
        source = song / "excerpt.wav" if settings.preview else Path(order.path)
        views: list[SpoolView] = []

        def on_stems(view: SpoolView) -> None:
            views.append(view)
            publish_view(song, view)

        separator.on_progress = lambda step: self._on_step(order, step, views)
        output = replace(settings.output(), bit_depth=facts.bit_depth)
        try:
            result = separator.separate_file(
                source, song / "stems", output, cancel=cancel, on_stems=on_stems
            )
        finally:
            end_view(song)
        self._progress(order, "writing", _SEPARATED, None)
        parts = {ORIGINAL: meter_peaks(read_part(cast(Path, find_part(song, ORIGINAL))))}
        for part, path in result.outputs.items():
            cancel.check()
            parts[part] = self._listen_copy(song, part, path, facts)
        write_peaks(song / "peaks.json", facts.sample_rate or 0, parts)
        cancel.check()
        tempo_bpm = _listen(song, facts)
        end = SongFacts(
            tempo_bpm=tempo_bpm,
            null_test_db=result.null_test_db,
            gain_db=result.gain_db,
            notes=result.notes,
            seconds_wall=result.seconds_wall,
        )
        self.tell(Learned(end, order.id))

    def _listen_copy(self, song: Path, part: str, path: Path, facts: SongFacts) -> PeakMeter:
        """The peaks of a written stem; a file without random access is copied first."""
        if path.suffix in (".wav", ".flac"):
            return meter_peaks(read_part(path))
        from unbraid.audio.files import read_blocks

        blocks = copy_part(
            read_blocks(path), song / "listen", part, facts.sample_rate or 0, facts.channels or 0
        )
        return meter_peaks(blocks)

    def _read(self, order: Order, settings: JobSettings, cancel: CancelToken) -> SongFacts:
        self._progress(order, "reading", 0.0, None)
        request = ReadRequest(
            path=order.path,
            song=order.song,
            format=settings.format,
            bit_depth=settings.bit_depth,
            preview_s=PREVIEW_S if settings.preview else None,
            most_s=order.most_s,
            free_bytes=order.free_bytes,
            most_bytes=order.read_bytes,
            most_cpu_s=order.read_s,
        )
        return read_apart(
            request,
            order.read_s,
            cancel,
            lambda fraction: self._progress(order, "reading", _READ * fraction, None),
        )

    def separator(self, model: str, overlap: float, shifts: int) -> Any:
        """The separator with these settings; the last one is kept."""
        from unbraid.api import Separator

        key = (model, overlap, shifts)
        if self._loaded is None or self._loaded[0] != key:
            self._loaded = None
            separator = Separator(
                model, self._device, overlap=overlap, shifts=shifts, threads=self._threads
            )
            self._loaded = (key, separator)
        return self._loaded[1]

    def _on_step(self, order: Order, step: Step, views: list[SpoolView]) -> None:
        fraction = _READ + (_SEPARATED - _READ) * step.fraction
        ready = views[0].samples if views else 0
        self._progress(order, _STAGES[step.stage], fraction, step.seconds_left, ready)

    def _progress(
        self,
        order: Order,
        stage: Stage,
        fraction: float,
        seconds_left: float | None,
        samples_ready: int = 0,
    ) -> None:
        now = time.monotonic()
        if fraction not in (0.0, _READ, _SEPARATED) and now - self._told < 0.25:
            return
        self._told = now
        left = None if seconds_left is None else round(seconds_left, 1)
        self.tell(Progress(order.id, stage, round(fraction, 4), left, samples_ready))


def _listen(song: Path, facts: SongFacts) -> float | None:
    """Find beats and chords in the stems, which makes no song fail; returns the tempo."""
    found = {part: find_part(song, part) for part in parts_to_hear(facts.parts)}
    files = {part: path for part, path in found.items() if path is not None}
    try:
        music = listen(files, facts.sample_rate or 0)
        write_found(song, music)
    except Exception as error:
        print(f"unbraid worker: no beats: {type(error).__name__}: {error}", file=sys.stderr)
        return None
    return None if music.beats is None else round(music.beats.tempo, 1)


def read_apart(
    request: ReadRequest,
    most_s: float,
    cancel: CancelToken,
    on_progress: Callable[[float], object],
) -> SongFacts:
    """Decode a song in a separate process, with a time limit.

    Raises:
        Cancelled: if asked to stop.
        UnbraidError: if the song is refused, takes too long, or crashes the decoder.
    """
    try:
        answer = ask("unbraid.web.reader", request, most_s, cancel, on_progress)
    except TimeoutError:
        raise UnbraidError(f"This file could not be read within {most_s:.0f} seconds") from None
    except EOFError:
        raise UnbraidError("This file could not be read: it is damaged or too large") from None
    return answer.facts


def main() -> int:
    """Work for a server until it ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    options = parser.parse_args()
    if hasattr(os, "nice"):
        os.nice(_NICE)
    # Output of libraries must not be read as a message.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    worker = Worker(options.device, options.threads, out)
    threading.Thread(target=worker.listen, args=(sys.stdin,), daemon=True).start()
    try:
        worker.tell(Ready(worker.separator(options.model, 0.25, 0).device))
    except UnbraidError as error:
        worker.tell(Ready(options.device, str(error)))
    worker.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
