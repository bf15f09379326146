"""From our names of weights to public ones, by rules."""

from __future__ import annotations

import re
from collections.abc import Sequence

Rules = Sequence[tuple[str, str]]
"""(pattern, replacement) pairs of `re`; the first pattern that matches from the start is used."""


def rename(name: str, rules: Rules) -> str:
    """The name after the first rule that matches its beginning; unchanged where none does.

    >>> rename("lstm.linear.bias", [(r"lstm[.]", "core.")])
    'core.linear.bias'
    """
    for pattern, replacement in rules:
        renamed, count = re.subn(f"^(?:{pattern})", replacement, name, count=1)
        if count:
            return renamed
    return name
