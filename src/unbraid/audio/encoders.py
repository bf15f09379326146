"""From samples to encoded bytes, one encoder per kind of format.

FFmpeg (PyAV) encodes all formats except Ogg Vorbis: its own Vorbis encoder is experimental, and
PyAV comes without libvorbis. soundfile has libvorbis.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np
from av.audio.stream import AudioStream

from unbraid.audio.channels import default_channel_names
from unbraid.audio.container import id3_length
from unbraid.audio.formats import AudioFormat
from unbraid.audio.lame_tag import mend_padding
from unbraid.audio.muxer import Sink, ogg_comments, open_output, start
from unbraid.audio.ogg import retag
from unbraid.audio.tags import Tags
from unbraid.errors import AudioWriteError


class Encoder(Protocol):
    """Takes blocks (channels, samples) and writes them to its sink."""

    def write(self, block: np.ndarray) -> None:
        """Encode the next block, at least one sample."""

    def finish(self) -> None:
        """Write the rest and close everything except the sink."""

    def abandon(self) -> None:
        """Close everything except the sink, without writing the rest; may raise."""


# LAME's -q: 5 is the default of its manual ("good speed, reasonable quality"). Its library searches
# at 3 unless told, for a third more time and no gain at 320 kbit/s: 0.93 and 0.71 s for 10 s of
# music at 3 and 5.
_LAME = "5"


@dataclass(frozen=True)
class _Recipe:
    """How FFmpeg writes a format: its names for container, codec and kind of samples."""

    muxer: str
    codec: str
    samples: str


_RECIPES = {
    ("wav", "16"): _Recipe("wav", "pcm_s16le", "s16"),
    ("wav", "24"): _Recipe("wav", "pcm_s24le", "s32"),
    ("wav", "32f"): _Recipe("wav", "pcm_f32le", "flt"),
    ("flac", "16"): _Recipe("flac", "flac", "s16"),
    ("flac", "24"): _Recipe("flac", "flac", "s32"),
    ("mp3", None): _Recipe("mp3", "libmp3lame", "fltp"),
    ("m4a", None): _Recipe("mp4", "aac", "fltp"),
    ("alac", "16"): _Recipe("mp4", "alac", "s16p"),
    ("alac", "24"): _Recipe("mp4", "alac", "s32p"),
    ("opus", None): _Recipe("opus", "libopus", "flt"),
}


_PLAIN = {"pcm_s16le": "<i2", "pcm_f32le": "<f4"}
"""Codecs that write samples as memory has them -> their type."""


class FFmpegEncoder:
    """Any format that FFmpeg encodes and packs."""

    def __init__(
        self,
        sink: Sink,
        format: AudioFormat,
        sample_rate: int,
        channel_names: Sequence[str],
        tags: Tags | None,
    ) -> None:
        recipe = _RECIPES[format.name, format.depth]
        self._recipe = recipe
        self._sink = sink
        self._shift = (
            8 if recipe.samples.startswith("s32") else 0
        )  # FFmpeg keeps 24 bits at the top of 32
        self._written = 0
        self._rate = sample_rate
        self._bit_rate = _bit_rate(format, len(channel_names))
        self._layout = self._usable_layout(channel_names)
        options = {
            "wav": {"rf64": "auto"},
            # Edit lists count in this; the default, milliseconds, would cut the end of the sound.
            "mp4": {"movie_timescale": str(sample_rate), "brand": "M4A "},
            "opus": {"fflags": "+bitexact"},  # else each file has a number drawn at random
        }
        if recipe.muxer == "wav" and tags is not None and tags.start_s is not None:
            options["wav"]["write_bext"] = "1"
        self._container = open_output(sink, recipe.muxer, options.get(recipe.muxer, {}))
        stream = self._container.add_stream(recipe.codec, rate=sample_rate)
        assert isinstance(stream, AudioStream)
        self._stream = stream
        self._configure(self._stream.codec_context)
        if recipe.codec == "libmp3lame":
            self._stream.codec_context.options = {"compression_level": _LAME}
        start(self._container, self._stream, tags)

    def write(self, block: np.ndarray) -> None:
        plain = self._recipe.codec in _PLAIN
        packets = [self._plain(block)] if plain else self._stream.encode(self._frame(block))
        self._written += block.shape[1]
        self._container.mux(packets)

    def _plain(self, block: np.ndarray) -> av.Packet[Any]:
        """What the codec would make of a frame of the block, without its copies."""
        samples: Any = np.ascontiguousarray(block.T, _PLAIN[self._recipe.codec])
        packet = av.Packet(samples.data.cast("B"))
        packet.stream = self._stream
        packet.pts = packet.dts = self._written
        packet.duration = block.shape[1]
        packet.time_base = Fraction(1, self._rate)
        return packet

    def _frame(self, block: np.ndarray) -> av.AudioFrame:
        samples = np.left_shift(block, 8) if self._shift else block
        if self._recipe.samples.startswith("s16"):
            samples = samples.astype(np.int16)
        frame = av.AudioFrame(self._recipe.samples, self._layout, block.shape[1])
        rows = samples if frame.format.is_planar else samples.T.reshape(1, -1)
        # PyAV's own from_ndarray fails at 8 planes, as it finds a ninth.
        for plane, row in zip(frame.planes, rows, strict=False):
            plane.update(np.ascontiguousarray(row).tobytes())
        frame.sample_rate = self._rate
        frame.pts = self._written
        return frame

    def finish(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()
        if self._recipe.muxer == "mp3" and self._sink.error is None:
            mend_padding(self._sink.file, id3_length(self._sink.file), self._written)

    def abandon(self) -> None:
        self._container.close()

    def _configure(self, context: Any) -> None:
        context.sample_rate = self._rate
        context.format = self._recipe.samples
        context.layout = self._layout
        if self._bit_rate is not None:
            context.bit_rate = self._bit_rate
        if self._recipe.codec == "libopus" and self._layout.nb_channels in (5, 7):
            # FFmpeg 8 mixes these up; family 255 leaves the channels in order, but unnamed.
            context.options = {"mapping_family": "255"}

    def _usable_layout(self, channel_names: Sequence[str]) -> av.AudioLayout:
        """The layout of these channels, or else the usual one of as many, that the codec takes."""
        channels = len(channel_names)
        for text in (
            "+".join(channel_names),
            "+".join(default_channel_names(channels)),
            f"{channels} channels",
        ):
            try:
                self._layout = av.AudioLayout(text)
                trial = av.CodecContext.create(self._recipe.codec, "w")
                self._configure(trial)
                trial.open()
            except (ValueError, av.error.FFmpegError):
                continue
            return self._layout
        raise AudioWriteError(
            f"{self._recipe.codec} does not take {channels} channels at {self._rate} Hz; "
            "wav and flac do"
        )


# Channels of the Vorbis order, by their place in FFmpeg's.
_VORBIS_ORDER = {
    3: [0, 2, 1],
    5: [0, 2, 1, 3, 4],
    6: [0, 2, 1, 4, 5, 3],
    7: [0, 2, 1, 5, 6, 4, 3],
    8: [0, 2, 1, 6, 7, 4, 5, 3],
}
_VORBIS_STEP = 4096  # samples; libsndfile puts a whole write on the stack, and may overflow it


class VorbisEncoder:
    """Ogg Vorbis: soundfile encodes to a nameless file, which gets its tags at the end."""

    def __init__(
        self, sink: Sink, folder: Path, sample_rate: int, channels: int, tags: Tags | None
    ) -> None:
        import soundfile  # which nothing else needs

        self._sink = sink
        self._tags = tags
        self._order = _VORBIS_ORDER.get(channels, list(range(channels)))
        self._step = _VORBIS_STEP // channels
        self._held = np.empty((0, channels), np.float32)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115, closed by finish
        self._draft = Sink(self._file)
        self._encoder = soundfile.SoundFile(
            self._draft,
            "w",
            sample_rate,
            channels,
            format="OGG",
            subtype="VORBIS",
            compression_level=0.1,
        )

    def write(self, block: np.ndarray) -> None:
        # In steps of one length: libvorbis makes other bytes of the same sound in other blocks.
        self._held = np.concatenate([self._held, block[self._order].T])
        whole = len(self._held) - len(self._held) % self._step
        for offset in range(0, whole, self._step):
            self._encoder.write(self._held[offset : offset + self._step])
        self._held = self._held[whole:]
        self._sink.error = self._sink.error or self._draft.error

    def finish(self) -> None:
        try:
            self._encoder.write(self._held)
            self._encoder.close()
            self._sink.error = self._sink.error or self._draft.error
            if self._sink.error is None:
                self._file.seek(0)
                retag(self._file, self._sink.write, ogg_comments(self._tags))
        finally:
            self._file.close()

    def abandon(self) -> None:
        self._draft.discard()
        try:
            self._encoder.close()
        finally:
            self._file.close()


def _bit_rate(format: AudioFormat, channels: int) -> int | None:
    if format.kbps is None:
        return None
    share = 1.0 if format.name == "mp3" else channels / 2
    return round(format.kbps * 1000 * share)
