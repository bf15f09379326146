"""Tags: the text and the cover picture in a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from os import PathLike
from pathlib import Path
from types import MappingProxyType

from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from unbraid.audio.container import open_container

MAX_COVER_BYTES = 1 << 24

_MAX_TAGS = 256
_MAX_CHARACTERS = 1 << 16

_SAME = {
    "albumartist": "album_artist",
    "album artist": "album_artist",
    "tracknumber": "track",
    "discnumber": "disc",
    "year": "date",
}

# What describes the file or the level of the mixture, and would be wrong about a stem.
_NOT_CARRIED = re.compile(
    r"encoder|encoded_by|encodersettings|tsse|tlen|duration|language|handler_name|vendor_id|"
    r"creation_time|major_brand|minor_version|compatible_brands|waveformatextensible_channel_mask|"
    r"metadata_block_picture|coverart|coverartmime|time_reference|coding_history|umid|bpm_start|"
    r"(id3v2_priv|replaygain|r128|itun|originator|origination|accuraterip|_statistics|wm/).*|"
    r"bps|number_of_(frames|bytes)|.*[^ -<>-~].*|"
)

_PICTURES = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF8": "image/gif",
    b"BM": "image/bmp",
}


@dataclass(frozen=True)
class Tags:
    """Text tags and cover of a file.

    Attributes:
        text: by FFmpeg's generic names in lower case: title, artist, album, album_artist, track, ….
        cover: bytes of the front cover's image file; None if there is none.
        cover_type: its MIME type, such as "image/jpeg"; None without a cover.
        start_s: place of the first sample on the timeline of a session, in seconds after midnight:
            the time reference of a Broadcast Wave file (EBU Tech 3285); None if there is none.
    """

    text: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    cover: bytes | None = None
    cover_type: str | None = None
    start_s: Fraction | None = None


def read_tags(path: str | PathLike[str]) -> Tags:
    """Read the tags of a sound file, without those that describe the file itself or its loudness.

    Damaged tags never raise: bytes that are not text are replaced, and invalid pictures left out.

    Raises:
        AudioReadError: if the file cannot be opened as sound at all.
    """
    container, source = open_container(Path(path))
    try:
        cover = _cover(container)
        text = MappingProxyType(_text(container))
        return Tags(text, cover, picture_type(cover), _start_s(container))
    finally:
        container.close()
        source.close()


def picture_type(data: bytes | None) -> str | None:
    """MIME type of an image by its first bytes; None if unknown.

    >>> picture_type(b"\\xff\\xd8\\xff\\xe0 and so on")
    'image/jpeg'
    """
    if data is None:
        return None
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _PICTURES.items() if data.startswith(magic)), None)


def _start_s(container: InputContainer) -> Fraction | None:
    """The time reference counts samples of the file's own rate."""
    reference = container.metadata.get("time_reference", "")
    rates = [stream.rate for stream in container.streams.audio[:1] if stream.codec_context]
    if not re.fullmatch(r"[0-9]{1,18}", reference) or int(reference) == 0 or not any(rates):
        return None
    return Fraction(int(reference), rates[0])


def _text(container: InputContainer) -> dict[str, str]:
    found = dict(container.metadata)
    if container.format.name == "ogg":  # Ogg has them with the stream; elsewhere that is its label
        for stream in container.streams.audio[:1]:
            found.update(stream.metadata)
    text: dict[str, str] = {}
    for raw_key, raw_value in list(found.items())[:_MAX_TAGS]:
        key = raw_key.strip().lower()
        value = _clean(raw_value)
        if value and len(key) <= 64 and not _NOT_CARRIED.fullmatch(key):
            text.setdefault(_SAME.get(key, key), value)
    return text


def _clean(value: str) -> str:
    """Text without control characters, of bounded length, fit for UTF-8."""
    printable = re.sub(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]", "", value)
    return printable[:_MAX_CHARACTERS].strip()


def _cover(container: InputContainer) -> bytes | None:
    """The front cover, or else the first picture."""
    pictures = [
        stream
        for stream in container.streams.video
        if stream.disposition & Disposition.attached_pic
    ]
    pictures.sort(key=lambda stream: stream.metadata.get("comment") != "Cover (front)")
    for stream in pictures:
        data = _picture(container, stream)
        if picture_type(data) is not None:
            return data
    return None


def _picture(container: InputContainer, stream: VideoStream) -> bytes | None:
    try:
        packet = next(iter(container.demux(stream)))
        return bytes(packet) if 0 < packet.size <= MAX_COVER_BYTES else None
    except Exception:  # a damaged file: PyAV raises many kinds, and the cover is not worth any
        return None
