"""The display of a run on stderr: live bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.text import Text

from unbraid.closing import Closing
from unbraid.tracks.result import null_test_text

if TYPE_CHECKING:
    from unbraid.api import TrackResult
    from unbraid.separation.progress import Progress as SongProgress

_STAGES = {"read": "reading", "separate": "separating", "write": "writing", "report": "report"}
_LONGEST_NAME = 48


class Display(Closing):
    """Shows only errors; its subclasses show more."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.pages: list[Path] = []
        self.begun = time.monotonic()
        self.console = make_console()

    def begin(self, name: str) -> None:
        """A song starts."""

    def page(self, path: Path) -> None:
        """A report was written."""
        self.pages.append(path)

    def progress(self, progress: SongProgress, song: str | None = None) -> None:
        """Progress of the current song, or of another one by name."""

    def end(self, result: TrackResult) -> None:
        """The song has ended, with or without success."""
        if result.error is not None:
            self.line(f"unbraid: {_with_name(result)}")

    def note(self, text: str) -> None:
        """A notice that is not an error."""

    def summary(self, results: Sequence[TrackResult]) -> None:
        """All songs have ended."""

    def line(self, text: str) -> None:
        """Show a line of text."""
        self.console.print(Text(text))

    def close(self) -> None:
        """Close the display."""


class PlainDisplay(Display):
    """A line for each song, and a table at the end."""

    _advises = False

    def end(self, result: TrackResult) -> None:
        super().end(result)
        if result.status != "failed":
            self.line(f"{printable(result.input)}: {describe(result)}")
        for text in result.notes:
            self.note(f"{printable(result.input)}: {text}")

    def note(self, text: str) -> None:
        self.line(f"note: {text}")

    def summary(self, results: Sequence[TrackResult]) -> None:
        self.close()
        for row in summary_table(results):
            self.console.print(row)
        counts = {s: sum(r.status == s for r in results) for s in dict.fromkeys(_COLOURS)}
        told = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        self.line(f"{told or 'nothing to do'} in {clock(time.monotonic() - self.begun)}")
        for line in endings(results, self.pages, advice=self._advises):
            self.line(line)


class LiveDisplay(PlainDisplay):
    """Bars for the current song and, if there are several, for all of them.

    Args:
        total: number of songs.
        report: whether each of them gets a report.
    """

    _advises = True

    def __init__(self, total: int, *, report: bool = False) -> None:
        super().__init__(total)
        self._stems_share = 1.0 - _report_share() if report else 1.0
        self._turns = self._ended = 0
        self._fraction = 0.0
        self._song_begun = self.begun
        self._bars = make_bars(self.console)
        self._all = (
            self._bars.add_task("", total=total, name="all songs", left="") if total > 1 else None
        )
        self._song = self._bars.add_task("", total=1.0, name="", left="")
        self._bars.start()

    def begin(self, name: str) -> None:
        self._turns += 1
        self._fraction = 0.0
        self._song_begun = time.monotonic()
        self._name = self._short(name)
        self._bars.update(self._song, completed=0.0, name=self._name, left="")

    def progress(self, progress: SongProgress, song: str | None = None) -> None:
        if progress.stage == "report":
            fraction = self._stems_share + (1.0 - self._stems_share) * progress.fraction
        else:
            fraction = self._stems_share * progress.fraction
        whose = self._name if song is None else self._short(song)
        name = f"{whose}: {_STAGES.get(progress.stage, progress.stage)}"
        left = time_left(time.monotonic() - self._song_begun, fraction)
        self._bars.update(self._song, completed=fraction, name=name, left=left)
        if whose == self._name:  # else the next song is already there
            self._fraction = fraction
        self._show_all()

    def _short(self, name: str) -> str:
        return shorten(printable(name), self.console.width // 3)

    def end(self, result: TrackResult) -> None:
        self._ended += 1
        self._show_all()
        super().end(result)

    def _show_all(self) -> None:
        """The songs before the current one count as done, though the last may still be written."""
        if self._all is not None:
            done = max(self._turns - 1 + self._fraction, self._ended)
            left = time_left(time.monotonic() - self.begun, done / self.total)
            self._bars.update(self._all, completed=done, left=left)

    def close(self) -> None:
        self._bars.stop()


_COLOURS = {"done": "green", "skipped": "cyan", "planned": "cyan", "failed": "red"}


def make_display(total: int, *, quiet: bool, report: bool = False) -> Display:
    """Bars on a terminal, lines elsewhere, only errors if quiet."""
    if quiet:
        return Display(total)
    return LiveDisplay(total, report=report) if sys.stderr.isatty() else PlainDisplay(total)


def make_console() -> Console:
    """Stderr, on which texts appear as they are."""
    return Console(stderr=True, markup=False, highlight=False, emoji=False, soft_wrap=True)


def make_bars(console: Console) -> Progress:
    """Bars whose tasks have the fields `name` and `left`; they vanish at the end."""
    return Progress(
        TextColumn("{task.fields[name]}", markup=False),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        TextColumn("{task.fields[left]}", markup=False),
        console=console,
        transient=True,
    )


def _report_share() -> float:
    from unbraid.song_page.report import SHARE

    return SHARE


def time_left(elapsed_s: float, fraction: float) -> str:
    """How long the rest takes at the pace so far; empty before a pace is known.

    >>> time_left(10.0, 0.25), time_left(0.1, 0.25), time_left(10.0, 1.0)
    ('30.0 s left', '', '')
    """
    if elapsed_s < 1.0 or not 0.02 <= fraction < 1.0:
        return ""
    return f"{clock(elapsed_s * (1.0 - fraction) / fraction)} left"


def endings(
    results: Sequence[TrackResult], pages: Sequence[Path], *, advice: bool
) -> Iterator[str]:
    """The last lines of a run: where stems and reports are and, on request, what to try next."""
    done = [result for result in results if result.status in ("done", "skipped")]
    folders = {path.parent for result in done for path in result.outputs.values()}
    if folders:
        yield f"stems:  {_common(folders)}"
    if pages:
        where = pages[0] if len(pages) == 1 else _common({page.parent for page in pages})
        yield f"report: {printable(str(where))}"
    if pages and advice:
        yield "next:   open the report in a browser; unbraid serve mixes stems in the browser"
    elif folders and advice:
        yield "next:   --report adds a page with players; unbraid serve mixes stems in the browser"


def _common(folders: set[Path]) -> str:
    """The folder that holds all of these; all are below one --out."""
    return printable(f"{Path(os.path.commonpath(folders))}{os.sep}")


def summary_table(results: Sequence[TrackResult]) -> list[Text]:
    """The results of all songs, in lines that the terminal may wrap but that break no path.

    There is none if all songs failed: the reason of each has been told, with its name.
    """
    if all(result.status == "failed" for result in results):
        return []
    planned = any(result.status == "planned" for result in results)
    last = ("memory", "disk") if planned else ("gain", "null test")
    rows = [("result", "length", "time", "speed", *last)]
    for result in results:
        rows.append((result.status, *_times(result), *(_costs if planned else _levels)(result)))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    names = ["song", *(printable(result.input) for result in results)]
    styles = [("bold", "bold"), *((_COLOURS[result.status], "") for result in results)]
    lines = []
    for row, name, (of_status, of_rest) in zip(rows, names, styles, strict=True):
        figures = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        told = "  ".join(["", *figures, name])
        lines.append(Text.assemble((row[0].ljust(widths[0]), of_status), (told, of_rest)))
    return lines


def describe(result: TrackResult) -> str:
    """One song in one line."""
    if result.status == "skipped":
        return "skipped, its stems are there"
    length, taken, speed = _times(result)
    if result.status == "planned":
        memory, disk = _costs(result)
        return f"about {taken} for {length}, {memory} of memory, {disk} of disk"
    folder = next(iter(result.outputs.values())).parent
    gain, null = _levels(result)
    told = f"{', '.join(result.outputs)} in {printable(str(folder))} ({length} in {taken}, {speed}"
    told += f", gain {gain}" if result.gain_db else ""
    return told + (f", null test {null})" if null else ")")


def printable(text: str) -> str:
    """Text in one line: control characters and invalid bytes are shown as escapes.

    >>> printable("a\\nb"), printable("ü [b]")
    ('a\\\\nb', 'ü [b]')
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


def shorten(text: str, most: int = _LONGEST_NAME) -> str:
    """The end of a long path, which says more than its start.

    >>> shorten("album/song.wav", 9)
    '…song.wav'
    """
    most = max(8, min(most, _LONGEST_NAME))
    return text if len(text) <= most else "…" + text[1 - most :]


def clock(seconds: float) -> str:
    """
    >>> clock(3.21), clock(75), clock(4000)
    ('3.2 s', '1:15', '1:06:40')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(max(60, int(seconds)), 60)  # as players show it, not rounded
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _times(result: TrackResult) -> tuple[str, str, str]:
    wall = result.estimate["seconds_wall"] if result.estimate else result.seconds_wall
    length = "" if result.seconds_audio is None else clock(result.seconds_audio)
    taken = "" if wall is None else clock(wall)
    if result.status == "skipped" or not wall or not result.seconds_audio:
        return length, taken, ""
    return length, taken, f"{result.seconds_audio / wall:.1f}x"


def _costs(result: TrackResult) -> tuple[str, str]:
    if result.estimate is None:
        return "", ""
    return f"{result.estimate['memory_mb']:.0f} MB", f"{result.estimate['disk_mb']:.0f} MB"


def _levels(result: TrackResult) -> tuple[str, str]:
    gain = "" if result.gain_db is None else f"{result.gain_db:.1f} dB"
    null = "" if result.null_test_db is None else null_test_text(result.null_test_db)
    return gain, null


def _with_name(result: TrackResult) -> str:
    error = result.error or ""
    if "\n" in error:
        return f"{printable(result.input)}:\n{error}"
    named = repr(result.input) in error or repr(result.input)[1:-1] in error
    return error if named else f"{printable(result.input)}: {error}"
