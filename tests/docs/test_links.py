"""Every link of the documentation leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("benchmarks/*.md"),
        *ROOT.glob("studies/**/*.md"),
        *ROOT.glob("src/unbraid/zoo/weights/*.md"),
    ]
)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def _prose(page: Path) -> str:
    """The page without its code blocks and inline code."""
    text = re.sub(r"^(```|~~~).*?^\1", "", page.read_text("utf-8"), flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "", text)


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and Markdown tools make them."""
    titles = re.findall(r"^#+ +(.*)$", page.read_text("utf-8"), flags=re.M)
    slugs = (re.sub(r"[^\w\- ]", "", title.lower()).strip() for title in titles)
    return {slug.replace(" ", "-") for slug in slugs}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    broken = []
    for link in _LINK.findall(_prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / place.replace("%20", " ")).resolve() if place else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert broken == []


def test_the_index_leads_to_every_page() -> None:
    index = (ROOT / "docs/index.md").read_text("utf-8")
    listed = {(ROOT / "docs" / link).resolve() for link in _LINK.findall(index)}
    assert set(ROOT.glob("docs/*.md")) - listed == {ROOT / "docs/index.md"}


def test_the_list_of_decisions_is_complete() -> None:
    folder = ROOT / "docs/decisions"
    listed = {folder / link for link in _LINK.findall((folder / "index.md").read_text("utf-8"))}
    assert set(folder.glob("[0-9]*.md")) == listed
