"""Datasets: make songs, check a dataset, remix it, measure how fast it is read.

unbraid data songs OUT                      generated songs with their stems
unbraid data check ROOT --report FILE.html  lengths, levels, silence, clipping
unbraid data automix ROOT --out OUT         stems of songs that fit, remixed
unbraid data bench ROOT                     excerpts a second, also from a cache
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from unbraid.cli.types import count, positive, share, span
from unbraid.errors import SettingsError
from unbraid.words import counted

if TYPE_CHECKING:
    from unbraid.data.check import DatasetCheck
    from unbraid.songs.dataset_writer import TrackDone

HAS_ACTIONS = True
"""The first word of this command is an action with its own options; `cli.main` reads this."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions, each with its options."""
    names = "|".join(_ACTIONS)
    actions = parser.add_subparsers(dest="action", required=True, metavar=names, help="what to do")
    for name, (add_options, _, text) in _ACTIONS.items():
        add_options(actions.add_parser(name, help=text, description=text, allow_abbrev=False))


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    return _ACTIONS[options.action][1](options)


def _add_songs(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("out", metavar="OUT", help="dataset to make or resume")
    add("--ingredients", metavar="DIR", help="instruments, notes, voices (a tiny bundled set)")
    add("--songs", metavar="N", type=count, default=20, help="number of songs (%(default)s)")
    add("--valid", metavar="N", type=int, help="of them for validation (a tenth)")
    add("--seed", metavar="N", type=int, default=0, help="same seed, same bytes (%(default)s)")
    add("--seconds", metavar="A,B", type=span, default=(60.0, 85.0), help="of a song (60,85)")
    add("--workers", metavar="N", type=count, help="processes at once (cores, 8 at most)")
    add("--format", choices=("flac", "wav"), default="flac", help="of the files (%(default)s)")
    add("--soundfont", metavar="FILE", help="for fluidsynth (a known one, if installed)")
    add("--low-end", metavar="SHARE", type=share, default=0.0, help="of drums and deep bass (0)")
    add("--choirs", metavar="SHARE", type=share, default=0.1, help="of sung parts, by many (0.1)")
    add("--no-recorded", action="store_true", help="leave out recorded songs of the ingredients")
    add("--quiet", action="store_true", help="nothing but errors on stderr")


def _songs(options: argparse.Namespace) -> int:
    from unbraid.songs.dataset import SongsRequest, make_dataset
    from unbraid.songs.ingredients import find_ingredients

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
        low_end=options.low_end,
        choirs=options.choirs,
    )
    lacking = ingredients.lacking()
    if lacking and not options.quiet:
        print(f"note: songs are made without {', '.join(lacking)}", file=sys.stderr)

    def tell(song: TrackDone, number: int, total: int) -> None:
        if not options.quiet:
            print(f"[{number}/{total}] {_song_line(song)}", file=sys.stderr)

    out = Path(options.out)
    done = make_dataset(
        out, ingredients, request, workers=options.workers or _workers(), on_song=tell
    )
    seconds = sum(song.facts["samples"] / song.facts["sample_rate"] for song in done)
    made = sum(song.made for song in done)
    print(f"{out}: {counted(len(done), 'song')}, {seconds / 60:.1f} min; {made} made now")
    return 0


