"""Files of PCM samples with headers made by hand, so that every number in them can be chosen."""

from __future__ import annotations

import struct

import numpy as np

RATE = 32000
PCM = bytes.fromhex("0100000000001000800000aa00389b71")
FLOAT = bytes.fromhex("0300000000001000800000aa00389b71")
_W64 = bytes.fromhex("f3acd3118cd100c04f8edb8a")


def laid_out(values: np.ndarray, width: int, *, shift: int = 0, big_endian: bool = False) -> bytes:
    """Integers (channels, samples) as samples of `width` bytes, moved up by `shift` bits."""
    moved = (values.T.astype("<i8") << shift).reshape(-1, 1)
    rows = np.ascontiguousarray(moved).view(np.uint8).reshape(-1, 8)[:, :width]
    return (rows[:, ::-1] if big_endian else rows).tobytes()


def wave_format(
    code: int,
    bits: int,
    frame_bytes: int,
    *,
    channels: int = 2,
    valid: int | None = None,
    guid: bytes = PCM,
    byte_rate: int | None = None,
) -> bytes:
    """WAVEFORMATEX; with `valid` bits WAVEFORMATEXTENSIBLE."""
    rate = RATE * frame_bytes if byte_rate is None else byte_rate
    head = struct.pack("<HHIIHH", code, channels, RATE, rate, frame_bytes, bits)
    return head if valid is None else head + struct.pack("<HHI", 22, valid, 3) + guid


def wav(wave: bytes, data: bytes, name: bytes = b"RIFF") -> bytes:
    """A RIFF file of a header and samples."""
    body = b"WAVEfmt " + struct.pack("<I", len(wave)) + wave
    body += b"data" + struct.pack("<I", len(data)) + data
    return name + struct.pack("<I", len(body)) + body


def w64(wave: bytes, data: bytes) -> bytes:
    """Wave64: as RIFF, with long names and lengths."""
    body = b"wave" + _W64 + b"fmt " + _W64 + struct.pack("<Q", 24 + len(wave)) + wave
    body += bytes(-len(body) % 8) + b"data" + _W64 + struct.pack("<Q", 24 + len(data)) + data
    start = bytes.fromhex("726966662e91cf11a5d628db04c10000")
    return start + struct.pack("<Q", 24 + len(body)) + body


def caf(bits: int, frame_bytes: int, data: bytes, *, flags: int = 2, channels: int = 2) -> bytes:
    """Core Audio; flags: 1 floating point, 2 little-endian."""
    described = struct.pack(">d4s5I", RATE, b"lpcm", flags, frame_bytes, 1, channels, bits)
    start = b"caff\0\1\0\0desc" + struct.pack(">q", len(described)) + described
    return start + b"data" + struct.pack(">qI", len(data) + 4, 0) + data


def aiff(bits: int, data: bytes, *, kind: bytes = b"", channels: int = 2) -> bytes:
    """AIFF, or AIFF-C of a kind: "NONE" and "twos" big-endian, "sowt" little-endian."""
    frames = len(data) // (-(-bits // 8) * channels)
    rate = struct.pack(">HQ", 16383 + 14, RATE << 63 - 14)  # an 80-bit float; 2**14 <= RATE < 2**15
    described = struct.pack(">hIh", channels, frames, bits) + rate
    described += kind + bytes(2) if kind else b""
    body = b"AIFC" if kind else b"AIFF"
    body += b"COMM" + struct.pack(">I", len(described)) + described
    body += b"SSND" + struct.pack(">III", len(data) + 8, 0, 0) + data
    return b"FORM" + struct.pack(">I", len(body)) + body


def nist(bits: int, width: int, data: bytes, *, channels: int = 2) -> bytes:
    """NIST SPHERE, little-endian."""
    fields = (
        f"channel_count -i {channels}\nsample_rate -i {RATE}\nsample_n_bytes -i {width}\n"
        f"sample_byte_format -s2 01\nsample_sig_bits -i {bits}\n"
        f"sample_count -i {len(data) // width // channels}\nsample_coding -s3 pcm\nend_head\n"
    )
    return f"NIST_1A\n   1024\n{fields}".encode().ljust(1024) + data


def mov(bits: int, width: int, flags: int, data: bytes, *, channels: int = 2) -> bytes:
    """QuickTime with a sound description of version 2; flags: 1 float, 2 big-endian, 4 signed,
    8 packed, 16 sound in the high bits."""
    step = width * channels
    samples = len(data) // step
    sound = struct.pack(
        ">6x7HhHIIdIIIIII",
        *(1, 2, 0, 0, 0, 3, 16, -2, 0, 1 << 16, 72),
        *(RATE, channels, 0x7F000000, bits, flags, step, 1),
    )
    start = _atom(b"ftyp", b"qt  \0\0\0\0qt  ")
    table = _atom(
        b"stbl",
        _atom(b"stsd", struct.pack(">II", 0, 1), _atom(b"lpcm", sound)),
        _atom(b"stts", struct.pack(">4I", 0, 1, samples, 1)),
        _atom(b"stsc", struct.pack(">5I", 0, 1, 1, samples, 1)),
        _atom(b"stsz", struct.pack(">3I", 0, step, samples)),
        _atom(b"stco", struct.pack(">3I", 0, 1, len(start) + 8)),
    )
    times = struct.pack(">6I", 0, 0, 0, RATE, samples, 0)
    media = _atom(
        b"mdia",
        _atom(b"mdhd", times),
        _atom(b"hdlr", bytes(4), b"mhlrsoun", bytes(13)),
        _atom(b"minf", _atom(b"smhd", bytes(8)), table),
    )
    track = _atom(b"trak", _atom(b"tkhd", struct.pack(">6I", 0, 0, 0, 1, 0, samples), bytes(60)))
    track = _atom(b"trak", track[8:], media)
    movie = _atom(b"moov", _atom(b"mvhd", times[:20], bytes(80)), track)
    return start + _atom(b"mdat", data) + movie


def _atom(name: bytes, *content: bytes) -> bytes:
    inside = b"".join(content)
    return struct.pack(">I", 8 + len(inside)) + name + inside
