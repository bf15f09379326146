"""Plain words: phrases that make readers stop do not come back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

AVOID = {
    "anew": "again",
    "as asked": "leave it out",
    "at hand": "available",
    "be told apart": "be distinguished",
    "goes on where": "resumes",
    "in place of": "instead of",
    "in the works": "in progress",
    "in vain": "for nothing",
    "is asked for": "is requested",
    "is no more": "was deleted",
    "of one's own": "your own",
    "shall": "must, or should",
    "take it with you": "download",
    "taking it apart": "separating",
    "taken apart": "separated",
    "tells of": "reports",
    "whose owners": "if the owner",
}
"""Phrases to avoid -> what to write instead."""

PUBLISHED = "docs/ablations.md", "docs/training-log.md", "docs/serve-pages.md"
"""Records of the past keep their words."""

DOCS = sorted(
    page
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    if str(page.relative_to(ROOT)) not in (*PUBLISHED, "CHANGELOG.md")
)


@pytest.mark.parametrize("page", DOCS, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_use_plain_words(page: Path) -> None:
    text = " ".join(page.read_text("utf-8").split()).lower()
    found = {
        phrase: instead
        for phrase, instead in AVOID.items()
        if re.search(rf"\b{re.escape(phrase)}\b", text)
    }
    assert found == {}
