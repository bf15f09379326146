"""The frame of a page, and its figures: every number shown is looked up in the page's own data.

A page is one file and needs nothing else: styles, scripts, pictures and sound are inside, and its
content policy forbids the browser to fetch anything. The data stands in the page as JSON; a figure
is written as `<data value="-31.24" data-from="/parts/vocals/peak_db">-31.2 dBFS</data>`, so anyone
can check that what is read is what was measured.
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from unbraid.atomic import write_text
from unbraid.errors import AudioWriteError
from unbraid.version import __version__

MARK = '<meta name="generator" content="unbraid'
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data:; media-src data: blob:; base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True)
class Figures:
    """Looks figures up in the data of a page and writes them.

    Attributes:
        data: plain values, as JSON has them.
    """

    data: Mapping[str, Any]

    def at(self, pointer: str) -> Any:
        """The value at a JSON pointer (RFC 6901), such as "/parts/vocals/peak_db"."""
        value: Any = self.data
        for step in pointer.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            value = value[int(name)] if isinstance(value, list) else value[name]
        return value

    def show(self, pointer: str, format: str = "{}", none: str = "–") -> str:
        """The value at `pointer` as HTML; `none` stands for null."""
        value = self.at(pointer)
        text = none if value is None else format.format(value).replace("-", "\N{MINUS SIGN}", 1)
        if isinstance(value, str):
            text = readable(format.format(value))
        raw = html.escape(json.dumps(value), quote=True)
        return (
            f'<data value="{raw}" data-from="{html.escape(pointer, quote=True)}">'
            f"{html.escape(text)}</data>"
        )


def pointer(*steps: str | int) -> str:
    """The JSON pointer of some steps.

    >>> pointer("parts", "a/b", 0)
    '/parts/a~1b/0'
    """
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def plain(value: Any) -> Any:
    """`value` as JSON can hold it: numbers that are not finite become null, paths text.

    >>> plain({"rms_db": float("-inf"), "at": (1, 2.5)})
    {'rms_db': None, 'at': [1, 2.5]}
    """
    if isinstance(value, Mapping):
        return {str(name): plain(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, (float, int)) and not isinstance(value, bool):
        return value if math.isfinite(value) else None
    return value if isinstance(value, (str, bool)) or value is None else str(value)


def render(
    title: str,
    body: str,
    data: Mapping[str, Any],
    *,
    scripts: Sequence[str] = (),
    styles: Sequence[str] = ("page.css",),
) -> str:
    """A whole page.

    Args:
        title: plain text.
        body: HTML.
        data: what the figures of `body` were looked up in.
        scripts, styles: names of files in `assets/`.
    """
    css = "\n".join(asset(name) for name in styles)
    js = "".join(f"<script>{asset(name)}</script>\n" for name in scripts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'{MARK} {__version__}">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{html.escape(readable(title))}</title>\n<style>{css}</style></head>\n"
        f"<body>\n{body}\n{embedded(data)}\n{js}</body></html>\n"
    )


def embedded(data: Mapping[str, Any], id: str = "data") -> str:
    """`data` as a JSON block that no text in it can end."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="{id}">{text}</script>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> str:
    """A table of HTML cells below its caption (HTML); it scrolls sideways where it is narrow.

    The first cell of a row is its head.
    """
    top = "".join(f"<th scope=col>{cell}</th>" for cell in head)
    lines = "".join(
        f"<tr><th scope=row>{row[0]}</th>"
        + "".join(f"<td>{cell}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    named = f"<p class=note>{caption}</p>" if caption else ""
    return (
        f'{named}<div class=wide tabindex=0 role=group aria-label="table"><table>'
        f"<thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def facts(rows: Sequence[tuple[str, str]]) -> str:
    """A list of names (plain text) and values (HTML)."""
    return (
        "<dl class=facts>"
        + "".join(
            f"<div><dt>{html.escape(name)}</dt><dd>{value}</dd></div>" for name, value in rows
        )
        + "</dl>"
    )


def readable(text: str) -> str:
    """Text that UTF-8 can hold and that stays in its line."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def asset(name: str) -> str:
    """The text of a file in `assets/`."""
    return (resources.files(__package__) / "assets" / name).read_text(encoding="utf-8")


def publish_page(text: str, path: Path, *, overwrite: bool = False) -> None:
    """Write a page, whole or not at all.

    Raises:
        AudioWriteError: if something that is no page of ours is in the way.
        OSError: if the disk is full.
    """
    if path.exists() and not overwrite and not is_ours(path):
        raise AudioWriteError(
            f"{str(path)!r} exists and is no report of unbraid; use --overwrite to replace it"
        )
    write_text(path, text)


def is_ours(path: Path) -> bool:
    """Whether a file is a page that we wrote."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return MARK in file.read(4096)
    except OSError:
        return False
