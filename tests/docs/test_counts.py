"""Counts in sentences: "1 track", never "1 tracks"."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "src" / "unbraid"
UNITS = "bytes", "samples"
"""Of what is never one."""


def counts_without_singular(text: str) -> Iterator[tuple[int, str]]:
    """Line and noun of every f-string that writes a length and a plural right behind it."""
    for node in ast.walk(ast.parse(text)):
        parts = node.values if isinstance(node, ast.JoinedStr) else []
        for count, words in pairwise(parts):
            if isinstance(count, ast.FormattedValue) and isinstance(words, ast.Constant):
                noun = re.match(r" ([a-z]+s)\b", str(words.value))
                if ast.unparse(count.value).startswith("len(") and noun and noun[1] not in UNITS:
                    yield node.lineno, noun[1]


def test_every_count_of_things_has_a_singular() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{line}: use words.counted for {noun!r}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for line, noun in counts_without_singular(path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


def test_a_count_without_singular_is_found() -> None:
    assert list(counts_without_singular('f"all {len(tracks)} tracks"')) == [(1, "tracks")]
    assert not list(
        counts_without_singular("""f"{counted(len(tracks), 'track')}: {len(x)} bytes" """)
    )
