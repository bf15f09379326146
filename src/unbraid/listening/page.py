"""The page that raters see: one file, the same with a server and without."""

from __future__ import annotations

from unbraid.listening.study import Study, public_view
from unbraid.pages.page import Page

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
    "media-src 'self' file: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'"
)


def study_page(study: Study) -> Page:
    """The page of a study, to be written as `index.html`; its sounds are in `audio/`."""
    return Page(
        title=study.settings.title,
        data=public_view(study),
        package="unbraid.listening",
        template="study.html",
        scripts=("listen.js",),
        styles=("listen.css",),
        values={"policy": POLICY},
    )
