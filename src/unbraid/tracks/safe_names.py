"""Names that are safe to give files: what may stand in a template, and one component of a path."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import string
import unicodedata
from pathlib import PureWindowsPath

from unbraid.errors import SettingsError

FIELDS = ("track", "trackext", "stem", "ext", "model", "bpm", "key")
"""What a template may name."""
LONGEST_NAME_BYTES = 255
_RESERVED = {"con", "prn", "aux", "nul", *(f"{p}{n}" for p in ("com", "lpt") for n in range(1, 10))}
_UNSAFE = '<>:"|?*' if os.name == "nt" else ""


def check_template(template: str, *, one_part: bool = False) -> None:
    """Refuse a template that cannot name files below the output root.

    Args:
        template: to check.
        one_part: whether a song has only one part, so that its names need no `{stem}`.
    Raises:
        SettingsError: for unknown fields, formatting, absolute paths, "..", hidden names, or when
            `{stem}` is missing, so that one part would replace the other.
    """
    names = []
    try:
        pieces = list(string.Formatter().parse(template))
    except ValueError as error:
        raise SettingsError(
            f"the file name template {template!r} cannot be read: {error}"
        ) from None
    for _, name, spec, conversion in pieces:
        if name is None:
            continue
        if name not in FIELDS:
            near = difflib.get_close_matches(name, FIELDS, n=1)
            hint = f"; did you mean {{{near[0]}}}?" if near else ""
            raise SettingsError(
                f"the template {template!r} has an unknown field {{{name}}}; "
                f"known are {', '.join(FIELDS)}{hint}"
            )
        if spec or conversion:
            raise SettingsError(f"the template {template!r} formats {{{name}}}; use it plainly")
        names.append(name)
    if "stem" not in names and not one_part:
        raise SettingsError(f"the template {template!r} needs {{stem}}, or stems share one name")
    _check_path(template, template.format(**dict.fromkeys(FIELDS, "x")))


def _check_path(template: str, sample: str) -> None:
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in sample) or "\\" in sample:
        raise SettingsError(f"the template {template!r} holds a control character or a backslash")
    windows = PureWindowsPath(sample)
    if sample.startswith("/") or windows.drive or windows.root or sample.endswith("/"):
        raise SettingsError(
            f"the template {template!r} must be a file name below the output folder"
        )
    if any(part.startswith(".") for part in sample.split("/")):
        raise SettingsError(f"the template {template!r} has a part with a leading dot")
    if any(len(part.encode()) > LONGEST_NAME_BYTES for part in sample.split("/")):
        raise SettingsError(f"the template {template!r} has a part longer than 255 bytes")


def safe_name(text: str, longest_bytes: int = LONGEST_NAME_BYTES) -> str:
    """`text` as one harmless path component: printable, visible, not reserved, not too long.

    >>> safe_name("AC/DC\\n"), safe_name("..") , safe_name("con")
    ('AC_DC_', '__', 'con_')
    """
    kept = "".join("_" if _is_unsafe(c) else c for c in text)
    bare = kept.lstrip(".")
    kept = "_" * (len(kept) - len(bare)) + bare
    if os.name == "nt":
        kept = re.sub(r"[. ]+$", lambda tail: "_" * len(tail[0]), kept)
    if kept.split(".")[0].casefold() in _RESERVED:
        head, dot, tail = kept.partition(".")
        kept = f"{head}_{dot}{tail}"
    return shorten(kept or "_", longest_bytes)


def _is_unsafe(char: str) -> bool:
    return char in "/\\" + _UNSAFE or unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")


def shorten(text: str, longest_bytes: int) -> str:
    """Cut at a character, and mark the cut by a digest of the whole, so that twins stay apart."""
    raw = text.encode()
    if len(raw) <= longest_bytes:
        return text
    mark = "~" + hashlib.sha256(raw).hexdigest()[:8]
    return raw[: max(longest_bytes - len(mark), 0)].decode(errors="ignore") + mark
