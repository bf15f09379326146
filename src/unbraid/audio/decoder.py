"""From an encoded stream to float32 samples, as FFmpeg decodes it.

Sample counts and alignment are those of FFmpeg: encoder delay and padding of MP3 (LAME header), AAC
(edit list), Opus and Vorbis (granule positions) are already left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.codec.context import Flags2
from av.container import InputContainer
from av.packet import Packet

from unbraid.audio.channels import default_channel_names
from unbraid.audio.container import Source, open_container, open_regular, shown
from unbraid.audio.formats import MIN_SAMPLE_RATE
from unbraid.audio.frames import Conformer, to_float
from unbraid.audio.ogg import link_starts
from unbraid.audio.pcm import PcmDecoder, PcmLayout, judge
from unbraid.audio.pcm_headers import read_header
from unbraid.audio.stem_file import STEMS, read_stem_labels
from unbraid.audio.streams import candidates, delay_s, keep_only, printable, stream_names
from unbraid.closing import Closing
from unbraid.errors import AudioReadError

MAX_CHANNELS = 64
MAX_SAMPLE_RATE = 6_144_000  # eight times 768 kHz; FFmpeg gives DSD at an eighth of its rate

# Guards against damaged files that a demuxer reads in circles. Even silence in Monkey's Audio packs
# at most 80,000 samples in a byte.
_MOST_STREAMS = 8
_SILENT_SAMPLES = 1 << 16
_FREE_SAMPLES, _SAMPLES_PER_BYTE = 1 << 24, 1 << 17
_FREE_PACKETS, _PACKETS_PER_BYTE = 1 << 16, 8

_LOSSLESS = frozenset(
    {
        "alac",
        "ape",
        "atrac3al",
        "atrac3pal",
        "flac",
        "mlp",
        "osq",
        "rka",
        "shorten",
        "tak",
        "truehd",
    }
    | {"tta", "wavpack", "wmalossless"}
)


def _names(container: InputContainer, path: Path) -> tuple[str, ...]:
    """What the audio streams are called; those of a stem file by its own box."""
    names = stream_names(container)
    if len(names) == 1 + STEMS and not any(names):
        labels = read_stem_labels(path)
        if labels is not None and len(labels) == STEMS:
            return ("mixture", *(printable(label.name) for label in labels))
    return names


class _NoSound(AudioReadError):
    """A stream that holds nothing to decode."""


class Decoder(Closing):
    """One sound file, or a part of one, open for decoding; a context manager.

    The first frame is decoded at once, since only it has the true sample rate and channels.

    Args:
        path: the file.
        part: first byte and end of a part of it; None for the whole file.
        stream: which of several audio streams, counted from 1; None for the one that players take.

    Attributes:
        container, codec: names, as FFmpeg has them.
        sample_rate: Hz, of the first frame; the whole file comes at this rate.
        channels: number of channels, of the first frame.
        channel_names: one for each channel.
        bit_depth: bits of a sample if lossless (DSD counts as 24), None if lossy.
        is_float, is_lossless: kind of the samples.
        duration_s: length by the header, an estimate; None if unknown.
        stream: number of the audio stream, counted from 1.
        stream_names: title or language of every audio stream; empty where it has none.
        delay_s: how long after the picture of a video the sound starts; `blocks` begins with as
            much silence.
    Raises:
        AudioReadError: if there is no sound to decode, or no such stream.
    """

    def __init__(
        self,
        path: Path,
        part: tuple[int, int | None] | None = None,
        *,
        stream: int | None = None,
    ) -> None:
        self._path = path
        # FFmpeg drops the links of a chained Ogg file that differ from the first: read each alone.
        own, *self._later_links = _links(path) if part is None else [part]
        tried = 0
        while True:
            self._container, self._source = open_container(path, *own)
            try:
                order = candidates(self._container, stream, path)
                self._start(order[tried])
                return
            except _NoSound:
                self.close()
                tried += 1  # not the requested stream: another one may have sound
                if tried == min(len(order), _MOST_STREAMS):
                    raise
            except BaseException:
                self.close()
                raise

    def _start(self, stream: AudioStream) -> None:
        self._damage = 0
        self.stream = self._container.streams.audio.index(stream) + 1
        self.stream_names = _names(self._container, self._path)
        keep_only(self._container, stream)
        self._layout, self._pcm = self._own_pcm(stream)
        if self._container.format.name == "caf" and _codec_name(stream) == "alac":
            # The packet table states how much of the last packet is padding, but packets of ALAC
            # state their own length: FFmpeg would cut as much sound off again.
            stream.codec_context.flags2 |= Flags2.skip_manual
        self._frames = self._decode(stream)
        self._first = self._first_frame()
        self.delay_s = delay_s(self._container, self._first)
        self._describe(stream, self._first)

    def close(self) -> None:
        """Close the file. Twice is fine."""
        self._container.close()
        self._source.close()

    def blocks(self) -> Iterator[np.ndarray]:
        """All samples from the start, as float32 arrays (channels, any number); once only.

        Raises:
            AudioReadError: if the disk fails, or the sound changes so that it cannot be followed.
        """
        silent = round(self.delay_s * self.sample_rate)
        for begin in range(0, silent, _SILENT_SAMPLES):
            yield np.zeros((self.channels, min(_SILENT_SAMPLES, silent - begin)), np.float32)
        conformer = Conformer(self._path, self._first)
        for frame in self._all_frames():
            for conformed in conformer.conform(frame):
                yield to_float(conformed)
        for conformed in conformer.flush():
            yield to_float(conformed)

    def _all_frames(self) -> Iterator[AudioFrame]:
        yield self._first
        yield from self._frames
        for part in self._later_links:
            try:
                link = Decoder(self._path, part)
            except AudioReadError:
                continue  # a link that is damaged throughout is left out like any damaged stretch
            with link:
                yield from link._all_frames()

    def _own_pcm(self, stream: AudioStream) -> tuple[PcmLayout | None, PcmDecoder | None]:
        """How PCM samples lie in the file, and a decoder if FFmpeg takes them for something else.

        Raises:
            AudioReadError: if the header contradicts itself, or the format is unknown.
        """
        context = stream.codec_context
        codec = _codec_name(stream)
        layout = None
        if context is None or (codec.startswith("pcm_") and codec != "pcm_f16le"):
            layout = self._pcm_layout(stream)
        if layout is None and context is None:
            raise AudioReadError(f"{shown(self._path)} holds audio in a format that is not known")
        if layout is None or layout.is_as(codec):
            return layout, None
        if "mov" in self._container.format.name and not layout.is_as_wide_as(codec):
            raise AudioReadError(
                f"{shown(self._path)} holds samples of {layout.bits} bits in {layout.width} bytes, "
                "which unbraid does not read from QuickTime; convert it to wav"
            )  # FFmpeg reads only the first bytes of each chunk
        channels = layout.header.channels
        known = context is not None and context.layout.nb_channels == channels
        names = context.layout.name if known else f"{channels} channels"
        try:
            return layout, PcmDecoder(layout, names)
        except AudioReadError as error:
            raise AudioReadError(f"{shown(self._path)}: {error}") from None

    def _pcm_layout(self, stream: AudioStream) -> PcmLayout | None:
        source = self._source
        apart = Source(self._path, source.start, source.start + source.size)  # FFmpeg's stays put
        try:
            header = read_header(self._container.format.name, apart, stream.index)
            if header is None or not 1 <= header.channels <= MAX_CHANNELS:
                return None
            if not 1 <= header.sample_rate <= MAX_SAMPLE_RATE:
                return None
            return judge(header, apart)
        except AudioReadError as error:
            raise AudioReadError(f"{shown(self._path)}: {error}") from None
        finally:
            apart.close()

    def _first_frame(self) -> AudioFrame:
        name = shown(self._path)
        first = next(self._frames, None)
        if first is None and self._damage:
            raise _NoSound(f"{name} is damaged: no sound could be decoded")
        if first is None:
            raise _NoSound(f"{name} holds no sound: its audio stream has no samples")
        return first

    def _describe(self, stream: AudioStream, first: AudioFrame) -> None:
        layout = self._layout
        codec = layout.codec if self._pcm and layout else _codec_name(stream)
        self.container = self._container.format.name
        self.codec = codec
        self.sample_rate = first.sample_rate
        self.channels = first.layout.nb_channels
        self.channel_names = _channel_names(first)
        is_dsd = codec.startswith("dsd_")
        is_pcm = codec.startswith("pcm_") and not codec.endswith(("law", "vidc"))
        self.is_lossless = is_pcm or is_dsd or codec in _LOSSLESS
        self.is_float = (
            self.is_lossless and not is_dsd and first.format.name.startswith(("flt", "dbl"))
        )
        if layout is not None:
            self.bit_depth: int | None = layout.bits
        else:
            known = self.is_lossless and not is_dsd
            self.bit_depth = _bit_depth(stream, first) if known else 24 if is_dsd else None
        own_s = layout.duration_s if layout is not None else None
        duration_s = own_s or _duration_s(stream, self._container.duration)
        self.duration_s = duration_s + self.delay_s if duration_s is not None else None

    def _decode(self, stream: AudioStream) -> Iterator[AudioFrame]:
        """Every frame that decodes; damaged packets are left out, as FFmpeg does."""
        budget = _FREE_SAMPLES + _SAMPLES_PER_BYTE * self._source.size
        for packet in self._packets(stream):
            try:
                frames = stream.decode(packet) if self._pcm is None else self._pcm.decode(packet)
            except Exception:  # any of PyAV's kinds: this packet is lost, the next may be whole
                self._damage += 1
                continue
            for frame in frames:
                budget -= frame.samples
                if budget < 0:
                    raise AudioReadError(
                        f"{shown(self._path)} is damaged: it gives more sound than it can hold"
                    )
                if frame.samples:
                    self._check_frame(frame)
                    yield frame

    def _packets(self, stream: AudioStream) -> Iterator[Packet[AudioStream] | None]:
        packets = self._container.demux(stream)
        for _ in range(_FREE_PACKETS + _PACKETS_PER_BYTE * self._source.size):
            try:
                packet = next(packets)
            except StopIteration:
                break
            except Exception:  # the container is broken from here on: what came before is kept
                self._damage += 1
                yield None  # flushes the decoder
                break
            yield packet
        if self._source.error is not None:
            reason = self._source.error.strerror
            raise AudioReadError(f"{shown(self._path)} cannot be read to its end: {reason}")

    def _check_frame(self, frame: AudioFrame) -> None:
        channels, sample_rate = frame.layout.nb_channels, frame.sample_rate
        if not 1 <= channels <= MAX_CHANNELS:
            raise AudioReadError(
                f"{shown(self._path)} has {channels} channels; unbraid takes 1 to {MAX_CHANNELS}"
            )
        if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
            raise AudioReadError(
                f"{shown(self._path)} has a sample rate of {sample_rate} Hz; "
                f"unbraid takes {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz"
            )


def _links(path: Path) -> list[tuple[int, int | None]]:
    with open_regular(path) as file:
        starts = link_starts(file)
    return list(zip(starts, [*starts[1:], None], strict=True))


def _channel_names(frame: AudioFrame) -> tuple[str, ...]:
    names = tuple(channel.name for channel in frame.layout.channels)
    usable = len(set(names)) == frame.layout.nb_channels and not {"NONE", "UNK", "UNSD"} & set(
        names
    )
    return names if usable else default_channel_names(frame.layout.nb_channels)


def _codec_name(stream: AudioStream) -> str:
    context = stream.codec_context
    return context.codec.canonical_name if context is not None else ""


def _bit_depth(stream: AudioStream, frame: AudioFrame) -> int:
    codec = _codec_name(stream)
    header = stream.codec_context.extradata or b""
    if named := re.fullmatch(r"pcm_[suf](\d+).*", codec):
        return int(named[1])
    if codec == "flac" and len(header) >= 34:
        return ((header[12] & 1) << 4 | header[13] >> 4) + 1  # STREAMINFO: bits per sample - 1
    if codec == "alac" and len(header) >= 18 and header[17] in (16, 20, 24, 32):
        return header[17]
    bits = frame.format.bits
    # Decoders put 20 and 24 bits into 32 without telling PyAV; true 32-bit integers are rare.
    return 24 if bits == 32 and frame.format.name.startswith("s32") else bits


def _duration_s(stream: AudioStream, container_us: int | None) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        duration_s = float(stream.duration * stream.time_base)
    elif container_us is not None:
        duration_s = container_us / 1e6
    else:
        return None
    return duration_s if duration_s > 0 else None
