"""How stems are written: the settings, and what they come to for one source."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unbraid.audio.container import shown
from unbraid.audio.files import AudioInfo
from unbraid.audio.write import AudioFormat
from unbraid.errors import AudioWriteError, SettingsError
from unbraid.tracks.names import check_template

LOSSLESS = ("wav", "flac")
CLIP_MODES = ("rescale", "clamp", "none")
SAMPLE_RATES_HZ = (1, 768_000)


@dataclass(frozen=True)
class OutputSettings:
    """Which parts are written, in which format, under which names.

    Attributes:
        format: "wav", "flac", "mp3", "m4a", "ogg" or "opus".
        bit_depth: "16", "24" or "32f"; None follows the source, at least 16 bit.
        bitrate_kbps: for lossy formats; None takes the format's own default.
        sample_rate: "source", "model" or Hz.
        stems: only these stems; None writes all.
        two_stems: this stem and its complement, `no_NAME` = input - NAME.
        residual: also write what no written stem holds, so that all parts add up to the input.
        clip_mode: "rescale": one gain for all stems of a track keeps them within full scale;
            "clamp": cut off what is beyond; "none": leave it (integers saturate, and say so).
        filename: template below the output root; fields track, trackext, stem, ext, model.
        overwrite: replace files that are in the way, whoever wrote them.
        skip_existing: leave a track alone whose stems are there, of the same content and settings.
    Raises:
        SettingsError: for a value or a combination that cannot be.
    """

    format: str = "wav"
    bit_depth: str | None = None
    bitrate_kbps: int | None = None
    sample_rate: str | int | float | np.integer[Any] | np.floating[Any] = "source"
    stems: tuple[str, ...] | None = None
    two_stems: str | None = None
    residual: bool = False
    clip_mode: str = "rescale"
    filename: str = "{track}/{stem}.{ext}"
    overwrite: bool = False
    skip_existing: bool = False

    def __post_init__(self) -> None:
        default = "16" if self.format in LOSSLESS else None
        AudioFormat(self.format, self.bit_depth or default, self.bitrate_kbps)
        if self.clip_mode not in CLIP_MODES:
            raise SettingsError(
                f"clip_mode is one of {', '.join(CLIP_MODES)}, got {self.clip_mode!r}"
            )
        object.__setattr__(self, "sample_rate", _rate(self.sample_rate))
        if self.stems is not None and not self.stems:
            raise SettingsError("stems names no stem; leave it out to write all of them")
        if self.stems is not None and self.two_stems is not None:
            raise SettingsError("stems and two_stems exclude each other; use one of them")
        check_template(self.filename)

    @property
    def extension(self) -> str:
        """Suffix of the files, without its dot."""
        return self.format


@dataclass(frozen=True)
class Parts:
    """What is written of one model's estimates.

    Attributes:
        stems: written stems, in the model's order.
        indices: where they stand in the model's estimates.
        closing: name of the part that closes the sum to the input; None if there is none.
        complete: whether the written parts are meant to add up to the input.
    """

    stems: tuple[str, ...]
    indices: tuple[int, ...]
    closing: str | None
    complete: bool

    @property
    def names(self) -> tuple[str, ...]:
        """All written parts; the closing one comes last."""
        return self.stems if self.closing is None else (*self.stems, self.closing)


def choose_parts(output: OutputSettings, model_stems: Sequence[str]) -> Parts:
    """Which parts `output` asks of a model with these stems.

    Raises:
        SettingsError: for a stem that the model does not have.
    """
    asked = (output.two_stems,) if output.two_stems is not None else output.stems
    for stem in asked or ():
        if stem not in model_stems:
            near = difflib.get_close_matches(stem, model_stems, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise SettingsError(
                f"this model has no stem {stem!r}, it has {', '.join(model_stems)}{hint}"
            )
    stems = tuple(s for s in model_stems if asked is None or s in asked)
    closing = None
    if output.two_stems is not None:
        closing = f"no_{output.two_stems}"
    elif output.residual:
        closing = "residual"
    if closing in stems:
        raise SettingsError(f"the model has a stem of its own named {closing!r}")
    return Parts(
        stems=stems,
        indices=tuple(model_stems.index(s) for s in stems),
        closing=closing,
        complete=closing is not None or len(stems) == len(model_stems),
    )


def choose_format(output: OutputSettings, info: AudioInfo) -> AudioFormat:
    """The format for stems of this source: its depth is followed, and at least 16 bit.

    Raises:
        AudioWriteError: if the format cannot hold the source's channels.
    """
    depth = output.bit_depth
    if depth is None and output.format in LOSSLESS:
        depth = _depth_of(info)
        if depth == "32f" and output.format == "flac":
            depth = "24"
    chosen = AudioFormat(name=output.format, depth=depth, bitrate_kbps=output.bitrate_kbps)
    if info.channels > chosen.max_channels:
        raise AudioWriteError(
            f"{shown(info.path)} has {info.channels} channels, {output.format} holds at most "
            f"{chosen.max_channels}; use wav"
        )
    return chosen


def choose_rate(
    output: OutputSettings, source_rate: int, model_rate: int, chosen: AudioFormat
) -> int:
    """The sample rate of the stems in Hz: the one asked for, or the nearest the format takes."""
    if output.sample_rate == "source":
        return chosen.supported_rate(source_rate)
    if output.sample_rate == "model":
        return chosen.supported_rate(model_rate)
    return chosen.supported_rate(int(output.sample_rate))


def _depth_of(info: AudioInfo) -> str:
    if not info.is_lossless:
        return "16"
    if info.is_float or (info.bit_depth or 16) > 24:
        return "32f"
    return "16" if (info.bit_depth or 16) <= 16 else "24"


def _rate(rate: object) -> str | int:
    if not isinstance(rate, str):
        return whole_rate(rate)
    if rate not in ("source", "model"):
        raise SettingsError(f"sample_rate is source, model or a number of Hz, got {rate!r}")
    return rate


def whole_rate(value: Any) -> int:
    """A sample rate as an int, from any kind of number that is whole.

    Raises:
        SettingsError: if it is not a whole number of Hz that sound can have.

    >>> whole_rate(44100.0), whole_rate(np.int16(8000))
    (44100, 8000)
    """
    lowest, highest = SAMPLE_RATES_HZ
    number = isinstance(value, (int, float, np.integer, np.floating)) and value is not True
    if not number or not lowest <= value <= highest or value != int(value):
        raise SettingsError(
            f"a sample rate is a whole number of Hz from {lowest} to {highest}, got {value!r}"
        )
    return int(value)
