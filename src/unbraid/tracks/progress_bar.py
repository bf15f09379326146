"""A line of progress on stderr, in a terminal or a notebook, for songs separated from Python."""

from __future__ import annotations

import sys

from unbraid.separation.progress import Progress

_NAMES = {"read": "reading", "separate": "separating", "write": "writing"}
_WIDTH = 30


def show_progress(progress: Progress) -> None:
    """Draw how far a song has come, over what was drawn before; an `on_progress`."""
    done = round(_WIDTH * progress.fraction)
    bar = "#" * done + "-" * (_WIDTH - done)
    name = _NAMES.get(progress.stage, progress.stage)
    left = "" if progress.seconds_left is None else f" {progress.seconds_left:4.0f} s left"
    end = "\n" if progress.fraction >= 1 else ""
    print(
        f"\r{name:10} {bar} {progress.fraction:4.0%}{left:12}", end=end, file=sys.stderr, flush=True
    )
