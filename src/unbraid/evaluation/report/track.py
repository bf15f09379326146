"""A page about one separated song: levels, pictures, players in step, hints, how it was made."""

from __future__ import annotations

import base64
import html
import math
import os
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image

from unbraid.audio.files import probe
from unbraid.evaluation.hints import SongHints, measured_correlations
from unbraid.evaluation.pictures import colour_of, loudest_db, png, spectrogram, waveform
from unbraid.evaluation.report.page import (
    Figures,
    facts,
    plain,
    pointer,
    publish_page,
    readable,
    render,
    table,
)
from unbraid.evaluation.report.previews import choose_preview, encode_file, sound_block
from unbraid.evaluation.soundprint import Soundprint, soundprint
from unbraid.threads import processors
from unbraid.version import __version__

T = TypeVar("T")

_RANGE_DB = 72
_TICKS_HZ = (100, 1000, 10_000)


@dataclass(frozen=True)
class TrackReport:
    """What the page tells.

    Attributes:
        title: of the song.
        mixture: its file.
        parts: part to its file, in the order of the page.
        result: measured values, such as null_test_db; see `_RESULT_ROWS` for those that show.
        hints: about the stems, if any.
        notes: sentences for the listener.
        settings, provenance: names and values of the last tables.
    """

    title: str
    mixture: Path
    parts: Mapping[str, Path]
    result: Mapping[str, Any] = field(default_factory=dict)
    hints: SongHints | None = None
    notes: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)


_RESULT_ROWS = (
    ("null_test_db", "null test: song minus all parts", "{:.1f} dB"),
    ("gain_db", "gain shared by all stems", "{:.2f} dB"),
    ("sample_rate", "sample rate", "{:,} Hz"),
    ("channels", "channels", "{}"),
    ("seconds_audio", "length", "{:.1f} s"),
    ("seconds_wall", "time taken", "{:.1f} s"),
    ("peak_rss_mb", "most memory", "{:,.0f} MB"),
)

_HINT_COLUMNS = (
    ("share_db", "level in the song", "{:.1f} dB"),
    ("silent_share", "silent", "{:.0%}"),
    ("clipped_samples", "clipped samples", "{:,}"),
    ("overlap", "overlap", "{:.0%}"),
    ("coherence", "coherence", "{:.0%}"),
    ("disagreement_db", "disagreement", "{:.1f} dB"),
)


def write_report(report: TrackReport, path: Path, *, overwrite: bool = False) -> None:
    """Write the page to `path`, whole or not at all, in constant memory but for the page itself.

    Raises:
        AudioReadError: if a part cannot be read.
        AudioWriteError: if something that is no page of ours is in the way.
        OSError: if the disk is full.
    """
    publish_page(render_report(report, path.parent), path, overwrite=overwrite)


def render_report(report: TrackReport, folder: Path) -> str:
    """The page, to lie in `folder`."""
    sounds = {"mixture": report.mixture, **report.parts}
    prints = _of_each(soundprint, sounds)
    seconds = max(print_.seconds for print_ in prints.values())
    preview = choose_preview(
        seconds, len(sounds), max(probe(path).channels for path in sounds.values())
    )
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
    figures = Figures(data)
    encoded = _of_each(lambda path: encode_file(path, preview), sounds)
    blocks = "\n".join(sound_block(name, mp3) for name, mp3 in encoded.items())
    body = "\n".join(
        (
            f"<h1>{html.escape(readable(report.title))}</h1>",
            "".join(f"<p class=note>{html.escape(readable(note))}</p>" for note in report.notes),
            _facts(figures),
            _player(figures, prints, sounds, folder, preview.seconds),
            _hints(figures),
            _how(figures),
            blocks,
        )
    )
    return render(
        f"{report.title} · stems",
        body,
        data,
        scripts=("player.js",),
        styles=("page.css", "player.css"),
    )


def _of_each(work: Callable[[Path], T], files: Mapping[str, Path]) -> dict[str, T]:
    """Decoders and encoders let go of Python's lock: files are worked on side by side."""
    with ThreadPoolExecutor(len(processors())) as threads:
        return dict(zip(files, threads.map(work, files.values()), strict=True))


def _facts(figures: Figures) -> str:
    result = figures.data["result"]
    rows = [
        (label, figures.show(pointer("result", name), format))
        for name, label, format in _RESULT_ROWS
        if result.get(name) is not None
    ]
    return facts(rows)


def _player(
    figures: Figures,
    prints: Mapping[str, Soundprint],
    sounds: Mapping[str, Path],
    folder: Path,
    seconds: float,
) -> str:
    top_db = loudest_db(prints["mixture"])
    lanes = [
        _lane(figures, name, index, print_, top_db, _relative(sounds[name], folder))
        for index, (name, print_) in enumerate(prints.items())
    ]
    preview = figures.data["preview"]
    whole = max(print_.seconds for print_ in prints.values())
    kind = "stereo" if preview["channels"] == 2 else "mono"
    cut = ""
    if preview["seconds"] < whole - 0.5:
        cut = f" Only the first {figures.show('/preview/seconds', '{:.0f}')} s are in the page."
    return (
        '<h2 id="listen">Listen</h2>'
        f'<div class=transport data-preview-rate="{preview["sample_rate"]}">'
        "<button id=play>Play</button><span id=clock></span>"
        f'<input id=seek type=range min=0 max="{seconds:.3f}" step=0.01 value=0 '
        'aria-label="position in the song">'
        "<button id=compare aria-pressed=false>Mixture</button><button id=all>All stems</button>"
        "<span id=problem role=status></span></div>"
        f"{''.join(lanes)}{_axis(whole)}"
        '<p class="scale"><span>quiet</span><i aria-hidden=true></i><span>loud</span></p>'
        f"<p class=note>All spectrograms share one scale of {_RANGE_DB} dB below the mixture's "
        "loudest band; waveforms are drawn at full scale.</p>"
        '<p class="note keys">Keys: <kbd>space</kbd> play, <kbd>←</kbd> <kbd>→</kbd> 5 s, '
        "<kbd>1</kbd>–<kbd>9</kbd> solo, <kbd>shift</kbd>+<kbd>1</kbd>–<kbd>9</kbd> mute, "
        "<kbd>b</kbd> mixture or stems, <kbd>0</kbd> all stems.</p>"
        f"<p class=note>The players run previews inside this page (MP3, "
        f"{figures.show('/preview/kbps')} kbit/s {kind}, "
        f"{figures.show('/preview/sample_rate', '{:,}')} Hz): good for listening around, "
        "not for judging fine artefacts. The files are beside it."
        f"{cut}</p>"
    )


