"""Figures of a page held against its JSON."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Any

from unbraid.pages.page import Figures

_FIGURE = re.compile(r'<data value="([^"]*)" data-from="([^"]*)">([^<]*)</data>')
_BLOCK = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.S)
_NUMBER = re.compile(r"[\d,]+(?:\.\d+)?(?:e[-+]\d+)?")


def embedded_data(page: str) -> Any:
    """The data of a page."""
    return json.loads(_BLOCK.search(page)[1])


def check_figures(page: str, expected: Mapping[str, Any], also: set[str] = frozenset()) -> int:
    """Every figure equals what `expected` has at its place, to the digits shown; returns how many.

    Args:
        also: names of the page's data that `expected` does not have.
    """
    data = embedded_data(page)
    assert {name: value for name, value in data.items() if name not in also} == expected
    found = _FIGURE.findall(page)
    for raw, pointer, text in found:
        value = json.loads(html.unescape(raw))
        assert value == Figures(data).at(html.unescape(pointer)), pointer
        shown = html.unescape(text).replace("\N{MINUS SIGN}", "-")
        if isinstance(value, (int, float)):
            number = _NUMBER.search(shown)[0].replace(",", "")
            mantissa, _, exponent = number.partition("e")
            digits = len(mantissa.partition(".")[2]) - int(exponent or 0)
            scale = 100 if "%" in shown else 1
            assert abs(abs(value) * scale - float(number)) <= 0.5000001 * 10**-digits, (text, value)
        elif isinstance(value, str):
            assert value in shown, (text, value)
    return len(found)
