"""Opening a sound file with FFmpeg (PyAV) so that nothing else is ever opened.

FFmpeg would take the name of a file for a protocol or a pattern (`http://…`, `concat:…`, `%03d`),
and the content of a playlist for a list of files to open. So the file is opened here, FFmpeg gets a
Python object to read from and a made-up name, and only demuxers of containers that hold sound
themselves are allowed.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Any, BinaryIO

import av
from av.container import InputContainer

from unbraid.errors import AudioReadError

# Without: playlists and scripts (hls, dash, concat, sdp, imf, ...), images, subtitles, devices, raw
# samples without a header, and game formats.
_DEMUXERS = (
    "aac,ac3,aiff,amr,ape,asf,asf_o,ast,au,avi,caf,dsf,dss,dts,dtshd,dv,eac3,flac,flv,gsm,gxf,iff,ilbc,"
    "ircam,kvag,latm,live_flv,loas,matroska,mlp,mov,mp3,mpc,mpc8,mpeg,mpegts,mxf,nistsphere,nut,nuv,"
    "ogg,oma,osq,paf,pvf,qcp,rka,rm,rso,sbc,shn,siff,sol,sox,tak,truehd,tta,voc,vqf,w64,wav,wsd,wtv,"
    "wv,wve,xa,xwma"
)

_READ_SIZE = 1 << 16


class Source:
    """A file, or a part of one, as FFmpeg reads it: never raises, but keeps what went wrong.

    Args:
        path: the file.
        start, end: the part, in bytes; None for `end` is the end of the file.

    Attributes:
        start, size: the part, in bytes.
        error: what the disk refused; None if nothing.
    """

    def __init__(self, path: Path, start: int = 0, end: int | None = None) -> None:
        self.file: BinaryIO = open_regular(path)
        self.size = (os.fstat(self.file.fileno()).st_size if end is None else end) - start
        self.error: OSError | None = None
        # FFmpeg recognizes a few formats by the suffix; the rest of the name could mislead it.
        self.name = "input" + re.sub(r"[^A-Za-z0-9.]", "", path.suffix)
        self.start = start
        self.file.seek(start)

    def read(self, count: int) -> bytes:
        """At most `count` bytes; none after the end, or after an error, which `error` keeps."""
        try:
            return self.file.read(max(0, min(count, self.size - self.tell())))
        except OSError as error:
            self.error = error
            return b""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to an offset, counted from `start`; where that is, or -1 where nothing can be."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self.tell(), os.SEEK_END: self.size}[whence]
        try:
            return self.file.seek(self.start + origin + offset) - self.start
        except (OSError, ValueError, OverflowError):
            return -1  # damaged headers send us before the start or beyond any file

    def tell(self) -> int:
        """Where reading goes on, in bytes from `start`."""
        return self.file.tell() - self.start

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def open_regular(path: Path) -> BinaryIO:
    """Open an ordinary file that is not empty.

    Raises:
        AudioReadError: if it is missing, a folder, a pipe or device, empty, or may not be read.
    """
    name = shown(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise AudioReadError(f"{name} is a folder, not a sound file")
        if not stat.S_ISREG(mode):
            raise AudioReadError(f"{name} is a pipe or a device; give an ordinary file")
        file = path.open("rb")
    except FileNotFoundError as error:
        raise AudioReadError(f"{name} does not exist") from error
    except (OSError, ValueError) as error:
        raise AudioReadError(f"{name} cannot be opened: {_reason(error)}") from error
    if os.fstat(file.fileno()).st_size == 0:
        file.close()
        raise AudioReadError(f"{name} is empty")
    return file


def open_container(
    path: Path, start: int = 0, end: int | None = None
) -> tuple[InputContainer, Source]:
    """Open the container in `path`, or in a part of it; the caller closes both.

    Raises:
        AudioReadError: if the file cannot be opened or is not an audio container.
    """
    try:
        return _open(path, start, end)
    except AudioReadError:
        # Musepack's demuxers do not skip the ID3 tag that some programs put before the header, and
        # an MP3 of a few frames is too little to be recognized by.
        with open_regular(path) as file:
            length = id3_length(file)
        if length:
            return _open(path, length)
        if path.suffix.lower() == ".mp3":
            return _open(path, demuxer="mp3")
        raise


def _open(
    path: Path, start: int = 0, end: int | None = None, *, demuxer: str | None = None
) -> tuple[InputContainer, Source]:
    source = Source(path, start, end)
    try:
        container = av.open(
            source,
            format=demuxer,
            container_options={"format_whitelist": _DEMUXERS, "protocol_whitelist": "none"},
            metadata_errors="replace",
            buffer_size=_READ_SIZE,
        )
    except (
        Exception
    ) as error:  # PyAV raises some forty kinds, ValueError and MemoryError among them
        source.close()
        if source.error is not None:
            raise AudioReadError(
                f"{shown(path)} cannot be read: {_reason(source.error)}"
            ) from source.error
        raise AudioReadError(
            f"{shown(path)} is not a supported audio file, or is damaged"
        ) from error
    assert isinstance(container, InputContainer)
    return container, source


def id3_length(file: BinaryIO) -> int:
    """Length of the ID3v2 tag at the start of a file; 0 if there is none."""
    file.seek(0)
    header = file.read(10)
    if len(header) < 10 or not header.startswith(b"ID3") or any(byte > 127 for byte in header[6:]):
        return 0
    length = 0
    for byte in header[6:]:
        length = length << 7 | byte
    footer = 10 if header[5] & 0x10 else 0
    return 10 + length + footer


def shown(path: Path) -> str:
    """A path as messages show it: quoted, in one line, whatever characters it holds."""
    return repr(str(path))


def _reason(error: Exception) -> str:
    text: Any = getattr(error, "strerror", None) or error
    return str(text).lower()
