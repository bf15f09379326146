"""What a container's header states about uncompressed (PCM) samples.

Most containers give two numbers for one sample: how many bits carry sound, and how many bytes the
sample takes in the file (directly, or as the bytes of a frame, "block align"). This module only
finds the numbers; `unbraid.audio.pcm` judges them.

Sources: Microsoft, "Multiple Channel Audio Data and WAVE Files" (WAVE_FORMAT_EXTENSIBLE); Sonic
Foundry Wave64; EBU Tech 3306 (RF64); Apple, "Audio Interchange File Format AIFF-C" (1991), "Core
Audio Format Specification 1.0" and "QuickTime File Format" (sound sample description, version 2);
NIST SPHERE.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from unbraid.audio.container import Source

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
_W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")
_IN_DS64 = 0xFFFFFFFF  # as the size of samples: RF64 says it in another chunk, in 64 bits
_MOST_CHUNKS = 4096  # a damaged header must not send us around for long
_LONGEST_HEADER = 1 << 20


@dataclass(frozen=True)
class PcmHeader:
    """The numbers of one header, unjudged.

    Attributes:
        channels, sample_rate: of the stream.
        bits: of one sample by the main field. In a WAVE_FORMAT_EXTENSIBLE header and in NIST these
            are the bits that the sample takes in the file, elsewhere those that carry sound.
        valid_bits: bits that carry sound, where a field of its own gives them; 0 for "not stated".
        frame_bytes: bytes that one sample of all channels takes in the file; 0 for "not stated".
        byte_rate: bytes per second; 0 for "not stated".
        is_float, is_signed, big_endian: kind of the samples.
        unsigned_bytes: whether samples of one byte are unsigned, as in all of Microsoft's formats.
        is_high: whether the sound is in the high bits of a wider sample.
        is_stated: whether the header means it when `frame_bytes` is more than the bits take. Of
            Microsoft's headers this is not known: some programs write the field wrongly.
        data_start, data_bytes: where the samples are; None where they are not in one piece.
    """

    channels: int
    sample_rate: int
    bits: int
    frame_bytes: int
    valid_bits: int = 0
    byte_rate: int = 0
    is_float: bool = False
    is_signed: bool = True
    unsigned_bytes: bool = False
    big_endian: bool = False
    is_high: bool = True
    is_stated: bool = True
    data_start: int | None = None
    data_bytes: int | None = None


def read_header(demuxer: str, file: Source, stream: int) -> PcmHeader | None:
    """The header of stream number `stream`; None if it is not PCM, or of a kind not known here.

    Args:
        demuxer: FFmpeg's name of the container, such as "wav" or "mov,mp4,m4a,3gp,3g2,mj2".
        file: at any position.
    """
    for name, reader in _READERS.items():
        if name in demuxer.split(","):
            try:
                file.seek(0)
                return reader(file, stream)
            except (struct.error, LookupError, ValueError, OverflowError):
                return None  # cut short: FFmpeg has its own opinion about that
    return None


def _riff(file: Source, stream: int) -> PcmHeader | None:
    start = file.read(12)
    order = ">" if start[:4] == b"RIFX" else "<"
    header: PcmHeader | None = None
    long_size = 0  # of the samples, where it does not fit into 32 bits
    for name, at, size in _riff_chunks(file, order):
        if name == b"fmt " and header is None:
            header = _wave_format(file.read(min(size, 64)), order)
        elif name == b"ds64" and size >= 16:
            long_size = struct.unpack("<8xQ", file.read(16))[0]
        elif name == b"data" and header is not None:
            return _with_data(header, file, at, long_size if size == _IN_DS64 else size)
    return header


def _riff_chunks(file: Source, order: str) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and size of the chunks from here on; the file is at the start of each."""
    for _ in range(_MOST_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            return
        name, size = head[:4], struct.unpack(order + "I", head[4:])[0]
        at = file.tell()
        yield name, at, size
        if file.seek(at + size + size % 2) < 0:
            return


def _w64(file: Source, stream: int) -> PcmHeader | None:
    file.seek(40)  # "riff", its size, "wave"
    header: PcmHeader | None = None
    for _ in range(_MOST_CHUNKS):
        name, size = file.read(16), struct.unpack("<Q", file.read(8))[0]
        at = file.tell()
        if name == b"fmt " + _W64_TAIL:
            header = _wave_format(file.read(min(size, 64)), "<")
        elif name == b"data" + _W64_TAIL and header is not None:
            return _with_data(header, file, at, size - 24)
        if size < 24 or file.seek(at + (size - 24 + 7) // 8 * 8) < 0:
            break
    return header


def _avi(file: Source, stream: int) -> PcmHeader | None:
    file.read(12)
    for name, at, size in _riff_chunks(file, "<"):
        if name == b"LIST" and file.read(4) == b"hdrl":
            return _avi_streams(file, at + size, stream)
    return None


def _avi_streams(file: Source, end: int, stream: int) -> PcmHeader | None:
    number = -1
    for name, at, size in _riff_chunks(file, "<"):
        if at > end:
            return None
        if name != b"LIST" or file.read(4) != b"strl":
            continue
        number += 1
        if number == stream:
            for inner, start, length in _riff_chunks(file, "<"):
                if start > at + size:
                    return None
                if inner == b"strf":
                    return _wave_format(file.read(min(length, 64)), "<")
    return None


def _wave_format(content: bytes, order: str) -> PcmHeader | None:
    """Microsoft's WAVEFORMATEX, or WAVEFORMATEXTENSIBLE."""
    code, channels, rate, byte_rate, frame_bytes, bits = struct.unpack(
        order + "HHIIHH", content[:16]
    )
    valid = 0
    if code == _EXTENSIBLE and len(content) >= 40 and content[26:40] == _GUID_TAIL:
        valid, code = struct.unpack(order + "H4xH", content[18:26])
    if code not in (_PCM, _FLOAT):
        return None
    return PcmHeader(
        *(channels, rate, bits, frame_bytes, valid, byte_rate),
        is_float=code == _FLOAT,
        unsigned_bytes=True,
        big_endian=order == ">",
        is_stated=False,
    )


def _with_data(header: PcmHeader, file: Source, at: int, size: int) -> PcmHeader:
    """A size of 0, or beyond the file, is "to the end": programs that only stream write those."""
    rest = max(0, file.size - at)
    return replace(header, data_start=at, data_bytes=min(size, rest) if size else rest)


def _embedded(file: Source, stream: int) -> PcmHeader | None:
    """A WAVEFORMATEXTENSIBLE inside some other header (Matroska, ASF, WTV); None unless it is one.

    The structure is known by its long identifier. With several of them, and nothing to tell
    which is this stream's, none is taken.
    """
    head = file.read(_LONGEST_HEADER)
    found = []
    for match in re.finditer(re.escape(_GUID_TAIL), head):
        begin = match.start() - 26
        if begin >= 0 and head[begin : begin + 2] == b"\xfe\xff":
            found.append(_wave_format(head[begin : begin + 40], "<"))
    return found[0] if len(found) == 1 else None


def _caf(file: Source, stream: int) -> PcmHeader | None:
    file.seek(8)
    header: PcmHeader | None = None
    for _ in range(_MOST_CHUNKS):
        name, size = struct.unpack(">4sq", file.read(12))
        at = file.tell()
        if name == b"desc":
            rate, kind, flags, packet, frames, channels, bits = struct.unpack(
                ">d4sIIIII", file.read(32)
            )
            if kind != b"lpcm":
                return None
            header = PcmHeader(
                *(channels, int(rate), bits, packet // max(1, frames)),
                is_float=bool(flags & 1),
                big_endian=not flags & 2,
            )
        elif name == b"data" and header is not None:
            rest = file.size - at
            size = rest if size < 0 else min(size, rest)
            return replace(header, data_start=at + 4, data_bytes=max(0, size - 4))
        if size < 0 or file.seek(at + size) < 0:
            break
    return header


def _aiff(file: Source, stream: int) -> PcmHeader | None:
    """AIFF, and the kinds of AIFF-C that hold PCM.

    FFmpeg takes "sowt" for 16 bits whatever the header says; programs write 24 and 32, too.
    """
    is_plain = file.read(12)[8:] == b"AIFF"
    header: PcmHeader | None = None
    for name, at, size in _riff_chunks(file, ">"):
        if name == b"COMM":
            channels, _, bits, exponent, mantissa = struct.unpack(">hIhHQ", file.read(18))
            kind = _AIFF_KINDS.get(b"NONE" if is_plain else file.read(4))
            if kind is None:
                return None
            # the rate is an 80-bit float: 1 sign, 15 exponent, 64 mantissa with its leading bit
            rate = int(mantissa * 2.0 ** (exponent - 16383 - 63))
            header = PcmHeader(channels, rate, bits, -(-bits // 8) * channels, **kind)
        elif name == b"SSND" and header is not None:
            offset = struct.unpack(">I4x", file.read(8))[0]
            rest = min(size, file.size - at) - 8 - offset
            return replace(header, data_start=at + 8 + offset, data_bytes=max(0, rest))
    return header


_BIG, _LITTLE = {"big_endian": True}, {"big_endian": False}
_FLOATS = {"big_endian": True, "is_float": True}
_AIFF_KINDS: dict[bytes, dict[str, bool]] = {
    **dict.fromkeys((b"NONE", b"twos", b"in24", b"in32"), _BIG),
    b"sowt": _LITTLE,
    b"raw ": {"is_signed": False},
    **dict.fromkeys((b"fl32", b"FL32", b"fl64", b"FL64"), _FLOATS),
}


def _nist(file: Source, stream: int) -> PcmHeader | None:
    text = file.read(4096).partition(b"end_head")[0].decode("latin-1")
    fields = dict(re.findall(r"^(\w+) -(?:i|s\d+) (\S+)", text, re.MULTILINE))
    if fields.get("sample_coding", "pcm") != "pcm":
        return None
    size, channels = int(fields["sample_n_bytes"]), int(fields["channel_count"])
    return PcmHeader(
        *(channels, int(fields["sample_rate"]), 8 * size, channels * size),
        valid_bits=int(fields.get("sample_sig_bits", 8 * size)),
        big_endian=not fields.get("sample_byte_format", "10").startswith("0"),
    )


def _mov(file: Source, stream: int) -> PcmHeader | None:
    """The sound description of version 2 ("lpcm"); all others mean one kind of sample each."""
    for start, end in _atoms(file, b"moov", 0, file.size):
        tracks = [*_atoms(file, b"trak", start, end)]
        if stream >= len(tracks):
            return None
        inside = [tracks[stream]]
        for name in (b"mdia", b"minf", b"stbl", b"stsd"):
            inside = [part for begin, stop in inside for part in _atoms(file, name, begin, stop)]
        return _sound_description(file, inside[0][0]) if inside else None
    return None


def _atoms(file: Source, wanted: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Content (start, end) of the atoms of one name between two places."""
    at = start
    for _ in range(_MOST_CHUNKS):
        if at + 8 > end or file.seek(at) < 0:
            return
        size, name = struct.unpack(">I4s", file.read(8))
        content = at + 8
        if size == 1:
            size, content = struct.unpack(">Q", file.read(8))[0], at + 16
        stop = end if size == 0 else min(at + size, end)
        if stop < content:
            return
        if name == wanted:
            yield content, stop
        at = stop


def _sound_description(file: Source, start: int) -> PcmHeader | None:
    file.seek(start + 8)  # version, flags, number of entries
    entry = file.read(72)
    if entry[4:8] != b"lpcm" or struct.unpack(">H", entry[16:18])[0] != 2:
        return None
    rate, channels, bits, flags, packet, frames = struct.unpack(">dI4xIIII", entry[40:72])
    return PcmHeader(
        *(channels, int(rate), bits, packet // max(1, frames)),
        is_float=bool(flags & 1),
        is_signed=bool(flags & 4),
        big_endian=bool(flags & 2),
        is_high=bool(flags & 16),
    )


_READERS: dict[str, Callable[[Source, int], PcmHeader | None]] = {
    "wav": _riff,
    "w64": _w64,
    "aiff": _aiff,
    "avi": _avi,
    "caf": _caf,
    "nistsphere": _nist,
    "mov": _mov,
    "matroska": _embedded,
    "asf": _embedded,
    "asf_o": _embedded,
    "wtv": _embedded,
}
