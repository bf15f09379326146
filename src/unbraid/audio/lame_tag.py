"""The length in the LAME tag of an MP3, mended where FFmpeg's muxer gets it wrong.

An MP3 has whole frames; the tag in its first frame says how many samples at both ends are
not music. FFmpeg counts only those in the last packet. When the end of the music lies in the packet
before (one length in 25), up to 47 samples too many are played.
"""

from __future__ import annotations

from typing import BinaryIO

_LONGEST = 36 + 156  # side information of a stereo frame, and the tag
_MAKER_AT, _DELAYS_AT, _CRC_AT = 120, 141, 154  # from the start of the tag
_MAX_PADDING = 0xFFF
_SHORTEST = 1152  # below, FFmpeg reads the tag in another way


def mend_padding(file: BinaryIO, start: int, samples: int) -> bool:
    """Set the padding of the LAME tag so that just `samples` are played.

    Touches nothing unless the frame holds a tag as FFmpeg writes it.

    Args:
        file: the finished MP3, open for reading and writing.
        start: position of the first MPEG frame, behind an ID3 tag.
        samples: how many samples of music the file holds.
    Returns:
        whether the file was changed.
    """
    file.seek(start)
    frame = bytearray(file.read(_LONGEST))
    tag = max(frame.find(b"Info"), frame.find(b"Xing"))
    if samples < _SHORTEST or tag < 0 or not frame.startswith((b"Lavf", b"Lavc"), tag + _MAKER_AT):
        return False
    is_mpeg1 = frame[1] >> 3 & 3 == 3  # MPEG-2 and 2.5 have frames half as long
    frames = int.from_bytes(frame[tag + 8 : tag + 12], "big")
    at = tag + _DELAYS_AT
    delay, padding = divmod(int.from_bytes(frame[at : at + 3], "big"), 1 << 12)
    wanted = frames * (1152 if is_mpeg1 else 576) - delay - samples
    if wanted == padding or not 0 <= wanted <= _MAX_PADDING:
        return False
    frame[at : at + 3] = (delay << 12 | wanted).to_bytes(3, "big")
    at = tag + _CRC_AT
    frame[at : at + 2] = _crc16(frame[:at]).to_bytes(2, "big")
    file.seek(start)
    file.write(frame)
    return True


def _crc16(data: bytes | bytearray) -> int:
    """CRC-16/ARC, as the LAME tag has it."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc
