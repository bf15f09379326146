"""What settings of a model may be at all: a file can say anything, and we build what it says.

Wide enough for any model one could train, narrow enough that no config asks for endless loops,
memory beyond reason, or stems whose names would lead out of a folder.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection
from typing import Any

from unbraid.errors import SegmentTooLong, SettingsError
from unbraid.models.base import ModelSpec

LIMITS: dict[str, tuple[float, float]] = {
    "sample_rate": (1, 1_000_000),
    "audio_channels": (1, 64),
    "segment_s": (1e-3, 86_400),
    "width": (1, 16_384),
    "time_width": (1, 16_384),
    "growth": (0.1, 16),
    "n_fft": (8, 1 << 17),
    "depth": (1, 16),
    "kernel": (1, 1024),
    "stride": (1, 1024),
    "shared_stride": (1, 64),
    "encoder_context": (0, 64),
    "decoder_context": (0, 64),
    "context": (0, 64),
    "norm_groups": (1, 16_384),
    "residual_depth": (-16, 16),
    "residual_compression": (1e-3, 16_384),
    "lstm_layers": (0, 16),
    "wiener_iterations": (-1_000, 1_000),
    "wiener_training_iterations": (-1_000, 1_000),
}
"""Least and greatest value of each numeric setting; others may be any finite number up to 10^6."""

WIDEST = 1 << 20
"""Most features of any layer."""

_DEFAULT = (-1e6, 1e6)


def check_limits(config: Any, skip: Collection[str] = ()) -> None:
    """Raise `SettingsError` for a setting of the wrong kind, not finite, or beyond its limits.

    Args:
        config: a dataclass of plain values.
        skip: fields that the config checks by itself.
    """
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name in skip:
            continue
        if field.name == "stems":
            _check_stems(value)
        elif isinstance(value, tuple):
            for item in value:
                _check_number(field.name, "float", item)
        elif not (value is None and "None" in str(field.type)):
            _check_number(field.name, str(field.type), value)


def check_segment(samples: int, spec: ModelSpec, instead: str) -> None:
    """Raise `SegmentTooLong` if a model cannot take `samples` at once; `instead` is the advice."""
    if spec.longest_samples is not None and samples > spec.longest_samples:
        raise SegmentTooLong(
            f"a segment of {samples / spec.sample_rate:g} s is longer than the "
            f"{spec.longest_samples / spec.sample_rate:g} s that the model can take; {instead}"
        )


def check_widths(widths: list[int]) -> None:
    """Raise `SettingsError` if layers would have no features, or more than anyone can hold."""
    if not all(1 <= width <= WIDEST for width in widths):
        raise SettingsError(f"layers have 1 to {WIDEST} features, got {widths}")


def _check_number(name: str, kind: str, value: Any) -> None:
    if kind == "bool":
        if not isinstance(value, bool):
            raise SettingsError(f"{name} is true or false, got {value!r}")
        return
    whole = kind.startswith("int")
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        raise SettingsError(f"{name} is a {'whole ' if whole else ''}number, got {value!r:.80}")
    least, greatest = LIMITS.get(name, _DEFAULT)
    if not math.isfinite(value) or not least <= value <= greatest:
        raise SettingsError(f"{name} is from {least:g} to {greatest:g}, got {value!r:.80}")


def _check_stems(stems: Any) -> None:
    if not isinstance(stems, tuple) or not 1 <= len(stems) <= 256:
        raise SettingsError(f"a model has 1 to 256 stems, got {stems!r:.80}")
    for stem in stems:
        # They become parts of file names.
        if not isinstance(stem, str) or not 1 <= len(stem) <= 100 or not stem.isprintable():
            raise SettingsError(
                f"the name of a stem is 1 to 100 printable letters, got {stem!r:.80}"
            )
        if stem.startswith(".") or any(letter in stem for letter in "/\\:"):
            raise SettingsError(f"the name of a stem must not be a path, got {stem!r:.80}")
    if len(set(stems)) != len(stems):
        raise SettingsError(f"each stem has a name of its own, got {stems!r:.80}")
