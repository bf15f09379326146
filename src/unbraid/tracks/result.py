"""What became of one song."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from unbraid.audio.container import shown
from unbraid.errors import UnbraidError
from unbraid.tracks.names import OutputPlan
from unbraid.tracks.notebook import players, table

_LEFT_OUT = "estimate", "disk_full"
_EXACT_DB = -250.0  # an error of one step of 32-bit integers is far above


@dataclass(frozen=True, repr=False)
class TrackResult:
    """What became of one song.

    Attributes:
        input: the song.
        status: "done", "skipped" (was done before), "failed" or "planned" (a dry run).
        outputs: part to file.
        seconds_audio: length of the song.
        seconds_wall: time it took.
        peak_rss_mb: highest memory of this process so far, in 10^6 bytes.
        null_test_db: power of (input - sum of all written parts) over the input's, in dB; None if
            the written parts are not meant to add up.
        gain_db: the gain that all stems share; 0 if none is needed.
        sample_rate, channels: of the written files.
        stream: the audio stream that was separated, counted from 1; a video may have several.
        notes: what a listener should know, in sentences.
        error: why it failed, in one line.
        disk_full: whether it failed because the disk has no room.
        estimate: of a dry run: seconds_wall, memory_mb and disk_mb it would take.
    """

    input: str
    status: str
    outputs: dict[str, Path] = field(default_factory=dict)
    seconds_audio: float | None = None
    seconds_wall: float | None = None
    peak_rss_mb: float | None = None
    null_test_db: float | None = None
    gain_db: float | None = None
    sample_rate: int | None = None
    channels: int | None = None
    stream: int | None = None
    notes: tuple[str, ...] = ()
    error: str | None = None
    disk_full: bool = False
    estimate: dict[str, float] | None = None

    def __repr__(self) -> str:
        facts = [self.error] if self.error is not None else []
        if self.outputs:
            folder = next(iter(self.outputs.values())).parent
            facts.append(f"{', '.join(self.outputs)} in {str(folder)!r}")
        if self.seconds_audio is not None:
            facts.append(f"{self.seconds_audio:.1f} s long")
        if self.seconds_wall is not None:
            facts.append(f"took {self.seconds_wall:.1f} s")
        if self.null_test_db is not None:
            facts.append(f"null test {null_test_text(self.null_test_db)}")
        if self.estimate is not None:
            facts.append(f"would take {self.estimate['seconds_wall']:.1f} s")
        return f"<TrackResult {self.status}: {self.input!r}; {'; '.join(facts)}>"

    def _repr_html_(self) -> str:
        """For notebooks: a player for each part, and the sentence of `repr` above them."""
        try:
            return table(players(self.outputs), repr(self))
        except UnbraidError:  # moved or deleted meanwhile
            return table({}, repr(self))

    def as_dict(self) -> dict[str, object]:
        """Plain values, as `--json` prints them."""
        return {
            **{name: value for name, value in vars(self).items() if name not in _LEFT_OUT},
            "outputs": {part: str(path) for part, path in self.outputs.items()},
            "notes": list(self.notes),
            **({"estimate": self.estimate} if self.estimate is not None else {}),
        }


def failed(plan: OutputPlan, error: str, *, disk_full: bool = False) -> TrackResult:
    """The result of a song that could not be separated."""
    track = plan.track
    return TrackResult(
        input=str(track.path),
        status="failed",
        error=error.replace(shown(track.file), shown(track.path)),
        peak_rss_mb=peak_rss_mb(),
        disk_full=disk_full,
    )


def peak_rss_mb() -> float | None:
    """The highest memory of this process so far, in 10^6 bytes; None where it cannot be known."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def is_exact(null_test_db: float | None) -> bool:
    """Whether the sum of all parts is the input, sample for sample."""
    return null_test_db is not None and null_test_db < _EXACT_DB


def null_test_text(db: float) -> str:
    """The result of a null test.

    >>> null_test_text(-75.04), null_test_text(-332.6)
    ('-75.0 dB', 'exact')
    """
    return "exact" if is_exact(db) else f"{db:.1f} dB"
