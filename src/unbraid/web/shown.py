"""Text from strangers, their file names and tags, in a form that is safe to show."""

from __future__ import annotations

import re
import unicodedata

_LONGEST = 200
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{2,4}")


def shown_text(text: str) -> str:
    """One short line without invisible characters; "" if nothing is left.

    >>> shown_text("  AC/DC\\u202e\\nlive ")
    'AC/DClive'
    """
    kept = "".join(c for c in text if unicodedata.category(c)[0] != "C").strip()
    return kept[:_LONGEST].strip()


def shown_name(name: str) -> str:
    """A client's file name, without folders.

    >>> shown_name("C:\\\\music\\\\so\\x00ng.mp3"), shown_name("../../../etc/passwd")
    ('song.mp3', 'passwd')
    >>> shown_name("..")
    'song'
    """
    kept = shown_text(name.replace("\\", "/").rpartition("/")[2])
    return kept if kept.strip(". ") else "song"


def split_suffix(name: str) -> tuple[str, str]:
    """A file name without its suffix, and the suffix; "" if it has none that looks like one.

    >>> split_suffix("Mr. Smith.flac"), split_suffix("Mr. Smith"), split_suffix(".mp3")
    (('Mr. Smith', '.flac'), ('Mr. Smith', ''), ('.mp3', ''))
    """
    bare, dot, ending = name.rpartition(".")
    return (bare, dot + ending) if bare and _SUFFIX.fullmatch(dot + ending) else (name, "")


def new_name(old: str, text: str) -> str:
    """What a file is called after its owner typed `text`; "" if that is not a name.

    It keeps its suffix.

    >>> new_name("take 3.wav", "AC/DC: live"), new_name("take 3.wav", "Live.WAV")
    ('AC/DC: live.wav', 'Live.wav')
    >>> new_name("take 3.wav", "..")
    ''
    """
    bare, suffix = shown_text(text), split_suffix(old)[1]
    if suffix and bare.lower().endswith(suffix.lower()):
        bare = bare[: -len(suffix)].rstrip()
    return bare + suffix if bare.strip(". ") else ""
