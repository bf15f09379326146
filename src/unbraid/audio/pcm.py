"""Decoding uncompressed (PCM) samples that take more bytes than their bits need.

FFmpeg picks its decoder by the bits that carry sound. Where a sample of 24 bits takes 32 in the
file, it reads the bytes as packed samples of 24 bits: noise of the wrong length. So the numbers of
the header are compared first, and where a sample is wider than FFmpeg takes it for, its packets are
decoded here, at the width that they have. The result is what libsndfile reads.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream

from unbraid.audio.container import Source
from unbraid.audio.pcm_headers import PcmHeader
from unbraid.errors import AudioReadError

_LOOK_BYTES = 1 << 20
_MOST_LOOKS = 64


@dataclass(frozen=True)
class PcmLayout:
    """How samples lie in the file, after all numbers were compared.

    Attributes:
        width: bytes of one sample of one channel.
        bits: how many of its bits carry sound.
        header: what the container states.
        is_cool_edit: floats with full scale at 2**23 ("24.0 float"), which FFmpeg reads by itself.
    """

    width: int
    bits: int
    header: PcmHeader
    is_cool_edit: bool = False

    @property
    def codec(self) -> str:
        """FFmpeg's name of the decoder for samples of this width."""
        if self.is_cool_edit:
            return "pcm_f24le"
        is_signed = self.header.is_signed and not (self.width == 1 and self.header.unsigned_bytes)
        kind = "f" if self.header.is_float else "s" if is_signed else "u"
        order = "" if self.width == 1 else "be" if self.header.big_endian else "le"
        return f"pcm_{kind}{8 * self.width}{order}"

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of all channels."""
        return self.width * self.header.channels

    @property
    def is_low(self) -> bool:
        """Whether the sound is in the low bits of wider samples."""
        return not self.header.is_high and self.bits < 8 * self.width

    def is_as(self, codec: str) -> bool:
        """Whether FFmpeg's decoder of this name reads the samples as they lie."""
        agree = self.header.frame_bytes == self.frame_bytes
        return codec == self.codec and agree and not self.is_low

    def is_as_wide_as(self, codec: str) -> bool:
        """Whether FFmpeg's decoder of this name takes as many bytes for a sample."""
        return codec.startswith("pcm_") and codec[5:].rstrip("lbe") == str(8 * self.width)

    @property
    def duration_s(self) -> float | None:
        """Length of the sound in seconds; None if its bytes are not in one piece."""
        header = self.header
        if header.data_bytes is None or not header.sample_rate:
            return None
        return header.data_bytes // self.frame_bytes / header.sample_rate


