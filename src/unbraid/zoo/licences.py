"""What the licence of a model's weights allows, in one plain sentence."""

from __future__ import annotations

_ASK = "ask its author before you publish or sell what it made"
_WORDS = (
    ("not clear", f"Not clear, as sources differ: {_ASK}."),
    ("scientific purposes", "For research only, as its author says."),
    ("not for commercial", "Not for commercial use."),
    ("Deezer", "MIT, so free for any use, as Deezer's paper says; Deezer has not confirmed it."),
    ("not stated", f"Not stated: {_ASK}."),
    ("GPL", "GPL-3.0, as sites that offer it say."),
    ("CC BY", "Free for any use that names its author (CC BY-SA)."),
    ("see its", "As stated where it is published."),
    ("MIT", "Free for any use (MIT)."),
)
"""Part of a licence -> what it means; the first that fits, the strictest first."""


def in_plain_words(licence: str) -> str:
    """The meaning of a licence as model cards state it; no legal advice.

    A model made of models has the licences of all, and the sentence is that of the strictest.

    >>> in_plain_words("MIT"), in_plain_words("not stated; for scientific purposes only")
    ('Free for any use (MIT).', 'For research only, as its author says.')
    """
    unknown = f"Not known: {_ASK}."
    return next((words for part, words in _WORDS if part in licence), unknown)
