"""Datasets: make songs, look at what a dataset holds, remix it, measure how fast it is read.

unbraid data songs OUT                      made-up songs with their stems
unbraid data check ROOT --report FILE.html  lengths, levels, silence, clipping, correlation
unbraid data automix ROOT --out OUT         stems of other songs at one beat and in one key
unbraid data bench ROOT                     excerpts a second, with and without the cache
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from unbraid.errors import SettingsError

if TYPE_CHECKING:
    from unbraid.data.songs.dataset import SongDone

HAS_ACTIONS = True
"""Tells `cli.main` that the first word is an action with options of its own."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions, each with its options."""
    names = "|".join(_ACTIONS)
    actions = parser.add_subparsers(dest="action", required=True, metavar=names)
    for name, (add_options, _, text) in _ACTIONS.items():
        add_options(actions.add_parser(name, help=text, description=text, allow_abbrev=False))


def run(options: argparse.Namespace) -> int:
    """Do what was asked; returns the exit code."""
    try:
        return _ACTIONS[options.action][1](options)
    except ModuleNotFoundError as error:
        _lacks(error)


def _lacks(error: ModuleNotFoundError) -> NoReturn:
    if error.name is None or error.name.partition(".")[0] not in ("scipy", "mido", "librosa"):
        raise error
    raise SettingsError(
        f"this needs {error.name.partition('.')[0]}: pip install 'unbraid[train]'"
    ) from error


def _add_songs(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("out", metavar="OUT", help="dataset to make, or to go on with")
    add("--ingredients", metavar="DIR", help="instruments, notes, voices (a tiny set that ships)")
    add("--songs", metavar="N", type=_count, default=20, help="to make up (%(default)s)")
    add("--valid", metavar="N", type=int, help="of them for validation (a tenth)")
    add("--seed", metavar="N", type=int, default=0, help="same seed, same bytes (%(default)s)")
    add("--seconds", metavar="A,B", type=_range, default=(60.0, 85.0), help="of a song (60,85)")
    add("--workers", metavar="N", type=_count, help="processes (cores, 8 at most)")
    add("--format", choices=("flac", "wav"), default="flac", help="(%(default)s)")
    add("--soundfont", metavar="FILE", help="for fluidsynth (a known one, if it is there)")
    add("--no-recorded", action="store_true", help="leave out recorded songs of the ingredients")
    add("--quiet", action="store_true", help="nothing but errors on stderr")


def _songs(options: argparse.Namespace) -> int:
    from unbraid.data.songs.dataset import SongsRequest, make_dataset
    from unbraid.data.songs.ingredients import find_ingredients

    ingredients = find_ingredients(
        Path(options.ingredients) if options.ingredients else None,
        Path(options.soundfont) if options.soundfont else None,
    )
    valid = options.songs // 10 or int(options.songs > 1)
    request = SongsRequest(
        songs=options.songs,
        valid=valid if options.valid is None else options.valid,
        seed=options.seed,
        seconds=options.seconds,
        format=options.format,
        recorded=not options.no_recorded,
    )
    lacking = ingredients.lacking()
    if lacking and not options.quiet:
        print(f"note: songs are made without {', '.join(lacking)}", file=sys.stderr)

    def tell(song: SongDone, number: int, total: int) -> None:
        if not options.quiet:
            print(f"[{number}/{total}] {_song_line(song)}", file=sys.stderr)

    out = Path(options.out)
    done = make_dataset(
        out, ingredients, request, workers=options.workers or _workers(), on_song=tell
    )
    seconds = sum(song.facts["samples"] / song.facts["sample_rate"] for song in done)
    made = sum(song.made for song in done)
    print(f"{out}: {len(done)} songs, {seconds / 60:.1f} min; {made} of them made now")
    return 0


def _song_line(song: SongDone) -> str:
    facts = song.facts
    levels = " ".join(f"{stem} {level:.0f}" for stem, level in facts["rms_db"].items())
    length = facts["samples"] / facts["sample_rate"]
    return f"{song.track}: {length:.0f} s, dB: {levels}" + ("" if song.made else " (was there)")


def _workers() -> int:
    return min(8, os.cpu_count() or 1)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a number from 1 on, got {text!r}")
    return int(text)


def _range(text: str) -> tuple[float, float]:
    try:
        low, _, high = text.partition(",")
        return float(low), float(high or low)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"two numbers of seconds, A,B, got {text!r}") from error


_ACTIONS = {
    "songs": (_add_songs, _songs, "make songs with their stems"),
}
