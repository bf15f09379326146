"""Ogg pages: an encoded file gets its tags, and the length that FFmpeg reads; links are found.

Audio pages stay byte for byte as libvorbis made them, except their numbers and checksums.
Source: RFC 3533 (Ogg), Vorbis I specification, sections 4.2, 5 and A.2.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import BinaryIO

_HEADER = struct.Struct("<4sBBqIIIB")
_CONTINUED, _FIRST, _LAST = 1, 2, 4
_NO_PACKET_ENDS = -1
_MAX_LINKS = 1000
_SERIAL = 1  # libsndfile draws one; ours is the same each time, and so are the bytes

_NAMES = {
    "album_artist": "ALBUMARTIST",
    "comment": "DESCRIPTION",
    "disc": "DISCNUMBER",
    "track": "TRACKNUMBER",
}
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True)
class _Page:
    """One page; `lacing` holds the lengths of its segments, a packet ends with one below 255."""

    flags: int
    granule: int
    lacing: bytes
    body: bytes

    def pack(self, number: int) -> bytes:
        fields = (b"OggS", 0, self.flags, self.granule, _SERIAL, number)
        tail = self.lacing + self.body
        checksum = _crc(_HEADER.pack(*fields, 0, len(self.lacing)) + tail)
        return _HEADER.pack(*fields, checksum, len(self.lacing)) + tail


def retag(draft: BinaryIO, write: Callable[[bytes], int], tags: Mapping[str, str]) -> None:
    """Copy an Ogg Vorbis file, with `tags` instead of its own.

    Args:
        draft: the file as libvorbis made it, at its start.
        write: takes the bytes of the new file.
        tags: by FFmpeg's generic names; METADATA_BLOCK_PICTURE holds a cover.
    """
    pages = _read_pages(draft)
    first = next(pages)
    headers = first.body, *_header_packets(pages)
    comment = _comment_packet(headers[1], tags)
    laid_out = _lay_out((comment, headers[2]))
    for number, page in enumerate(chain((first,), laid_out, _audio_pages(pages))):
        write(page.pack(number))


def link_starts(file: BinaryIO) -> list[int]:
    """Starts of the links of a chained Ogg file; just [0] for one link, or a file that is not Ogg.

    A link is a whole Ogg stream; recordings of radio streams have one after the other, each with
    its own sample rate and channels. Stops at damage and after a thousand links: what follows
    belongs to the last one.
    """
    starts, position, in_headers = [0], 0, True
    file.seek(0)
    while len(starts) < _MAX_LINKS and (header := file.read(_HEADER.size)):
        if len(header) < _HEADER.size or not header.startswith(b"OggS\0"):
            break
        is_first = bool(header[5] & _FIRST)
        if is_first and not in_headers:
            starts.append(position)
        in_headers = is_first
        lacing = file.read(header[26])
        position += _HEADER.size + len(lacing) + sum(lacing)
        file.seek(position)
    return starts


def _read_pages(file: BinaryIO) -> Iterator[_Page]:
    while header := file.read(_HEADER.size):
        _, _, flags, granule, _, _, _, segments = _HEADER.unpack(header)
        lacing = file.read(segments)
        yield _Page(flags, granule, lacing, file.read(sum(lacing)))


def _header_packets(pages: Iterator[_Page]) -> tuple[bytes, bytes]:
    """The comment and the setup packet; they end with a page."""
    lacing, body = b"", b""
    while sum(length < 255 for length in lacing) < 2:
        page = next(pages)
        lacing += page.lacing
        body += page.body
    segments = 1 + next(index for index, length in enumerate(lacing) if length < 255)
    cut = sum(lacing[:segments])
    return body[:cut], body[cut:]


def _comment_packet(old: bytes, tags: Mapping[str, str]) -> bytes:
    """A comment header with the maker of the old one and these tags."""
    vendor_end = 11 + int.from_bytes(old[7:11], "little")
    packet = old[:vendor_end] + len(tags).to_bytes(4, "little")
    for name, value in tags.items():
        entry = f"{_NAMES.get(name, name.upper())}={value}".encode("utf-8", "replace")
        packet += len(entry).to_bytes(4, "little") + entry
    return packet + b"\x01"


def _lay_out(packets: tuple[bytes, ...]) -> Iterator[_Page]:
    """Header packets on as many pages as they need."""
    lacing = b"".join(
        b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets
    )
    body = b"".join(packets)
    start, continued = 0, False
    for index in range(0, len(lacing), 255):
        part = lacing[index : index + 255]
        granule = 0 if min(part) < 255 else _NO_PACKET_ENDS
        flags = _CONTINUED if continued else 0
        yield _Page(flags, granule, part, body[start : start + sum(part)])
        start += sum(part)
        continued = part[-1] == 255


def _audio_pages(pages: Iterator[_Page]) -> Iterator[_Page]:
    for index, page in enumerate(pages):
        segments = 1 + next((at for at, length in enumerate(page.lacing) if length < 255), 0)
        if index == 0 and page.flags & _LAST and segments < len(page.lacing):
            # FFmpeg cuts the end to length only if there is a page before it. The first packet just
            # starts the overlap and gives no sound: it makes a page that ends at sample 0.
            cut = sum(page.lacing[:segments])
            yield replace(
                page,
                flags=page.flags & ~_LAST,
                granule=0,
                lacing=page.lacing[:segments],
                body=page.body[:cut],
            )
            yield replace(page, lacing=page.lacing[segments:], body=page.body[cut:])
        else:
            yield page


def _crc(data: bytes) -> int:
    """Ogg's CRC-32: zlib's polynomial with all bits the other way round, and no inversion."""
    mirrored = zlib.crc32(data.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(mirrored.to_bytes(4, "little").translate(_REVERSED), "big")
