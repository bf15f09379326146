"""Files that are plainly no songs, told by their first bytes before they are queued."""

from __future__ import annotations

HEAD_BYTES = 512
_ARCHIVE = "an archive; unpack it and send the songs in it"
_PICTURE = "a picture, not a song"
_PROGRAM = "a program, not a song"
_PAGE = "a text or web page, not a song"
_LIST = "a playlist, which only names songs; send the songs themselves"
_DOCUMENT = "a document, not a song"

_STARTS = (
    (b"PK\x03\x04", _ARCHIVE),
    (b"PK\x05\x06", _ARCHIVE),
    (b"\x1f\x8b", _ARCHIVE),
    (b"BZh", _ARCHIVE),
    (b"\xfd7zXZ\x00", _ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", _ARCHIVE),
    (b"Rar!\x1a\x07", _ARCHIVE),
    (b"\x28\xb5\x2f\xfd", _ARCHIVE),
    (b"\x89PNG", _PICTURE),
    (b"\xff\xd8\xff", _PICTURE),
    (b"GIF8", _PICTURE),
    (b"MZ", _PROGRAM),
    (b"\x7fELF", _PROGRAM),
    (b"#!", _PROGRAM),
    (b"%PDF", _DOCUMENT),
    (b"{\\rtf", _DOCUMENT),
    (b"SQLite format 3", _DOCUMENT),
)
_TEXTS = (
    (b"#extm3u", _LIST),
    (b"[playlist]", _LIST),
    (b"[reference]", _LIST),
    (b"<asx", _LIST),
    (b"<smil", _LIST),
    (b"<playlist", _LIST),
    (b"ffconcat", _LIST),
    (b"<mpd", _LIST),
    (b"file '", _LIST),
    (b"rtsp://", _LIST),
    (b"http://", _LIST),
    (b"https://", _LIST),
    (b"<!doctype", _PAGE),
    (b"<html", _PAGE),
    (b"<svg", _PICTURE),
    (b"<?php", _PROGRAM),
)
_XML_LISTS = (b"<playlist", b"<mpd", b"<smil", b"<asx")


def refuse_reason(head: bytes) -> str | None:
    """What the file is instead of a song, to follow "This file is"; None if it may be one.

    Args:
        head: the first `HEAD_BYTES` of it, or all.

    >>> refuse_reason(b"#EXTM3U\\nhttp://example.org/a.mp3")
    'a playlist, which only names songs; send the songs themselves'
    >>> refuse_reason(b"RIFF....WAVE")
    """
    for start, what in _STARTS:
        if head.startswith(start):
            return what
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(b"<?xml"):
        return _LIST if any(mark in text for mark in _XML_LISTS) else _PAGE
    for start, what in _TEXTS:
        if text.startswith(start):
            return what
    if len(head) >= 16 and all(byte in _PRINTABLE for byte in head):
        return _PAGE
    return None


_PRINTABLE = frozenset({9, 10, 13, *range(32, 127)})