def judge(header: PcmHeader, file: Source) -> PcmLayout | None:
    """How the samples lie; None without bits or channels, or beyond 64 bits.

    Numbers that agree are taken. Where a plain WAVE header contradicts itself, as some programs
    write it, the data or the byte rate may show which number is wrong.

    Raises:
        AudioReadError: if the numbers contradict each other, without the file's name: "its header
            ...".
    """
    own = -(-header.bits // 8)  # bytes that the bits need
    packed = own * header.channels
    if not (packed and 1 <= own <= 8):
        return None  # FFmpeg says what it makes of no bits, no channels or more than 64 bits
    if header.valid_bits > header.bits:
        raise _contradiction(f"{header.valid_bits} valid bits in samples of {header.bits} bits")
    bits = header.valid_bits or header.bits
    if header.frame_bytes == packed:
        return PcmLayout(own, header.bits if header.is_float else bits, header)
    width, rest = divmod(header.frame_bytes, header.channels)
    is_wider = rest == 0 and own < width <= 8
    if is_wider and not header.is_float and header.is_stated:
        return PcmLayout(width, bits, header)
    if header.byte_rate and header.byte_rate == packed * header.sample_rate:
        return PcmLayout(own, bits, header)  # block align is wrong: the other two numbers agree
    if is_wider and not header.is_float:
        data = _sounding_data(header, file)
        if (header.bits, width) == (24, 4) and _is_cool_edit(data):
            return PcmLayout(width, 24, header, is_cool_edit=True)
        low, high = _used_ends(data, width, header.bits, header.big_endian)
        if not low:
            return PcmLayout(width, bits, header)
        if not high:
            return PcmLayout(width, bits, replace(header, is_high=False))
    # Programs that forget the field, or give one channel's bytes in it: all players read these.
    if header.frame_bytes in (0, own):
        return PcmLayout(own, bits, header)
    raise _contradiction(
        f"{header.channels} channels of {header.bits} bits in {header.frame_bytes} bytes"
    )


def _contradiction(what: str) -> AudioReadError:
    return AudioReadError(f"its header contradicts itself ({what}); export it again")


def _sounding_data(header: PcmHeader, file: Source) -> bytes:
    """The first piece of the samples that is not silence; empty if there is none."""
    if header.data_start is None or header.data_bytes is None:
        return b""
    step = _LOOK_BYTES // header.frame_bytes * header.frame_bytes
    file.seek(header.data_start)
    left = header.data_bytes
    for _ in range(_MOST_LOOKS):
        data = file.read(min(step, left))
        left -= len(data)
        if not data or data.count(0) < len(data):
            return data
    return b""


def _is_cool_edit(data: bytes) -> bool:
    """Whether these are floats with full scale at 2**23, as Cool Edit wrote them ("24.0 float")."""
    values = np.abs(np.frombuffer(data[: len(data) // 4 * 4], "<f4"))
    return bool(len(values) and np.isfinite(values).all() and 1e-3 < values.max() < 2**26)


def _used_ends(data: bytes, width: int, bits: int, big_endian: bool) -> tuple[bool, bool]:
    """Whether samples of this width use bits below their highest `bits`, and above their lowest.

    Above the lowest, repeated sign bits do not count. Both are True without data.
    """
    values, free = _unsigned(data, width, big_endian), 8 * width - bits
    if not len(values):
        return True, True
    low = bool((values & np.uint64((1 << free) - 1)).any())
    above = values >> np.uint64(bits)
    return low, not bool(np.isin(above, (0, (1 << free) - 1)).all())


class PcmDecoder:
    """Decodes the packets of one stream by a layout of ours; stands in for FFmpeg's own decoder.

    Args:
        layout: how samples lie.
        channel_layout: FFmpeg's name of the channels.
    Raises:
        AudioReadError: if samples of that width are not known, without the file's name.
    """

    def __init__(self, layout: PcmLayout, channel_layout: str) -> None:
        self._layout = layout
        self._rest = b""
        if layout.width not in ((4, 8) if layout.header.is_float else (1, 2, 3, 4, 8)):
            kind = "floating point" if layout.header.is_float else "integer"
            raise AudioReadError(
                f"it holds {kind} samples of {8 * layout.width} bits, which unbraid does not read"
            )
        context = av.CodecContext.create(layout.codec, "r")
        assert isinstance(context, AudioCodecContext)
        context.sample_rate = layout.header.sample_rate
        context.layout = channel_layout
        self._context = context

    def decode(self, packet: av.Packet[AudioStream] | None) -> list[AudioFrame]:
        """The frames of the next packet; None for the end.

        The rest of a frame that is cut by the end of a packet waits for the next packet.
        """
        data = self._rest + (bytes(packet) if packet is not None else b"")
        whole = len(data) // self._layout.frame_bytes * self._layout.frame_bytes
        data, self._rest = data[:whole], data[whole:]
        if not data:
            return []
        if self._layout.is_low:
            data = _raised(data, self._layout)
        return self._context.decode(av.Packet(data))


def _raised(data: bytes, layout: PcmLayout) -> bytes:
    """Samples moved from the low bits of their bytes to the high ones."""
    width, big_endian = layout.width, layout.header.big_endian
    moved = _unsigned(data, width, big_endian) << np.uint64(8 * width - layout.bits)
    rows = moved.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :width]
    raised: bytes = (rows[:, ::-1] if big_endian else rows).tobytes()
    return raised


def _unsigned(data: bytes, width: int, big_endian: bool) -> np.ndarray:
    """Samples of `width` bytes as unsigned integers, (samples,) uint64."""
    rows = np.frombuffer(data[: len(data) // width * width], np.uint8).reshape(-1, width)
    wide = np.zeros((len(rows), 8), np.uint8)
    wide[:, :width] = rows[:, ::-1] if big_endian else rows
    return wide.view("<u8")[:, 0]
