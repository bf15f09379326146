"""The display of a batch: what its workers write into the journal, and one bar for all songs."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from rich.text import Text

from unbraid.cli.display import make_bars, make_console, printable, time_left
from unbraid.words import counted

if TYPE_CHECKING:
    from unbraid.batch.journal import Entry, Journal
    from unbraid.batch.store_state import StoreJournal


class BatchProgress:
    """Shows each song that ends and, on a terminal, a bar for all of them.

    Args:
        journal: of the batch.
        retries: as in the request.
        total: number of songs of the batch; None if nobody can know.
        quiet: show nothing.
        as_json: print the line of each song on stdout.
    """

    def __init__(
        self,
        journal: Journal | StoreJournal,
        retries: int,
        total: int | None,
        *,
        quiet: bool,
        as_json: bool,
    ) -> None:
        self._journal, self._quiet, self._json = journal, quiet, as_json
        self._retries, self._stdout = retries, sys.stdout
        self._seen = len(journal.lines())
        self._ended: dict[str, Entry] = {}
        self._written: dict[str, Entry] = {}
        self._has_warned = False
        self._begun = time.monotonic()
        self._console = make_console()
        self._bar = None
        if not quiet and sys.stderr.isatty():
            self._bar = make_bars(self._console)
            self._total = total
            self._task = self._bar.add_task("", total=self._total, name="all songs", left="")

    def __enter__(self) -> BatchProgress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.tick()
        if self._bar is not None:
            self._bar.stop()
        if not self._quiet and error[0] is None:
            self._summary()

    @property
    def failed(self) -> list[Entry]:
        """The songs that failed for good, in this run or an earlier one."""
        return [entry for entry in self._journal.entries() if entry.status == "failed"]

    def tick(self) -> None:
        """Show the new lines."""
        lines = self._journal.lines()
        for entry in lines[self._seen :]:
            self._ended[entry.key] = entry
            if self._json:
                print(json.dumps(vars(entry)), flush=True, file=self._stdout)
            self.note(self._line(entry))
            self._compare(entry)
        if len(lines) > self._seen or self._seen == 0:
            self._show()
        self._seen = len(lines)

    def _compare(self, entry: Entry) -> None:
        """Say, once, that another batch with other settings writes the same files."""
        if entry.status == "failed":
            return
        before = self._written.setdefault(entry.key, entry)
        if before.request != entry.request and before.outputs.keys() & entry.outputs.keys():
            if not self._has_warned:
                self.note(
                    f"note: another batch, with other settings, also writes the stems of "
                    f"{printable(entry.song)}; give each its own --out or --filename"
                )
            self._has_warned = True

    def note(self, text: str) -> None:
        """A line above the bar."""
        if not self._quiet:
            self._console.print(Text(text))

    def _show(self) -> None:
        """The bar counts songs that are settled; its pace is that of this run."""
        if self._bar is None:
            return
        settled = sum(entry.status != "failed" for entry in self._journal.entries())
        settled += sum(entry.attempt > self._retries for entry in self.failed)
        left = ""
        if self._total:
            before = settled - len(self._ended)
            share = len(self._ended) / max(1, self._total - before)
            left = time_left(time.monotonic() - self._begun, share)
        done_of = f"{settled} of " if self._total else ""
        name = done_of + counted(self._total or settled, "song")
        self._bar.update(self._task, completed=settled, name=name, left=left)

    def _line(self, entry: Entry) -> str:
        song = printable(entry.song)
        if entry.status != "failed":
            seconds = "" if entry.seconds_wall is None else f" in {entry.seconds_wall:.1f} s"
            return f"{song}: {entry.status}{seconds}"
        again = "; it will be tried again" if entry.attempt <= self._retries else ""
        return f"{song}: failed: {entry.error}{again}"

    def _summary(self) -> None:
        done = sum(entry.status != "failed" for entry in self._ended.values())
        self.note(f"{done} done in this run, {len(self.failed)} failed")
        for entry in self.failed:
            if entry.key not in self._ended:
                self.note(f"{printable(entry.song)}: failed earlier: {entry.error}")
        if self.failed:
            self.note("--retry-failed tries them again")
