"""Songs of one name: those that were separated before keep the names of their stems.

"song.flac" comes before "song.wav" and would be plain "song". If "song.wav" was there first, "song"
is full of its stems, and the new one gets the longer name.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from unbraid.tracks.names import InputTrack, OutputPlan
from unbraid.tracks.records import load_record


def owners_first(tracks: Sequence[InputTrack], plans: Sequence[OutputPlan]) -> list[int]:
    """The order in which songs are to get their names: places in `tracks`.

    Args:
        plans: the names that they would get in the order given.
    """
    places: dict[tuple[object, ...], list[int]] = {}
    for place, track in enumerate(tracks):
        twins = (track.folder, Path(track.name).stem.casefold())
        places.setdefault(twins, []).append(place)
    owners: set[int] = set()
    for several in places.values():
        if len(several) > 1:  # only then is a record worth reading
            owners |= _owners(tracks, plans, several)
    return sorted(range(len(tracks)), key=lambda place: place not in owners)


def _owners(
    tracks: Sequence[InputTrack], plans: Sequence[OutputPlan], places: Sequence[int]
) -> set[int]:
    """Those of some songs with stems under a name that another one would get."""
    by_path = {os.path.abspath(tracks[place].path): place for place in places}  # noqa: PTH100
    found = set()
    for place in places:
        files = load_record(plans[place]).files.values()
        mine = {by_path[f.source.path] for f in files if f.source.path in by_path}
        found |= mine - {place}
    return found
