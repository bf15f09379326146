"""The shift trick: a song separated at several random delays, undone and averaged.

A network with strides treats a sound a little differently at each position. Averaging over delays
of up to half a second evens that out (Défossez et al., Demucs, 2019). A delay is a matter of where
the segments lie: the song gets `reach` zeros before it, an offset o in [0, reach] is drawn, and
segments are cut from o on, that is from o - reach in samples of the song.
"""

from __future__ import annotations

import random

from unbraid.errors import SettingsError
from unbraid.separation.settings import SeparationSettings
from unbraid.words import counted


def shift_reach(sample_rate: int) -> int:
    """The largest delay: half a second, in samples.

    >>> shift_reach(44100)
    22050
    """
    return int(0.5 * sample_rate)


def lane_starts(
    settings: SeparationSettings, sample_rate: int, members: int
) -> list[tuple[int, ...]]:
    """Where the segments of each shift start, for each member of a bag.

    Args:
        settings: shifts, seed, shift_offsets.
        sample_rate: Hz.
        members: models in the bag; each draws its own offsets, one member after the other.
    Returns:
        for each member its starts in samples of the song, each 0 or before; (0,) without shifts.
    Raises:
        SettingsError: if explicit offsets are too many, too few or too large.

    >>> lane_starts(SeparationSettings(shift_offsets=[0, 22050]), 44100, members=1)
    [(-22050, 0)]
    """
    reach = shift_reach(sample_rate)
    if settings.shift_offsets is not None:
        offsets = _explicit_offsets(settings, reach, members)
    else:
        rng = random.Random(settings.seed)
        offsets = [
            tuple(rng.randint(0, reach) for _ in range(settings.shifts)) for _ in range(members)
        ]
    return [tuple(offset - reach for offset in row) or (0,) for row in offsets]


def _explicit_offsets(
    settings: SeparationSettings, reach: int, members: int
) -> list[tuple[int, ...]]:
    offsets = tuple(settings.shift_offsets or ())
    if offsets and max(offsets) > reach:
        raise SettingsError(
            f"shift_offsets reach from 0 to half a second, {reach} samples here, got {max(offsets)}"
        )
    shifts = settings.shifts or len(offsets)
    if len(offsets) == shifts:
        return [offsets] * members
    if len(offsets) == shifts * members:
        return [offsets[m * shifts : (m + 1) * shifts] for m in range(members)]
    wanted = (
        f"{shifts}" if members == 1 else f"{shifts}, or {shifts * members} for {members} models"
    )
    raise SettingsError(
        f"{counted(shifts, 'shift')}: give as many shift_offsets ({wanted}), got {len(offsets)}"
    )
