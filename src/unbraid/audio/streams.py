"""Which of several audio streams of a file is meant, and when it starts.

Videos hold a stream for each language, and a "stem file" holds its stems as well as the mixture.
Players take the stream that is marked as default, else the first; so does unbraid. FFmpeg would
take the one with the highest bit rate, which may be a stem.
"""

from __future__ import annotations

from pathlib import Path

from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Discard, Disposition

from unbraid.audio.container import shown
from unbraid.errors import AudioReadError
from unbraid.words import counted

_IMPAIRED = Disposition.visual_impaired | Disposition.hearing_impaired | Disposition.comment
_NOT_A_FILM = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
_SHORTEST_DELAY_S = 0.002  # some containers round times to milliseconds
_LONGEST_DELAY_S = 3600.0  # beyond that the header is damaged


def candidates(container: InputContainer, number: int | None, path: Path) -> list[AudioStream]:
    """The audio streams that may be read, the best first; only one if a number is given.

    Args:
        number: of an audio stream, counted from 1; None takes what players take.
        path: for messages.
    Raises:
        AudioReadError: if there is no audio stream, or none of that number.
    """
    streams = list(container.streams.audio)
    if not streams:
        raise AudioReadError(f"{shown(path)} holds no audio stream")
    if number is not None:
        if not 1 <= number <= len(streams):
            raise AudioReadError(
                f"{shown(path)} has {counted(len(streams), 'audio stream')}, no number {number}; "
                f"streams are counted from 1"
            )
        return [streams[number - 1]]
    known = [stream for stream in streams if stream.codec_context is not None]
    return sorted(known or streams, key=_rank)


def _rank(stream: AudioStream) -> tuple[bool, bool, int]:
    is_default = bool(stream.disposition & Disposition.default)
    return not is_default, bool(stream.disposition & _IMPAIRED), stream.index


def keep_only(container: InputContainer, stream: AudioStream) -> None:
    """Let FFmpeg skip all other streams: the pictures of a video are not even read."""
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all


def stream_names(container: InputContainer) -> tuple[str, ...]:
    """Title, else language of every audio stream; empty where it has none."""
    return tuple(_name(stream) for stream in container.streams.audio)


def _name(stream: AudioStream) -> str:
    found = {key.lower(): value for key, value in stream.metadata.items()}
    language = found.get("language", "")
    name = found.get("title") or ("" if language == "und" else language)
    return printable(name)


def printable(name: str) -> str:
    """A name from a file as one short line.

    >>> printable(" Drums\\n")
    'Drums'
    """
    return "".join(char for char in name if char.isprintable())[:60].strip()


def delay_s(container: InputContainer, first: AudioFrame) -> float:
    """Seconds from the first picture of a video to the first sample; 0 if it is not a video.

    Sound that starts before the picture has no delay.
    """
    films = [
        float(stream.start_time * stream.time_base)
        for stream in container.streams.video
        if not stream.disposition & _NOT_A_FILM
        and stream.start_time is not None
        and stream.time_base is not None
    ]
    if not films or first.pts is None or first.time_base is None:
        return 0.0
    delay = float(first.pts * first.time_base) - min(films)
    return delay if _SHORTEST_DELAY_S <= delay <= _LONGEST_DELAY_S else 0.0
