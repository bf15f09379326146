"""Bytes: read from a text, shown, and counted for the files of a song."""

from __future__ import annotations

import re

from unbraid.audio.formats import AudioFormat
from unbraid.errors import SettingsError

_SPOOL_BYTES = 4
_LOSSY_KBPS = 320


def disk_bytes(
    samples: int, channels: int, stems: int, files: int, chosen: AudioFormat, sample_rate: int
) -> int:
    """Disk for a song of `samples` at `sample_rate`, with what is there only meanwhile.

    Args:
        samples, channels, sample_rate: of the files.
        stems: how many are separated.
        files: how many are written.
        chosen: their format.
    """
    spooled = samples * channels * _SPOOL_BYTES * stems
    if chosen.bits is not None:
        encoded = samples * channels * files * (chosen.bits // 8)
    else:
        kbps = (chosen.kbps or _LOSSY_KBPS) * max(1.0, channels / 2)
        encoded = int(samples / sample_rate * kbps * 125) * files
    return spooled + encoded


def parse_bytes(text: str) -> int:
    """Bytes in "2GB", "1.5 GiB", "800M" or "1000000".

    Raises:
        SettingsError: for anything else.

    >>> parse_bytes("2GB"), parse_bytes("1GiB")
    (2000000000, 1073741824)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", text.lower())
    if not match or (match[3] and not match[2]):
        raise SettingsError(f"a size of memory is written as 2GB or 800MB, got {text!r}")
    base = 1024 if match[3] else 1000
    size = int(float(match[1]) * base ** " kmgt".index(match[2] or " "))
    if size < 1:
        raise SettingsError(f"a size of memory is more than nothing, got {text!r}")
    return size


def shown_bytes(count: float) -> str:
    """
    >>> shown_bytes(1_234_000_000), shown_bytes(5_000_000)
    ('1.23 GB', '5 MB')
    """
    return f"{count / 1e9:.3g} GB" if count >= 1e9 else f"{count / 1e6:.3g} MB"
