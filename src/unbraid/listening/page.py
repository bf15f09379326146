"""The page that raters see: one file, the same with a server and without."""

from __future__ import annotations

from unbraid.listening.study import Study, public_view
from unbraid.pages.page import Page


def study_page(study: Study) -> Page:
    """The page of a study, to be written as `index.html`; its sounds are in `audio/`."""
    return Page(
        title=study.settings.title,
        data=public_view(study),
        package="unbraid.listening",
        template="study.html",
        scripts=("listen.js",),
        styles=("listen.css",),
    )
