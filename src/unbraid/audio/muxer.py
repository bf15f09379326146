"""The file behind an encoder: where its bytes go, and its header with tags and cover."""

from __future__ import annotations

import base64
import errno
import io
from typing import BinaryIO

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.stream import Disposition

from unbraid.audio.tags import Tags, picture_type

_WRITE_SIZE = 1 << 18


class Sink:
    """The file that encoders write to: never raises into FFmpeg or libsndfile.

    After the first error it discards everything; `error` holds the error.
    """

    name = "output"

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write all of `data`, or drop it after an error, which `error` keeps; its length."""
        rest = memoryview(data)
        while rest and self.error is None:
            try:
                rest = rest[self.file.write(rest) :]
            except OSError as error:
                self.error = error
        return len(data)

    def discard(self) -> None:
        """From now on swallow everything."""
        self.error = self.error or OSError(errno.ECANCELED, "given up")

    def read(self, count: int = -1) -> bytes:
        """What was written, from where the file is."""
        return self.file.read(count)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to an offset; where that is, or -1 after an error."""
        if self.error is None:
            try:
                return self.file.seek(offset, whence)
            except OSError as error:
                self.error = error
        return -1

    def tell(self) -> int:
        """Where writing goes on, in bytes; -1 after an error."""
        return -1 if self.error is not None else self.file.tell()


def open_output(sink: Sink, muxer: str, options: dict[str, str]) -> OutputContainer:
    """Open FFmpeg's `muxer` on `sink`, with options for this format."""
    container = av.open(sink, "w", format=muxer, container_options=options, buffer_size=_WRITE_SIZE)
    assert isinstance(container, OutputContainer)
    return container


def start(container: OutputContainer, stream: AudioStream, tags: Tags | None) -> None:
    """Write the header of the file, with tags and cover where its format has them."""
    muxer = container.format.name
    tags = tags or Tags()
    if muxer == "opus":
        stream.metadata.update(ogg_comments(tags))
    else:
        container.metadata.update(_encodable(tags))
        if muxer == "wav" and tags.start_s is not None:
            reference = round(tags.start_s * stream.codec_context.sample_rate)
            container.metadata["time_reference"] = str(reference)
    image = _open_cover(tags.cover) if muxer not in ("wav", "opus") else None
    if image is None or tags.cover is None:
        container.start_encoding()
        return
    with image:
        cover = container.add_stream_from_template(image.streams.video[0])
        cover.disposition = Disposition.attached_pic
        cover.metadata["comment"] = "Cover (front)"
        container.start_encoding()
        packet = av.Packet(tags.cover)
        packet.stream = cover
        packet.pts = packet.dts = 0
        packet.is_keyframe = True
        container.mux(packet)


def ogg_comments(tags: Tags | None) -> dict[str, str]:
    """Tags as Ogg has them: the cover is a comment too, a FLAC picture block in base64."""
    tags = tags or Tags()
    comments = _encodable(tags)
    image = _open_cover(tags.cover)
    if image is not None and tags.cover is not None:
        with image:
            picture = image.streams.video[0]
            block = _picture_block(tags.cover, picture.width, picture.height)
        comments["METADATA_BLOCK_PICTURE"] = base64.b64encode(block).decode()
    return comments


def _encodable(tags: Tags) -> dict[str, str]:
    return {key: value.encode("utf-8", "replace").decode() for key, value in tags.text.items()}


def _open_cover(data: bytes | None) -> InputContainer | None:
    """The cover as FFmpeg sees it; None if it is not a JPEG or PNG, which all formats can hold."""
    demuxers = {"image/jpeg": "jpeg_pipe", "image/png": "png_pipe"}
    demuxer = demuxers.get(picture_type(data) or "")
    if data is None or demuxer is None:
        return None
    try:
        image = av.open(io.BytesIO(data), format=demuxer)
    except (ValueError, av.error.FFmpegError):
        return None
    assert isinstance(image, InputContainer)
    if image.streams.video and image.streams.video[0].width > 0:
        return image
    image.close()
    return None


def _picture_block(cover: bytes, width: int, height: int) -> bytes:
    """The FLAC picture block, which Ogg carries as a comment (RFC 9639, section 8.8)."""
    kind = (picture_type(cover) or "").encode()
    numbers = [3, len(kind), 0, width, height, 24, 0, len(cover)]  # 3: front cover
    words = [number.to_bytes(4, "big") for number in numbers]
    return b"".join([*words[:2], kind, *words[2:], cover])
