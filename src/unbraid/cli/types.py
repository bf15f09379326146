"""Types of command-line arguments: each parses a text, or raises with the expected form."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from pathlib import Path

from unbraid.threads import MOST_THREADS


def count(text: str) -> int:
    """A whole number, 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"a number of at least 1, got {text!r}")
    return int(text)


def thread_count(text: str) -> int:
    """A whole number of threads, from 1 to `MOST_THREADS`."""
    if not text.isdecimal() or not 1 <= int(text) <= MOST_THREADS:
        raise ArgumentTypeError(f"a number from 1 to {MOST_THREADS}, got {text!r}")
    return int(text)


def threads(text: str) -> int | str:
    """A number of threads, or "auto"."""
    return text if text == "auto" else thread_count(text)


def positive(text: str) -> float:
    """A number above 0."""
    value = _number(text)
    if not 0 < value < math.inf:
        raise ArgumentTypeError(f"a number above 0, got {text!r}")
    return value


def segment(text: str) -> float:
    """Seconds in one pass; shorter ones than a tenth take hours of passes for a song."""
    value = _number(text)
    if not 0.1 <= value < math.inf:
        raise ArgumentTypeError(f"seconds, 0.1 or more, got {text!r}")
    return value


def share(text: str) -> float:
    """A number from 0 to 1."""
    value = _number(text)
    if not 0 <= value <= 1:
        raise ArgumentTypeError(f"a number from 0 to 1, got {text!r}")
    return value


def span(text: str) -> tuple[float, float]:
    """Two numbers of seconds, "A,B"; a single number is used for both."""
    low, _, high = text.partition(",")
    found = _number(low), _number(high or low)
    if any(math.isnan(number) for number in found):
        raise ArgumentTypeError(f"two numbers of seconds, A,B, got {text!r}")
    return found


def rate(text: str) -> str | int:
    """ "source", "model" or a whole number of Hz."""
    if text in ("source", "model"):
        return text
    try:
        return int(text)
    except ValueError:
        raise ArgumentTypeError(f"source, model or a number of Hz, got {text!r}") from None


def shard(text: str) -> tuple[int, int]:
    """ "I/N", I from 1 to N."""
    first, slash, second = text.partition("/")
    if slash and first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second):
        return int(first), int(second)
    raise ArgumentTypeError(f"I/N with I from 1 to N, such as 1/4, got {text!r}")


def ray_address(text: str) -> str:
    """ "auto", "HOST:PORT" or "ray://HOST:PORT"."""
    host, colon, port = text.removeprefix("ray://").rpartition(":")
    if text in ("", "auto") or (host and colon and port.isdecimal() and "/" not in host):
        return text
    raise ArgumentTypeError(
        f"HOST:PORT, ray://HOST:PORT or auto, got {text!r}; without an address, write --ray last"
    )


def named_folder(text: str) -> tuple[str, Path]:
    """ "NAME=DIR"."""
    name, equals, folder = text.partition("=")
    if not (equals and name and folder):
        raise ArgumentTypeError(f"NAME=DIR, such as truth=songs/test, got {text!r}")
    return name, Path(folder)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