def _lane(
    figures: Figures, name: str, index: int, print_: Soundprint, top_db: float, source: str
) -> str:
    colour = colour_of(name, index)
    shade = "#{:02x}{:02x}{:02x}".format(*colour)
    label = html.escape(readable(name), quote=True)
    at = pointer("parts", name)
    mute = "" if name == "mixture" else f'<button data-mute aria-label="mute {label}">Mute</button>'
    return (
        f'<section class=lane data-part="{label}" style="--c:{shade}"><div class=who>'
        f"<h3>{label}</h3><div class=buttons>{mute}"
        f'<button data-solo aria-label="solo {label}">Solo</button></div>'
        f"<span class=levels>peak {figures.show(at + '/peak_db', '{:.1f} dBFS', 'silence')}<br>"
        f"RMS {figures.show(at + '/rms_db', '{:.1f} dBFS', 'silence')}</span>"
        f'<a class=note href="{source}">{figures.show(at + "/file")}</a></div>'
        f"<div class=view>{_image(waveform(print_, colour), 'wave', f'waveform of {name}')}"
        f"<div class=specbox>"
        f"{_image(spectrogram(print_, top_db).quantize(96), 'spec', f'spectrogram of {name}')}"
        f"{_hz_marks(print_)}</div><div class=head></div></div></section>"
    )


def _hz_marks(print_: Soundprint) -> str:
    """Frequencies over the spectrogram, at their height."""
    octaves = math.log(print_.highest_hz / print_.lowest_hz)
    marks = []
    for hz in _TICKS_HZ:
        height = math.log(hz / print_.lowest_hz) / octaves
        if 0 < height < 1:
            text = f"{hz // 1000} kHz" if hz >= 1000 else f"{hz} Hz"
            marks.append(
                f'<span class=hz aria-hidden=true style="bottom:{100 * height:.1f}%">{text}</span>'
            )
    return "".join(marks)


def _axis(seconds: float) -> str:
    marks = [seconds * i / 4 for i in range(5)]
    texts = (f"{int(mark // 60)}:{int(mark % 60):02d}" for mark in marks)
    return (
        "<div class=axis aria-hidden=true>" + "".join(f"<span>{t}</span>" for t in texts) + "</div>"
    )


def _hints(figures: Figures) -> str:
    hints = figures.data["hints"]
    if hints is None:
        return ""
    rows = []
    for stem in hints["stems"]:
        at = pointer("hints", "stems", stem)
        cells = [figures.show(f"{at}/{name}", format) for name, _, format in _HINT_COLUMNS]
        rows.append([html.escape(readable(stem)), *cells])
    measured = ""
    if figures.data["measured"]:
        at = pointer("measured", "correlations")
        cells = [figures.show(f"{at}/{name}/all", "{:+.2f}") for name, _, _ in _HINT_COLUMNS]
        rows.append(["<em>goes along with nSDR</em>", *cells])
        measured = (
            "<p class=note>Last row: rank correlation with nSDR, from −1 to +1, on "
            f"{figures.show('/measured/stems')} stems of {figures.show('/measured/songs')} songs "
            f"whose true stems are known, separated by {figures.show('/measured/model')}. Near 0 "
            "a hint tells nothing about quality.</p>"
        )
    residual = ""
    if hints["residual_db"] is not None:
        residual = (
            "<p>What no stem holds (the residual): "
            f"{figures.show('/hints/residual_db', '{:.1f} dB')} against the song.</p>"
        )
    return (
        "<h2>Hints at quality</h2>"
        "<p>There is no true stem to compare with, so these are no scores: they say what is odd. "
        "<em>Overlap</em>: energy that lies where another stem is louder. <em>Coherence</em>: "
        "energy in phase with the other stems, as what leaks would be. <em>Disagreement</em>: how "
        "far two runs that start at different places differ, against the stem; lower is better.</p>"
        f"{table(['stem', *(label for _, label, _ in _HINT_COLUMNS)], rows)}{measured}{residual}"
    )


def _how(figures: Figures) -> str:
    sections = []
    for name, title in (("settings", "Settings"), ("provenance", "How it was made")):
        rows = [(key, figures.show(pointer(name, key))) for key in figures.data[name]]
        if rows:
            sections.append(f"<h2>{title}</h2>{facts(rows)}")
    return "".join(sections)


def _relative(path: Path, folder: Path) -> str:
    """As the page names a file; "./" keeps a colon from looking like a protocol."""
    try:
        near = "./" + Path(os.path.relpath(path, folder)).as_posix()
        return urllib.parse.quote(os.fsencode(near))
    except ValueError:  # another drive, on Windows
        return path.absolute().as_uri()


def _image(image: Image.Image, kind: str, text: str) -> str:
    data = base64.b64encode(png(image)).decode()
    label = html.escape(readable(text), quote=True)
    return f'<img class={kind} alt="{label}" src="data:image/png;base64,{data}">'
