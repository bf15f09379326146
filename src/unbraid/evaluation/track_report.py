"""A page about one separated song: levels, pictures, players, and how it was made. One HTML file.

It needs nothing from the network; the players play the stems beside it.
"""

from __future__ import annotations

import base64
import html
import math
import os
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from unbraid.atomic import write_text
from unbraid.errors import AudioWriteError
from unbraid.evaluation.pictures import colour_of, loudest_db, png, spectrogram, waveform
from unbraid.evaluation.soundprint import Soundprint, soundprint

_MARK = '<meta name="generator" content="unbraid'


@dataclass(frozen=True)
class TrackReport:
    """What the page tells.

    Attributes:
        title: of the song.
        mixture: its file.
        parts: part to its file, in the order of the page.
        facts: rows of the first table, such as ("null test", "-31.2 dB").
        notes: sentences for the listener.
        provenance: rows of the last table: version, model, licence, settings.
    """

    title: str
    mixture: Path
    parts: Mapping[str, Path]
    facts: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()
    provenance: Sequence[tuple[str, str]] = field(default_factory=tuple)


def write_report(report: TrackReport, path: Path, *, overwrite: bool = False) -> None:
    """Write the page to `path`, whole or not at all, reading every file once.

    Raises:
        AudioReadError: if a part cannot be read.
        AudioWriteError: if something that is no report of ours is in the way.
        OSError: if the disk is full.
    """
    if path.exists() and not overwrite and not _is_ours(path):
        raise AudioWriteError(
            f"{str(path)!r} exists and is no report of unbraid; use --overwrite to replace it"
        )
    write_text(path, render_report(report, path.parent))


def render_report(report: TrackReport, folder: Path) -> str:
    """The page, to lie in `folder`."""
    sounds = {"mixture": report.mixture, **report.parts}
    cards, top_db = [], None
    for index, (name, sound) in enumerate(sounds.items()):
        print_ = soundprint(sound)
        top_db = loudest_db(print_) if top_db is None else top_db
        cards.append(_card(name, index, print_, top_db, _relative(sound, folder)))
    notes = "".join(f"<p class=note>{html.escape(note)}</p>" for note in report.notes)
    title = html.escape(_readable(report.title))
    return _PAGE.format(
        mark=_MARK,
        title=title,
        facts=_table(report.facts),
        notes=notes,
        cards="\n".join(cards),
        provenance=_table(report.provenance),
    )


def _card(name: str, index: int, print_: Soundprint, top_db: float, source: str) -> str:
    colour = colour_of(name, index)
    outline = _image(waveform(print_, colour), f"waveform of {name}")
    spectrum = _image(spectrogram(print_, top_db).quantize(128), f"spectrogram of {name}")
    levels = f"peak {_level(print_.peak_db)} · RMS {_level(print_.rms_db)}"
    shade = "#{:02x}{:02x}{:02x}".format(*colour)
    return (
        f'<section style="--c:{shade}"><h2>{html.escape(name)}<small>{levels}</small></h2>'
        f'{outline}{spectrum}<audio controls preload=none src="{source}"></audio></section>'
    )


def _relative(path: Path, folder: Path) -> str:
    """As the page names a file; "./" keeps a colon from looking like a protocol."""
    try:
        near = "./" + Path(os.path.relpath(path, folder)).as_posix()
        return urllib.parse.quote(os.fsencode(near))
    except ValueError:  # another drive, on Windows
        return path.absolute().as_uri()


def _image(image: Image.Image, text: str) -> str:
    data = base64.b64encode(png(image)).decode()
    return f'<img alt="{html.escape(text)}" src="data:image/png;base64,{data}">'


def _table(rows: Sequence[tuple[str, str]]) -> str:
    return "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(_readable(value))}</td></tr>"
        for name, value in rows
    )


def _level(db: float) -> str:
    return "silence" if math.isinf(db) else f"{db:.1f} dBFS"


def _readable(text: str) -> str:
    """Text that UTF-8 can hold and that stays in its line."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _is_ours(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return _MARK in file.read(4096)
    except OSError:
        return False


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
{mark}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · stems</title>
<style>
:root {{ color-scheme: light dark; --ink: #1c1d22; --soft: #666a75; --line: #e3e4e8; --card: #fff;
  --ground: #f6f6f8; }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #ececf1; --soft: #9a9eab; --line: #33353d;
  --card: #212228; --ground: #17181c; }} }}
* {{ box-sizing: border-box; }}
body {{ margin: 0 auto; padding: 2rem 1rem 4rem; max-width: 60rem; color: var(--ink);
  background: var(--ground); font: 16px/1.5 system-ui, sans-serif; }}
h1 {{ font-size: 1.6rem; line-height: 1.25; overflow-wrap: anywhere; margin: 0 0 1rem; }}
section {{ background: var(--card); border: 1px solid var(--line); border-left: 4px solid var(--c);
  border-radius: 8px; padding: .8rem 1rem 1rem; margin: 1rem 0; }}
h2 {{ display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1rem;
  margin: 0 0 .4rem; font-size: 1.1rem; }}
small, .note {{ color: var(--soft); font-size: .85rem; font-weight: normal; }}
img {{ display: block; width: 100%; height: auto; border-radius: 4px; margin-bottom: .4rem; }}
audio {{ width: 100%; height: 40px; }}
table {{ border-collapse: collapse; font-size: .9rem; }}
th {{ text-align: left; font-weight: normal; color: var(--soft); padding: .1rem 1.5rem .1rem 0;
  vertical-align: top; white-space: nowrap; }}
td {{ overflow-wrap: anywhere; }}
h3 {{ font-size: 1rem; margin: 2rem 0 .4rem; }}
</style></head>
<body>
<h1>{title}</h1>
<table>{facts}</table>
{notes}
{cards}
<h3>How it was made</h3>
<table>{provenance}</table>
</body></html>
"""
