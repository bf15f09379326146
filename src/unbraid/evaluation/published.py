"""Published results, as the paper prints them; read-only data."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any


def sdr_table() -> dict[str, Any]:
    """The paper's table of SDRs on the MUSDB test set: source, measure, rows."""
    return dict(_published()["sdr"])


def human_study() -> dict[str, Any]:
    """The means of the paper's human study: question -> system -> stem."""
    return dict(_published()["human"])


def _published() -> dict[str, Any]:
    text = (resources.files(__package__) / "published.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content