def _add_check(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("root", metavar="ROOT", help="dataset, ROOT/{train,valid,test}/TRACK/STEM.SUFFIX")
    add("--split", choices=("train", "valid", "test"), help="only this one")
    add("--report", metavar="FILE", help="a page with plots")
    add("--overwrite", action="store_true", help="replace a file that is not a page of unbraid")
    add("--workers", metavar="N", type=count, help="tracks at once (cores, 4 at most)")
    add("--json", action="store_true", help="all of it on stdout, as JSON")
    add("--quiet", action="store_true", help="no line for each track on stderr")


def _check(options: argparse.Namespace) -> int:
    from unbraid.cli.display import printable
    from unbraid.data.check import TrackCheck, check_dataset

    def tell(track: TrackCheck, number: int, total: int) -> None:
        if not options.quiet:
            said = track.problem or "; ".join(track.notes) or "ok"
            line = f"[{number}/{total}] {track.split}/{track.name}: {said}"
            print(printable(line), file=sys.stderr)

    found = check_dataset(
        options.root,
        [options.split] if options.split else None,
        workers=options.workers,
        on_track=tell,
    )
    if options.json:
        print(json.dumps(found.plain(), ensure_ascii=False))
    else:
        print(_check_text(found))
    if options.report:
        from unbraid.data.page import write_data_report

        path = Path(options.report)
        try:
            write_data_report(found, path, overwrite=options.overwrite)
        except OSError as error:
            raise SettingsError(f"{str(path)!r} cannot be written: {error.strerror}") from error
        print(path, file=sys.stderr if options.json else sys.stdout)
    return 1 if found.problems else 0


def _check_text(found: DatasetCheck) -> str:
    """Medians over tracks, for a terminal."""
    from unbraid.cli.display import printable

    lines = []
    for split in dict.fromkeys(track.split for track in found.tracks):
        of = [track for track in found.tracks if track.split == split]
        minutes = sum(track.duration_s for track in of) / 60
        lines.append(f"{split}: {counted(len(of), 'track')}, {minutes:.1f} min")
    rows = [["", "LUFS", "peak dBFS", "silent %", "clipped", "alike"]]
    for name in (*found.stems, "mixture"):
        parts = [t.mixture if name == "mixture" else t.stems.get(name) for t in found.tracks]
        there = [part for part in parts if part is not None]
        alike = [
            abs(value)
            for track in found.tracks
            for pair, value in track.correlations.items()
            if name in pair.split("/")
        ]
        rows.append(
            [
                name,
                _median([part.loudness_lufs for part in there]),
                _median([part.peak_db for part in there]),
                _median([100 * part.silent_share for part in there]),
                str(sum(part.clipped for part in there)),
                f"{max(alike):.2f}" if alike else "",
            ]
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines += [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    lines.append("medians over tracks; clipped: samples in all; alike: greatest correlation")
    lines += [f"note: {note}" for note in found.notes]
    if found.problems:
        total = counted(len(found.tracks), "track")
        lines.append(f"not fit for training: {found.problems} of {total}:")
        lines += [f"  {t.split}/{t.name}: {t.problem}" for t in found.tracks if t.problem]
    return "\n".join(printable(line) for line in lines)


def _median(values: Sequence[float | None]) -> str:
    there = sorted(value for value in values if value is not None)
    return f"{median(there):.1f}" if there else "-"


def _add_automix(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("root", metavar="ROOT", help="dataset whose train songs are mixed")
    add("-o", "--out", metavar="OUT", required=True, help="dataset to make or resume")
    add("--copies", metavar="N", type=count, default=6, help="mixes of each song (%(default)s)")
    add("--seed", metavar="N", type=int, default=0, help="same seed, same bytes (%(default)s)")
    add("--stems", metavar="A,B", help="of the mixes (all)")
    backend = "what changes tempo and pitch (%(default)s)"
    add("--backend", choices=("stretch", "soundstretch"), default="stretch", help=backend)
    add("--format", choices=("flac", "wav"), default="flac", help="of the files (%(default)s)")
    add("--workers", metavar="N", type=count, help="processes at once (cores, 8 at most)")
    add("--quiet", action="store_true", help="nothing but errors on stderr")


def _automix(options: argparse.Namespace) -> int:
    from unbraid.cli.display import printable
    from unbraid.data.index import build_index
    from unbraid.songs.automix import AutomixSettings, automix

    settings = AutomixSettings(
        copies=options.copies,
        seed=options.seed,
        backend=options.backend,
        format=options.format,
    )
    index = build_index([options.root], "train", _stems(options.stems), missing="silence")

    def tell(mix: TrackDone, number: int, total: int) -> None:
        if not options.quiet:
            parts = [
                f"{stem} of {of['song']} {of['tempo']:+.1f} % {of['semitones']:+d}"
                for stem, of in mix.facts["stems"].items()
            ]
            was = "" if mix.made else " (was there)"
            line = f"[{number}/{total}] {mix.track}: {', '.join(parts)}{was}"
            print(printable(line), file=sys.stderr)

    out = Path(options.out)
    done = automix(index, out, settings, workers=options.workers or _workers(), on_mix=tell)
    copied = sum(mix.facts["kind"] == "copy" for mix in done)
    made = sum(mix.made for mix in done)
    seconds = sum(mix.facts["samples"] / mix.facts["sample_rate"] for mix in done)
    print(
        f"{out}: {counted(len(done), 'mix', 'mixes')}, {seconds / 60:.1f} min, "
        f"{counted(copied, 'plain copy', 'plain copies')}; {made} made now"
    )
    return 0


def _add_bench(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("root", metavar="ROOT", help="dataset whose train songs are read")
    add("--stems", metavar="A,B", help="to read (all)")
    add("--excerpt", metavar="S", type=positive, default=11.0, help="seconds (%(default)s)")
    add(
        "--sample-rate",
        metavar="HZ",
        type=count,
        default=44100,
        help="of the excerpts (%(default)s)",
    )
    add("--batch", metavar="N", type=count, default=4, help="excerpts in a batch (%(default)s)")
    add("--workers", metavar="N", type=int, default=0, help="processes; 0: this one (0)")
    add("--seconds", metavar="S", type=positive, default=10.0, help="for each way (%(default)s)")
    add("--repitch", action="store_true", help="also with change of pitch and tempo")
    add("--cache", metavar="DIR", help="folder for the cache (a temporary one)")


def _bench(options: argparse.Namespace) -> int:
    from unbraid.data.bench import measure_loader
    from unbraid.data.index import build_index

    index = build_index([options.root], "train", _stems(options.stems), missing="silence")
    print(f"{'':16}excerpts/s   audio s/s", flush=True)
    for speed in measure_loader(
        index,
        sample_rate=options.sample_rate,
        excerpt_s=options.excerpt,
        batch=options.batch,
        workers=max(0, options.workers),
        seconds=options.seconds,
        repitch=options.repitch,
        folder=options.cache,
    ):
        print(f"{speed.name:16}{speed.items_per_s:10.1f}{speed.audio_per_s:12.0f}", flush=True)
    tracks, stems = counted(len(index.tracks), "track"), counted(len(index.stems), "stem")
    workers = counted(max(0, options.workers), "worker process", "worker processes")
    print(f"{tracks}, {stems} of {options.excerpt:g} s; {workers}")
    return 0


def _stems(text: str | None) -> list[str] | None:
    return [name.strip() for name in text.split(",") if name.strip()] if text else None


def _song_line(song: TrackDone) -> str:
    facts = song.facts
    levels = " ".join(f"{stem} {level:.0f}" for stem, level in facts["rms_db"].items())
    length = facts["samples"] / facts["sample_rate"]
    return f"{song.track}: {length:.0f} s, dB: {levels}" + ("" if song.made else " (was there)")


def _workers() -> int:
    return min(8, os.cpu_count() or 1)


_ACTIONS = {
    "songs": (_add_songs, _songs, "make songs with their stems"),
    "check": (_add_check, _check, "list the contents of a dataset and its problems"),
    "automix": (_add_automix, _automix, "mix stems of different songs in one tempo and key"),
    "bench": (_add_bench, _bench, "measure how fast a dataset is read"),
}
