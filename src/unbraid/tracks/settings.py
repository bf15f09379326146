"""How stems are written: the settings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from unbraid.audio.formats import AudioFormat
from unbraid.errors import SettingsError
from unbraid.separation.settings import check_kinds
from unbraid.tracks.choices import CLIP_MODES, LOSSLESS, LOUDNESS_OF
from unbraid.tracks.safe_names import check_template

SAMPLE_RATES_HZ = (1, 768_000)


_KINDS = (
    ("two_stems", (str, type(None)), "the name of a stem, or None"),
    ("filename", str, "a template, a text"),
    ("loudness_lufs", (Real, type(None)), "a number of LUFS, or None"),
    ("residual", bool, "True or False"),
    ("overwrite", bool, "True or False"),
    ("skip_existing", bool, "True or False"),
    ("project", bool, "True or False"),
)


@dataclass(frozen=True)
class OutputSettings:
    """Which parts are written, in which format, under which names.

    Attributes:
        format: "wav", "flac", "mp3", "m4a" (AAC), "alac" (in m4a), "ogg" or "opus", a file for each
            part; or one file for all of them: "stem", the stem file of DJ software (AAC; with a bit
            depth ALAC), or "multiwav", a wav with the channels of all parts side by side.
        bit_depth: "16", "24" or "32f"; None follows the source, at least 16 bit.
        bitrate_kbps: for lossy formats; None takes the format's own default.
        sample_rate: "source", "model" or Hz.
        stems: only these stems; None writes all.
        two_stems: this stem and its complement, `no_NAME` = input - NAME.
        residual: also write what no written stem holds, so that all parts add up to the input.
        clip_mode: "rescale": one gain for all stems of a track keeps them within full scale;
            "clamp": cut off what is beyond; "none": leave it (integers saturate, and say so).
        filename: template below the output root; fields track, trackext, stem, ext, model, bpm
            (beats a minute), key (such as "F#m"); empty takes "{track}/{stem}.{ext}", or
            "{track}.{ext}" where a song has one file.
        overwrite: replace existing files, also those of other programs.
        skip_existing: skip tracks already separated with the same content and settings.
        groups: (name, stems): write the sum of these stems, under that name, instead of them.
        only: of all the parts above, write only these.
        loudness_lufs: bring songs to this loudness (ITU-R BS.1770), as far as full scale allows.
        loudness_of: what has that loudness: "song": all stems get one gain, which brings the
            original there, so that they still add up; "stems": each stem gets its own.
        project: also write a project of the stems for the audio workstation Reaper.
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
    filename: str = ""
    overwrite: bool = False
    skip_existing: bool = False
    groups: tuple[tuple[str, tuple[str, ...]], ...] = ()
    only: tuple[str, ...] | None = None
    loudness_lufs: float | None = None
    loudness_of: str = "song"
    project: bool = False

    def __post_init__(self) -> None:
        check_kinds(self, _KINDS)
        if isinstance(self.bit_depth, int):
            object.__setattr__(self, "bit_depth", str(self.bit_depth))
        for name in ("stems", "only"):
            object.__setattr__(self, name, _names(getattr(self, name)))
        default = "16" if self.format in LOSSLESS else None
        self.file_format(self.bit_depth or default)
        if self.clip_mode not in CLIP_MODES:
            raise SettingsError(
                f"clip_mode is one of {', '.join(CLIP_MODES)}, got {self.clip_mode!r}"
            )
        object.__setattr__(self, "sample_rate", _rate(self.sample_rate))
        if self.stems is not None and not self.stems:
            raise SettingsError("stems names no stem; leave it out to write all of them")
        if self.stems is not None and self.two_stems is not None:
            raise SettingsError("stems and two_stems exclude each other; use one of them")
        self._check_delivery()
        one = self.is_one_file or (self.only is not None and len(self.only) == 1)
        usual = "{track}.{ext}" if one else "{track}/{stem}.{ext}"
        object.__setattr__(self, "filename", self.filename or usual)
        check_template(self.filename, one_part=one)

    @property
    def extension(self) -> str:
        """Suffix of the files, without its dot."""
        if self.format == "stem":
            return "stem.mp4"
        return {"multiwav": "wav", "alac": "m4a"}.get(self.format, self.format)

    @property
    def is_one_file(self) -> bool:
        """Whether one file holds all parts of a song."""
        return self.format in ("stem", "multiwav")

    def file_format(self, depth: str | None) -> AudioFormat:
        """The format in which a part is encoded."""
        name = self.format
        if name == "stem":
            name = "m4a" if depth is None else "alac"
        return AudioFormat("wav" if name == "multiwav" else name, depth, self.bitrate_kbps)

    def _check_delivery(self) -> None:
        for name, members in self.groups:
            if not name or not members:
                raise SettingsError(f"a group is NAME=STEM+STEM, got {name}={'+'.join(members)}")
        if self.only is not None and not self.only:
            raise SettingsError("only names no part; leave it out to write all of them")
        if self.loudness_of not in LOUDNESS_OF:
            raise SettingsError(
                f"loudness is that of the song or the stems, got {self.loudness_of!r}"
            )
        if self.loudness_lufs is not None and not -70 <= self.loudness_lufs <= 0:
            raise SettingsError(f"a loudness is -70 to 0 LUFS, got {self.loudness_lufs:g}")
        if self.project and self.is_one_file:
            raise SettingsError("a project needs a file for each stem")
        if self.loudness_of == "song":
            return
        if self.loudness_lufs is None:
            raise SettingsError("a loudness of the stems needs one, such as -20 LUFS")
        if self.residual or self.two_stems is not None or self.format == "stem":
            raise SettingsError(
                "stems with a loudness of their own add up to nothing: no residual, complement or "
                "stem file is made of them; --group sums stems up, --loudness-of song keeps sums"
            )


def _names(value: str | Iterable[str] | None) -> tuple[str, ...] | None:
    """A single name is a tuple of one, not one of letters."""
    return (value,) if isinstance(value, str) else None if value is None else tuple(value)


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
