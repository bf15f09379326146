"""The page about one separated song: levels, pictures, players in sync, hints, how it was made."""

from __future__ import annotations

import hashlib
import json
import math
import os
import urllib.parse
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from unbraid.audio.files import probe
from unbraid.pages.page import Page, plain, readable
from unbraid.pages.pictures import colour_of, loudest_db, png, spectrogram, waveform
from unbraid.pages.previews import Preview, choose_preview, encode_file, file_seconds
from unbraid.pages.soundprint import Soundprint, soundprint
from unbraid.separation.progress import UNWATCHED, Progress, Watch
from unbraid.song_page.hints import SongHints, measured_correlations
from unbraid.threads import processors
from unbraid.tracks.records import stamp_of
from unbraid.tracks.result import is_exact
from unbraid.version import __version__

RANGE_DB = 72
_ABOUT = '<meta name="unbraid-about" content="'
_TICKS_HZ = (100, 1000, 10_000)

_RESULT_ROWS = (
    ("null_test_db", "null test: song minus all stems", "{:.1f} dB"),
    ("gain_db", "gain shared by all stems", "{:.2f} dB"),
    ("sample_rate", "sample rate", "{:,} Hz"),
    ("channels", "channels", "{}"),
    ("seconds_audio", "length", "{:.1f} s"),
    ("seconds_wall", "time taken", "{:.1f} s"),
    ("peak_rss_mb", "peak memory", "{:,.0f} MB"),
)

_HINT_COLUMNS = (
    ("share_db", "level in the song", "{:.1f} dB"),
    ("silent_share", "silent", "{:.0%}"),
    ("clipped_samples", "clipped samples", "{:,}"),
    ("overlap", "overlap", "{:.0%}"),
    ("coherence", "coherence", "{:.0%}"),
    ("disagreement_db", "disagreement", "{:.1f} dB"),
)


@dataclass(frozen=True)
class SongReport:
    """What the page shows.

    Attributes:
        title: of the song.
        mixture: its file.
        parts: stem or residual to its file, in the order of the page.
        result: measured values, such as null_test_db; see `_RESULT_ROWS` for those that show.
        hints: about the stems, if any.
        notes: sentences for the listener.
        settings, provenance: names and values of the last tables.
        links: addresses of "mixture" and parts, where they are not those of the files.
    """

    title: str
    mixture: Path
    parts: Mapping[str, Path]
    result: Mapping[str, Any] = field(default_factory=dict)
    hints: SongHints | None = None
    notes: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def sounds(self) -> dict[str, Path]:
        """The mixture and all parts."""
        return {"mixture": self.mixture, **self.parts}


@dataclass(frozen=True)
class _Lane:
    """What the player draws of one sound.

    Attributes:
        name: of the stem, or "mixture".
        shade: its colour, for CSS.
        href: its file, as the page links to it.
        wave, spectrogram: PNG files.
        marks: frequencies over the spectrogram: text, and height in percent.
        preview: sound to play.
    """

    name: str
    shade: str
    href: str
    wave: bytes
    spectrogram: bytes
    marks: Sequence[tuple[str, float]]
    preview: bytes


def write_report(
    report: SongReport, path: Path, *, overwrite: bool = False, watch: Watch = UNWATCHED
) -> None:
    """Write the page to `path`; needs constant memory besides the page itself.

    Raises:
        AudioReadError: if a sound file cannot be read.
        AudioWriteError: if a file that is not a page of unbraid is in the way.
        OSError: if the disk is full.
    """
    song_page(report, path.parent, watch).write(path, overwrite=overwrite)


def is_current(report: SongReport, path: Path) -> bool:
    """Whether a page there is about these very files and settings, by this version of unbraid.

    What is measured (`result`, `hints`, `notes`) is not compared: it follows from them.
    """
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return f'{_ABOUT}{fingerprint(report, path.parent)}">' in file.read(4096)
    except OSError:
        return False


def fingerprint(report: SongReport, folder: Path) -> str:
    """SHA-256 of what a page in `folder` is about: its files, their places, how they were made."""
    about = {
        "version": __version__,
        "title": report.title,
        "settings": dict(report.settings),
        "provenance": dict(report.provenance),
        "addresses": _addresses(report, folder),
        "files": {name: stamp_of(path) for name, path in report.sounds.items()},
    }
    return hashlib.sha256(json.dumps(about, default=str).encode()).hexdigest()


def render_report(report: SongReport, folder: Path) -> str:
    """The HTML of the page, to be put in `folder`."""
    return song_page(report, folder).render()


