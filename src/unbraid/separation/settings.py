"""How a song is put through a model: one frozen dataclass that goes all the way down."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from unbraid.errors import SettingsError

LONGEST_SEGMENT_S = 3600.0
"""No machine takes more in one pass; `split=False` puts a whole song through, however long."""


MOST_RUNS = 1000
"""Shifted or rotated copies of a song; all are planned before the first is separated."""

WINDOWS = ("triangle", "flat", "even")

_KINDS = (
    ("segment_s", (Real, type(None)), "a number of seconds, or None"),
    ("overlap", Real, "a number"),
    ("shifts", Integral, "a whole number"),
    ("seed", Integral, "a whole number"),
    ("transition_power", Real, "a number"),
    ("batch_size", (Integral, type(None)), "a whole number, or None"),
    ("bigshifts", Integral, "a whole number"),
    ("tta", bool, "True or False"),
)


def check_kinds(settings: object, kinds: Sequence[tuple[str, Any, str]]) -> None:
    """Whether the fields of settings are of their types: rows of name, types and these in words.

    Raises:
        SettingsError: for the first that is not.
    """
    for name, kind, words in kinds:
        value = getattr(settings, name)
        if not isinstance(value, kind):
            raise SettingsError(f"{name} is {words}, got {value!r}")


@dataclass(frozen=True)
class SeparationSettings:
    """Segments, overlap, shifts. The only place with the program's defaults.

    Attributes:
        segment_s: seconds of audio in one forward pass, at most `LONGEST_SEGMENT_S`; None for the
            model's own length.
        overlap: share of a segment that the next one covers again, in [0, 1).
        shifts: how many randomly shifted copies of the song are separated and averaged; 0 for none,
            which is the song unshifted, to `MOST_RUNS`. Each costs one more separation.
        seed: of the random offsets; the same seed gives the same estimates.
        transition_power: exponent, at least 1, of the triangle that fades segments into each other.
        split: False puts the whole song through the model in one pass; memory then grows with it.
        shift_offsets: offsets in samples, 0 to half a second, instead of random ones: either one
            for each shift, used by all members of a bag, or shifts x members in the order of
            drawing (all shifts of the first member first). With `shifts=0` their number is the
            number of shifts.
        windows: how segments are mixed where they overlap: "triangle" fades each into the next over
            all of it, as Demucs does; "flat" fades over a tenth of a segment and mirrors the song
            at both ends; "even" takes the plain mean. The last two are what
            Music-Source-Separation-Training does, and scores its models with: "even" for HT
            Demucs, "flat" for all others. Neither has shifts.
        bigshifts: how many copies of the song, rotated by equal parts of its length, are separated
            and averaged; 0 or 1 for the song as it is, to `MOST_RUNS`. Each costs one more
            separation.
        tta: test-time augmentation: average over the song, the song with its channels swapped and
            the song with its polarity inverted, each undone. Three times the cost; twice for
            a model of one channel. Both are what Music-Source-Separation-Training calls so.
        batch_size: segments in one forward pass; more is faster on a GPU and takes more memory.
            None for as many as the model computes side by side (`engines.run.at_once`).

    Raises:
        SettingsError: if a value is out of its range, or of another type.

    >>> SeparationSettings(overlap=0.1, shifts=2).shifts
    2
    """

    segment_s: float | None = None
    overlap: float = 0.25
    shifts: int = 0
    seed: int = 0
    transition_power: float = 1.0
    split: bool = True
    shift_offsets: Sequence[int] | None = None
    batch_size: int | None = None
    windows: str = "triangle"
    bigshifts: int = 0
    tta: bool = False

    def __post_init__(self) -> None:
        check_kinds(self, _KINDS)
        if self.segment_s is not None and not (0 < self.segment_s <= LONGEST_SEGMENT_S):
            raise SettingsError(
                f"a segment is longer than 0 seconds and at most {LONGEST_SEGMENT_S:g}, "
                f"got {self.segment_s}; leave it out to use the model's own"
            )
        if not 0 <= self.overlap < 1:
            raise SettingsError(
                f"overlap is a share of a segment, 0 or more and below 1, got {self.overlap}"
            )
        if not 1 <= self.transition_power < math.inf:
            raise SettingsError(f"transition_power is 1 or more, got {self.transition_power}")
        for name in ("shifts", "bigshifts"):
            if getattr(self, name) < 0:
                raise SettingsError(f"{name} is 0 (none) or more, got {getattr(self, name)}")
            if getattr(self, name) > MOST_RUNS:
                raise SettingsError(f"{name} is at most {MOST_RUNS}, got {getattr(self, name)}")
        if self.batch_size is not None and self.batch_size < 1:
            raise SettingsError(f"batch_size is 1 or more, got {self.batch_size}")
        if self.windows not in WINDOWS:
            raise SettingsError(
                f"windows are {', '.join(WINDOWS[:-1])} or {WINDOWS[-1]}, got {self.windows!r}"
            )
        if self.windows != "triangle" and (self.shifts or self.shift_offsets):
            raise SettingsError(
                f"{self.windows} windows go without shifts; leave them out, or windows"
            )
        if self.shift_offsets is not None:
            object.__setattr__(self, "shift_offsets", tuple(self.shift_offsets))
            if any(offset < 0 for offset in self.shift_offsets):
                raise SettingsError(
                    f"shift_offsets are samples, 0 or more, got {min(self.shift_offsets)}"
                )


DEFAULT_SETTINGS = SeparationSettings()
