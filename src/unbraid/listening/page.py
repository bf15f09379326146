"""The page raters see: one file, the same with a server and without."""

from __future__ import annotations

import html
from importlib import resources

from unbraid.evaluation.report.page import embedded
from unbraid.listening.study import Study, public_view

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
    "media-src 'self' file: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'"
)


def study_page(study: Study) -> str:
    """The page of a study; sounds lie beside it in `audio/`."""
    css, js = _asset("listen.css"), _asset("listen.js")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="robots" content="noindex"><meta name="color-scheme" content="light dark">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{html.escape(study.settings.title)}</title>\n<style>{css}</style></head>\n"
        "<body><main id=screen tabindex=-1></main><p id=status role=status></p>\n"
        "<noscript>This test needs JavaScript; it loads nothing from anywhere else.</noscript>\n"
        f"{embedded(public_view(study), 'study')}\n<script>{js}</script></body></html>\n"
    )


def _asset(name: str) -> str:
    return (resources.files(__package__) / "assets" / name).read_text(encoding="utf-8")