def song_page(report: SongReport, folder: Path, watch: Watch = UNWATCHED) -> Page:
    """The page, to be put in `folder`: links to the files are relative to it."""
    sounds = report.sounds
    about = fingerprint(report, folder)
    preview = choose_preview(
        max(file_seconds(path) for path in sounds.values()),
        len(sounds),
        max(probe(path).channels for path in sounds.values()),
    )
    prints, encoded = _looked_at(sounds, preview, watch)
    seconds = max(print_.seconds for print_ in prints.values())
    data = plain(
        {
            "kind": "separation",
            "title": readable(report.title),
            "version": __version__,
            "result": {**report.result},
            "parts": {
                name: {
                    "file": readable(sounds[name].name),
                    "seconds": print_.seconds,
                    "peak_db": print_.peak_db,
                    "rms_db": print_.rms_db,
                }
                for name, print_ in prints.items()
            },
            "hints": report.hints.as_dict() if report.hints else None,
            "measured": measured_correlations() if report.hints else None,
            "notes": [readable(note) for note in report.notes],
            "settings": dict(report.settings),
            "provenance": dict(report.provenance),
            "preview": asdict(preview),
        }
    )
    top_db = loudest_db(prints["mixture"])
    hrefs = _addresses(report, folder)
    lanes = [
        _lane(name, index, print_, top_db, encoded[name], hrefs[name])
        for index, (name, print_) in enumerate(prints.items())
    ]
    return Page(
        title=f"{report.title} · stems",
        data=data,
        package="unbraid.song_page",
        template="song.html",
        scripts=("player.js",),
        styles=("page.css", "player.css"),
        values={
            "about": Markup(f'{_ABOUT}{about}">'),
            "lanes": lanes,
            "result_rows": _RESULT_ROWS,
            "is_exact": is_exact(report.result.get("null_test_db")),
            "hint_columns": _HINT_COLUMNS,
            "range_db": RANGE_DB,
            "axis": [_minutes(seconds * i / 4) for i in range(5)],
            "cut": preview.seconds < seconds - 0.5,
        },
    )


def _looked_at(
    files: Mapping[str, Path], preview: Preview, watch: Watch
) -> tuple[dict[str, Soundprint], dict[str, bytes]]:
    """Soundprints and previews, made side by side: decoders and encoders release Python's lock."""
    with ThreadPoolExecutor(len(processors())) as threads:
        # Previews take longest and come first, so that no processor is left with one at the end.
        encoded = {name: threads.submit(encode_file, files[name], preview) for name in files}
        prints = {name: threads.submit(soundprint, files[name]) for name in files}
        works: list[Future[Any]] = [*encoded.values(), *prints.values()]
        for done, work in enumerate(as_completed(works), start=1):
            work.result()
            watch.tell(Progress("report", done / len(works), None))
    return (
        {name: work.result() for name, work in prints.items()},
        {name: work.result() for name, work in encoded.items()},
    )


def _lane(
    name: str, index: int, print_: Soundprint, top_db: float, preview: bytes, href: str
) -> _Lane:
    colour = colour_of(name, index)
    return _Lane(
        name=name,
        shade="#{:02x}{:02x}{:02x}".format(*colour),
        href=href,
        wave=png(waveform(print_, colour)),
        spectrogram=png(spectrogram(print_, top_db).quantize(96)),
        marks=_hz_marks(print_),
        preview=preview,
    )


def _hz_marks(print_: Soundprint) -> list[tuple[str, float]]:
    """Frequencies over the spectrogram, with their height in percent."""
    octaves = math.log(print_.highest_hz / print_.lowest_hz)
    marks = []
    for hz in _TICKS_HZ:
        height = math.log(hz / print_.lowest_hz) / octaves
        if 0 < height < 1:
            marks.append((f"{hz // 1000} kHz" if hz >= 1000 else f"{hz} Hz", 100 * height))
    return marks


def _minutes(seconds: float) -> str:
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"


def _addresses(report: SongReport, folder: Path) -> dict[str, str]:
    """Where the page finds the mixture and the parts."""
    own = {name: _relative(path, folder) for name, path in report.sounds.items()}
    return own | {**report.links}


def _relative(path: Path, folder: Path) -> str:
    """As the page names a file; "./" keeps a colon from looking like a protocol."""
    try:
        near = "./" + Path(os.path.relpath(path, folder)).as_posix()
        return urllib.parse.quote(os.fsencode(near))
    except ValueError:  # another drive, on Windows
        return path.absolute().as_uri()
