"""Plain words: phrases that make readers stop do not come back, in the docs or in the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

AVOID = {
    "anew": "again",
    "as asked": "leave it out",
    "asked for": "requested, or wanted",
    "at hand": "available, or current",
    "be told apart": "be distinguished",
    "by which": "a clause with a subject and a verb",
    "come about": "be made",
    "goes on where": "resumes",
    "gone on": "resumed",
    "in place of": "instead of",
    "in the works": "in progress",
    "in vain": "for nothing",
    "is no more": "was deleted",
    "of one's own": "your own",
    "shall": "must, or should",
    "take it with you": "download",
    "taking it apart": "separating",
    "taken apart": "separated",
    "tells of": "reports",
    "to be had": "available",
    "told of": "informed about",
    "whose owners": "if the owner",
}
"""Phrases to avoid -> what to write instead."""

AVOID_IN_CODE = {
    "beside": "next to, or as well as",
    "but for": "except",
    "for ever": "forever",
    "is no": "is not a",
    "are no": "are not",
    "let go of": "release",
    "whoever": "the one who, or any program that",
}
"""Further phrases that the package does without; records of training runs in the docs have them."""

PUBLISHED = "docs/ablations.md", "docs/training-log.md", "docs/serve-pages.md"
"""Records of the past keep their words."""

DOCS = sorted(
    page
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    if str(page.relative_to(ROOT)) not in (*PUBLISHED, "CHANGELOG.md")
)

PACKAGE = ROOT / "src" / "unbraid"
KINDS = ".py", ".js", ".css", ".html", ".toml", ".md"


def found(text: str, phrases: dict[str, str]) -> dict[str, str]:
    """The phrases in a text, wherever its lines break; "there is no" is plain enough."""
    plain = " ".join(re.sub(r"^\s*(?:#|//|\*) ?", "", text, flags=re.M).split()).lower()
    plain = re.sub(r"\bthere (is|are) no\b|\b(is|are) no (longer|better)\b", "", plain)
    return {
        phrase: instead
        for phrase, instead in phrases.items()
        if re.search(rf"\b{re.escape(phrase)}\b", plain)
    }


@pytest.mark.parametrize("page", DOCS, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_use_plain_words(page: Path) -> None:
    assert found(page.read_text("utf-8"), AVOID) == {}


@pytest.mark.parametrize(
    "folder", sorted(path.name for path in PACKAGE.iterdir() if path.name != "__pycache__")
)
def test_the_package_uses_plain_words(folder: str) -> None:
    top = PACKAGE / folder
    files = [path for path in [top, *top.rglob("*")] if path.is_file() and path.suffix in KINDS]
    files = [path for path in files if "vendor" not in path.parts]  # the words of others
    problems = {
        str(path.relative_to(ROOT)): phrases
        for path in files
        if (phrases := found(path.read_text("utf-8"), {**AVOID, **AVOID_IN_CODE}))
    }
    assert problems == {}


def test_phrases_are_found_across_lines_of_comments_too() -> None:
    text = "    # It is in place\n    # of the other, and it is no longer there."
    assert list(found(text, {**AVOID, **AVOID_IN_CODE})) == ["in place of"]
