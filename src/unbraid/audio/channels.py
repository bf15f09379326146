"""Channels: their names, and which of them belong together.

Names are FFmpeg's: FL and FR front left and right, FC front centre, LFE low-frequency effects, BL
and BR back, SL and SR side, and so on. A lone FC is mono.
"""

from __future__ import annotations

from collections.abc import Sequence

_DEFAULT_NAMES: dict[int, tuple[str, ...]] = {
    1: ("FC",),
    2: ("FL", "FR"),
    3: ("FL", "FR", "FC"),
    4: ("FL", "FR", "BL", "BR"),
    5: ("FL", "FR", "FC", "BL", "BR"),
    6: ("FL", "FR", "FC", "LFE", "BL", "BR"),
    7: ("FL", "FR", "FC", "LFE", "BC", "SL", "SR"),
    8: ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"),
}

_PAIRS = (
    ("FL", "FR"),
    ("BL", "BR"),
    ("SL", "SR"),
    ("FLC", "FRC"),
    ("WL", "WR"),
    ("SDL", "SDR"),
    ("DL", "DR"),
    ("TFL", "TFR"),
    ("TBL", "TBR"),
    ("TSL", "TSR"),
    ("BFL", "BFR"),
)


def default_channel_names(channels: int) -> tuple[str, ...]:
    """Names for channels that a file leaves unnamed: those of FLAC up to 8, numbers beyond.

    Source: RFC 9639 (FLAC), section 9.1.3; Vorbis has the same channels.

    >>> default_channel_names(2), default_channel_names(9)[-1]
    (('FL', 'FR'), 'CH9')
    """
    numbered = tuple(f"CH{index + 1}" for index in range(channels))
    return _DEFAULT_NAMES.get(channels, numbered)


def channel_groups(channel_names: Sequence[str]) -> list[tuple[int, ...]]:
    """Which channels make up stereo pairs, and which stand alone.

    Left and right of one place form a pair; every other channel is a separate group. Channels
    without a known name (CH1, CH2, …) are taken two by two, as most multichannel files are pairs.

    Args:
        channel_names: the name of each channel, in the order of the signal.
    Returns:
        tuples of one or two indices, each index in just one; in the order of their first channel.

    >>> channel_groups(("FL", "FR", "FC", "LFE", "BL", "BR"))
    [(0, 1), (2,), (3,), (4, 5)]
    >>> channel_groups(("CH1", "CH2", "CH3"))
    [(0, 1), (2,)]
    """
    places = {name: index for index, name in enumerate(channel_names)}
    pairs = [
        (places[left], places[right])
        for left, right in _PAIRS
        if left in places and right in places
    ]
    paired = {index for pair in pairs for index in pair}
    unnamed = [
        index
        for index, name in enumerate(channel_names)
        if index not in paired and name.startswith("CH")
    ]
    pairs += list(zip(unnamed[0::2], unnamed[1::2], strict=False))
    paired = {index for pair in pairs for index in pair}
    singles = [(index,) for index in range(len(channel_names)) if index not in paired]
    return sorted([*pairs, *singles], key=min)
