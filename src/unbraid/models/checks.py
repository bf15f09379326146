"""Checks of a config's values: kinds, ranges, names of stems.

A file can say anything, and a model is built from what it says. Each config states the range of its
numbers; nothing outside of it is built.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from unbraid.errors import SettingsError

Range = tuple[float, float]

COMMON: dict[str, Range] = {
    "sample_rate": (1, 1_000_000),
    "audio_channels": (1, 64),
    "segment_s": (1e-3, 86_400),
    "width": (1, 16_384),
    "n_fft": (8, 1 << 17),
    "hop": (1, 1 << 17),
    "depth": (1, 64),
    "heads": (1, 1024),
    "dropout": (0, 0.99),
}
"""Ranges of settings that mean the same in every architecture."""


def check_fields(
    config: Any, ranges: Mapping[str, Range], choices: Mapping[str, tuple[str, ...]] | None = None
) -> None:
    """Compare every field of a config with its annotation and its range.

    Args:
        config: an instance of a dataclass with fields of numbers, switches, strings and tuples.
        ranges: least and greatest value by field; for a tuple, of each item. Fields that stand in
            `COMMON` may be left out.
        choices: permitted values of the fields that are strings.
    Raises:
        SettingsError: naming the first field with a wrong value.
    """
    known = {**COMMON, **ranges}
    for field in dataclasses.fields(config):
        value, kind = getattr(config, field.name), str(field.type)
        if field.name == "stems":
            check_stems(value)
        elif kind == "str":
            _check_choice(field.name, value, (choices or {})[field.name])
        elif kind == "Member" or (value is None and "None" in kind):
            continue
        elif kind.startswith("tuple"):
            if not isinstance(value, tuple) or len(value) > 4096:
                raise SettingsError(f"{field.name} is a short list of numbers, got {value!r:.80}")
            for item in value:
                _check_number(field.name, kind.removeprefix("tuple["), item, known[field.name])
        else:
            _check_number(field.name, kind, value, known.get(field.name))


def check_stems(stems: Any) -> None:
    """Raise `SettingsError` unless these are 1 to 256 different names that fit into file names."""
    if not isinstance(stems, tuple) or not 1 <= len(stems) <= 256:
        raise SettingsError(f"a model has 1 to 256 stems, got {stems!r:.80}")
    for stem in stems:
        printable = isinstance(stem, str) and 1 <= len(stem) <= 100 and stem.isprintable()
        if not printable or stem.startswith(".") or any(letter in stem for letter in "/\\:"):
            raise SettingsError(
                "the name of a stem has 1 to 100 printable letters, starts with no dot and holds "
                f"no / \\ or :, got {stem!r:.80}"
            )
    if len(set(stems)) != len(stems):
        raise SettingsError(f"two stems have the same name in {stems!r:.80}")


def check_divides(divisor_name: str, divisor: int, name: str, value: int) -> None:
    """Raise `SettingsError` unless `divisor` divides `value`."""
    if value % divisor:
        raise SettingsError(f"{divisor_name} must divide {name}, got {divisor} and {value}")


def _check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise SettingsError(f"{name} is one of {', '.join(choices)}; got {value!r:.80}")


def _check_number(name: str, kind: str, value: Any, limits: Range | None) -> None:
    if kind.startswith("bool"):
        if not isinstance(value, bool):
            raise SettingsError(f"{name} is true or false, got {value!r:.80}")
        return
    whole = kind.startswith("int")
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        raise SettingsError(f"{name} is a {'whole ' if whole else ''}number, got {value!r:.80}")
    assert limits is not None, name
    least, greatest = limits
    if not math.isfinite(value) or not least <= value <= greatest:
        raise SettingsError(f"{name} is from {least:g} to {greatest:g}, got {value!r:.80}")


def whole_samples(seconds: float, sample_rate: int) -> int:
    """Seconds as whole samples, rounded down; a ten-thousandth of a sample short still counts."""
    return math.floor(seconds * sample_rate + 1e-4)
