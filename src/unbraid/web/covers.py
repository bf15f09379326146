"""The cover in an uploaded file, as a small JPEG of our own.

The picture is decoded and encoded again, so that nothing that a stranger put into the file reaches
a browser: no markup in a picture's clothes, no metadata, no picture of a thousand million pixels.
"""

from __future__ import annotations

import io
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.frame import VideoFrame

from unbraid.audio.tags import Tags, picture_type, read_tags

COVER = "cover.jpg"
SIDE = 512
MOST_PIXELS = 40_000_000
_DEMUXERS = {"image/jpeg": "jpeg_pipe", "image/png": "png_pipe", "image/webp": "webp_pipe"}


def keep_cover(tags: Tags, song: Path) -> bool:
    """Put the cover into a song's folder; False if there is none that can be shown."""
    small = small_jpeg(tags.cover)
    if small is None:
        return False
    (song / COVER).write_bytes(small)
    return True


def cover_tags(song: Path, part: Path) -> Tags:
    """The tags of a song as a stem of it has them, with the cover in its folder.

    The upload itself is not opened: the server leaves that to other processes.
    """
    cover = song / COVER
    found = read_tags(part)
    if not cover.is_file():
        return replace(found, cover=None, cover_type=None)
    return replace(found, cover=cover.read_bytes(), cover_type="image/jpeg")


def small_jpeg(data: bytes | None) -> bytes | None:
    """A JPEG of at most `SIDE` pixels each way; None if `data` is not a JPEG, PNG or WebP.

    Its type is told by its content. Pictures of more than `MOST_PIXELS` pixels are not decoded.
    """
    demuxer = _DEMUXERS.get(picture_type(data) or "")
    if data is None or demuxer is None:
        return None
    try:
        with av.open(io.BytesIO(data), format=demuxer) as image:
            frame = _first_frame(image)
            return None if frame is None else _as_jpeg(frame)
    except (ValueError, MemoryError, StopIteration, av.error.FFmpegError):
        return None


def _first_frame(image: InputContainer) -> VideoFrame | None:
    stream = image.streams.video[0] if image.streams.video else None
    if stream is None or not 0 < stream.width * stream.height <= MOST_PIXELS:
        return None
    stream.codec_context.thread_count = 1
    return next(image.decode(stream))


def _as_jpeg(frame: VideoFrame) -> bytes:
    scale = min(1.0, SIDE / max(frame.width, frame.height))
    width, height = (max(1, round(scale * side)) for side in (frame.width, frame.height))
    small = frame.reformat(width, height, "yuvj420p", interpolation="AREA")
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
    encoder.time_base = Fraction(1)
    encoder.options = {"qscale": "3"}
    small.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(small), *encoder.encode(None)])
