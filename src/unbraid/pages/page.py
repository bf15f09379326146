"""A page from a template and plain data: every number shown is looked up in the page's own data.

A page is one file and needs nothing else: styles, scripts, pictures and sound are inside, and its
content security policy forbids the browser to load more. The data is in the page as JSON; a figure
is written as `<data value="-31.24" data-from="/parts/vocals/peak_db">-31.2 dBFS</data>`, so anyone
can check that the number shown is the number measured.

Templates escape all text that is not `Markup`, and replace characters that cannot be printed.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from unbraid.atomic import write_text
from unbraid.errors import AudioWriteError
from unbraid.version import __version__
from unbraid.words import counted

_HERE = "unbraid.pages"
MARK = '<meta name="generator" content="unbraid'


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        title: plain text, for the tab of the browser.
        data: plain values (see `plain`), from which all figures of the page come.
        package: name of the package that holds `templates/` and perhaps `assets/`.
        template: file in `templates/`; it extends `frame.html`.
        values: what the template needs besides figures, such as charts, as `Markup`.
        scripts, styles: files in `assets/` of `package` or of `unbraid.pages`.
    """

    title: str
    data: Mapping[str, Any]
    package: str
    template: str = "page.html"
    values: Mapping[str, Any] = field(default_factory=dict)
    scripts: tuple[str, ...] = ()
    styles: tuple[str, ...] = ("page.css",)

    def render(self) -> str:
        """The HTML."""
        template = environment(self.package).get_template(self.template)
        return template.render(
            title=self.title,
            data=self.data,
            show=Figures(self.data).show,
            styles=[asset(name, self.package) for name in self.styles],
            scripts=[asset(name, self.package) for name in self.scripts],
            **self.values,
        )

    def write(self, path: Path, *, overwrite: bool = False) -> None:
        """Write the page; an incomplete file never appears.

        Raises:
            AudioWriteError: if a file that is not a page of unbraid is in the way.
            OSError: if the disk is full.
        """
        if path.exists() and not overwrite and not is_ours(path):
            raise AudioWriteError(
                f"{str(path)!r} exists and is not a report of unbraid; --overwrite replaces it"
            )
        write_text(path, self.render())


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

    def show(self, pointer: str, format: str = "{}", none: str = "–") -> Markup:
        """The value at `pointer` as HTML; `none` stands for null."""
        value = self.at(pointer)
        text = none if value is None else format.format(value).replace("-", "\N{MINUS SIGN}", 1)
        if isinstance(value, str):
            text = readable(format.format(value))
        return Markup('<data value="{}" data-from="{}">{}</data>').format(
            json.dumps(value), pointer, text
        )


def pointer(*steps: str | int) -> str:
    """The JSON pointer of some steps.

    >>> pointer("parts", "a/b", 0)
    '/parts/a~1b/0'
    """
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def plain(value: Any) -> Any:
    """`value` in a form for JSON: numbers that are not finite become null, paths text.

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


def embedded(data: Mapping[str, Any]) -> Markup:
    """`data` as JSON for a script element; no text in it can end the element."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))


def readable(text: str) -> str:
    """Text that UTF-8 can encode, in one line."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def is_ours(path: Path) -> bool:
    """Whether a file is a page of unbraid."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return MARK in file.read(4096)
    except OSError:
        return False


def asset(name: str, package: str) -> Markup:
    """The text of a file in `assets/` of a package, or of this one."""
    for owner in (package, _HERE):
        file = resources.files(owner) / "assets" / name
        if file.is_file():
            return Markup(file.read_text(encoding="utf-8"))
    raise FileNotFoundError(f"no asset {name!r} in {package} or {_HERE}")


@cache
def environment(package: str) -> Environment:
    """The templates of a package, with those of this one as a fallback."""
    owners = dict.fromkeys((package, _HERE))
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(owner) for owner in owners]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.globals.update(
        at=pointer, embedded=embedded, generator=Markup(f'{MARK} {__version__}">')
    )
    environment.filters.update(base64=_base64, counted=counted)
    return environment


def _base64(data: bytes) -> Markup:
    return Markup(base64.b64encode(data).decode())


def _printable(value: Any) -> Any:
    """Make foreign text printable; `Markup` is left unchanged."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return escape(readable(value))
    return value
