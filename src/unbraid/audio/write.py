"""Writing sound files, block by block."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import NoReturn

import numpy as np

from unbraid.audio.channels import default_channel_names
from unbraid.audio.container import shown
from unbraid.audio.encoders import Encoder, FFmpegEncoder, VorbisEncoder
from unbraid.audio.formats import AudioFormat
from unbraid.audio.muxer import Sink
from unbraid.audio.tags import Tags
from unbraid.closing import Closing
from unbraid.errors import AudioWriteError, ShapeError
from unbraid.words import counted

__all__ = ["AudioFormat", "AudioWriter"]


class AudioWriter(Closing):
    """A sound file being written; a context manager.

    Integer formats (`format.is_integer`) take int32 blocks as `levels.quantize` makes them, and the
    file holds those very integers. Float wav keeps what it gets, beyond ±1 too. Lossy formats take
    float32 and decode back without delay: mp3, opus and ogg with the exact length, m4a with up to
    1,023 samples of silence more (they lie outside its edit list, but FFmpeg plays them).

    The bytes go straight to `path`; give a temporary name and `atomic.publish` it. Leaving the
    `with` block by an exception removes the file.

    Args:
        path: where to write; an existing file is replaced.
        format: what to write.
        sample_rate: Hz, one that `format.supported_rate` returns.
        channels: number of channels, at most `format.max_channels`.
        tags: text and cover to write, as far as the format has them (wav: text only).
        channel_names: FFmpeg's name of each channel; None takes the usual layout.
    Raises:
        AudioWriteError: if the format cannot hold such sound, or the file cannot be written.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        format: AudioFormat,
        sample_rate: int,
        channels: int,
        *,
        tags: Tags | None = None,
        channel_names: Sequence[str] | None = None,
    ) -> None:
        self._path = Path(path)
        self._channels = channels
        self._dtype = np.dtype(np.int32 if format.is_integer else np.float32)
        self._check(format, sample_rate, channels)
        names = tuple(channel_names or default_channel_names(channels))
        if len(names) != channels:
            raise AudioWriteError(
                f"a file of {counted(channels, 'channel')} takes as many names, got {len(names)}"
            )
        try:
            # Unbuffered, so that a full disk is noticed with the write and not after closing.
            self._file = self._path.open("w+b", buffering=0)
        except (OSError, ValueError) as error:
            raise AudioWriteError(
                f"{shown(self._path)} cannot be written: {_reason(error)}"
            ) from error
        self._sink = Sink(self._file)
        self._closed = False
        self._encoder: Encoder | None = None
        try:
            self._encoder = (
                VorbisEncoder(self._sink, self._path.parent, sample_rate, channels, tags)
                if format.name == "ogg"
                else FFmpegEncoder(self._sink, format, sample_rate, names, tags)
            )
        except BaseException as error:
            cause = self._sink.error or error
            self.abort()
            self._raise_from(cause)

    def write(self, block: np.ndarray) -> None:
        """Append a block, (channels, any number of samples).

        Raises:
            ShapeError: if it has other channels, or is not int32 (integer formats) or float32.
            AudioWriteError: if the disk is full or fails.
        """
        if block.ndim != 2 or block.shape[0] != self._channels or block.dtype != self._dtype:
            raise ShapeError(
                f"this file takes {self._dtype} blocks of ({self._channels}, samples), "
                f"got {block.dtype} of shape {block.shape}"
            )
        if block.shape[1] == 0:
            return
        if self._encoder is None or self._closed:
            raise AudioWriteError(f"{shown(self._path)} is closed; nothing can be added to it")
        try:
            self._encoder.write(block)
            self._check_sink()
        except Exception as error:
            self._raise_from(self._sink.error or error)

    def close(self) -> None:
        """Finish the file. Twice is fine.

        Raises:
            AudioWriteError: if the disk is full or fails; the file is then removed.
        """
        if self._closed or self._encoder is None:
            return
        try:
            self._encoder.finish()
            self._check_sink()
            self._file.close()
            self._closed = True
        except BaseException as error:
            cause = self._sink.error or error
            self.abort()
            self._raise_from(cause)

    def abort(self) -> None:
        """Give up: close and remove the unfinished file. Does nothing once it is finished."""
        if self._closed:
            return
        self._closed = True
        self._sink.discard()
        with contextlib.suppress(Exception):  # an error is being raised already, or there was none
            if self._encoder is not None:
                self._encoder.abandon()
        with contextlib.suppress(OSError):
            is_file = stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)
            self._file.close()
            if is_file:
                self._path.unlink(missing_ok=True)

    def _check(self, format: AudioFormat, sample_rate: int, channels: int) -> None:
        name = shown(self._path)
        if not 1 <= channels <= format.max_channels:
            other = "flac or wav" if channels <= 8 else "wav"
            raise AudioWriteError(
                f"{name} cannot have {channels} channels: {format.name} takes 1 to "
                f"{format.max_channels}; {other} would do"
            )
        if sample_rate < 1 or format.supported_rate(sample_rate) != sample_rate:
            would_do = format.supported_rate(max(1, sample_rate))
            raise AudioWriteError(
                f"{name} cannot have {sample_rate} Hz: {format.name} would do with {would_do} Hz"
            )

    def _check_sink(self) -> None:
        if self._sink.error is not None:
            raise self._sink.error

    def _raise_from(self, cause: BaseException) -> NoReturn:
        """Raise what went wrong as an AudioWriteError, if it is an error of writing at all."""
        if isinstance(cause, AudioWriteError) or not isinstance(cause, Exception):
            raise cause
        raise AudioWriteError(f"{shown(self._path)} cannot be written: {_reason(cause)}") from cause


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).lower()
