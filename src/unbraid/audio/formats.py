"""The formats unbraid writes, and what each of them can hold."""

from __future__ import annotations

from dataclasses import dataclass

from unbraid.errors import SettingsError

MIN_SAMPLE_RATE = 1000  # no recording has less; a header that says so is damaged
_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_AAC_RATES = (
    *(7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
    *(64000, 88200, 96000),
)
_FLAC_LARGEST = 384_000  # its header could say 655,350; players know multiples of 44.1 and 48 kHz
_VORBIS_RATES = (8000, 192_000)


@dataclass(frozen=True)
class _Traits:
    depths: tuple[str, ...]
    max_channels: int
    bitrates_kbps: tuple[int, int] | None = None
    default_kbps: int | None = None


_TRAITS = {
    "wav": _Traits(("16", "24", "32f"), 64),
    "flac": _Traits(("16", "24"), 8),
    "mp3": _Traits((), 2, (8, 320), 320),
    "m4a": _Traits((), 8, (16, 512), 256),
    "ogg": _Traits((), 8),
    "opus": _Traits((), 8, (6, 512), 256),
    "alac": _Traits(("16", "24"), 8),
}
FORMATS = ("wav", "flac", "mp3", "m4a", "ogg", "opus")
"""Names of all formats, each also the extension of its files; "alac" is another kind of m4a."""
BIT_DEPTHS = tuple(dict.fromkeys(depth for traits in _TRAITS.values() for depth in traits.depths))
"""All bit depths; lossy formats have none."""


@dataclass(frozen=True)
class AudioFormat:
    """How sound is written.

    Attributes:
        name: "wav", "flac", "mp3", "m4a" (AAC), "ogg" (Vorbis), "opus" or "alac" (in m4a).
        depth: "16" or "24" (integers) or "32f" (float, wav only); None for lossy formats.
        bitrate_kbps: of a stereo file, for mp3, m4a and opus; None takes 320, 256, 256. In m4a and
            opus mono gets half of it, more channels their share. Ogg always has high quality.
    Raises:
        SettingsError: if the format is unknown or cannot have that depth or bit rate.

    >>> AudioFormat("flac", "24").is_integer, AudioFormat("mp3").supported_rate(96000)
    (True, 48000)
    """

    name: str
    depth: str | None = None
    bitrate_kbps: int | None = None

    def __post_init__(self) -> None:
        traits = _TRAITS.get(self.name)
        if traits is None:
            raise SettingsError(f"unbraid writes {', '.join(_TRAITS)}; got {self.name!r}")
        if traits.depths and self.depth not in traits.depths:
            raise SettingsError(
                f"{self.name} has a bit depth of {' or '.join(traits.depths)}, got {self.depth}"
            )
        if not traits.depths and self.depth is not None:
            raise SettingsError(f"{self.name} is lossy and has no bit depth, got {self.depth}")
        if self.bitrate_kbps is None:
            return
        if traits.bitrates_kbps is None:
            raise SettingsError(f"{self.name} takes no bit rate, got {self.bitrate_kbps} kbit/s")
        low, high = traits.bitrates_kbps
        if not low <= self.bitrate_kbps <= high:
            raise SettingsError(
                f"{self.name} takes {low} to {high} kbit/s, got {self.bitrate_kbps}"
            )

    @property
    def extension(self) -> str:
        """Suffix of the file name, without the dot."""
        return "m4a" if self.name == "alac" else self.name

    @property
    def is_lossy(self) -> bool:
        """Whether what is read back differs from what was written."""
        return not _TRAITS[self.name].depths

    @property
    def is_integer(self) -> bool:
        """Whether samples are written as integers, quantized by the caller."""
        return self.depth in ("16", "24")

    @property
    def bits(self) -> int | None:
        """Bits of a sample; None for lossy formats."""
        return None if self.depth is None else int(self.depth.removesuffix("f"))

    @property
    def max_channels(self) -> int:
        """The most channels that a file of it holds."""
        return _TRAITS[self.name].max_channels

    @property
    def kbps(self) -> int | None:
        """Bit rate of a stereo file; None for lossless formats and Ogg."""
        return self.bitrate_kbps or _TRAITS[self.name].default_kbps

    def supported_rate(self, sample_rate: int) -> int:
        """The sample rate to write for a source of `sample_rate`: itself where the format has it,

        else the next higher one it has, else its highest.
        """
        if self.name == "mp3":
            return _next_of(_MP3_RATES, sample_rate)
        if self.name == "m4a":
            return _next_of(_AAC_RATES, sample_rate)
        if self.name == "opus":
            return 48000
        if self.name == "ogg":
            return min(max(sample_rate, _VORBIS_RATES[0]), _VORBIS_RATES[1])
        if self.name == "flac" and sample_rate > 65535:
            # Above 65,535 Hz a FLAC frame gives its rate in tens of Hz.
            return min(-(-sample_rate // 10) * 10, _FLAC_LARGEST)
        if self.name == "alac":
            return min(max(sample_rate, MIN_SAMPLE_RATE), _FLAC_LARGEST)
        return max(sample_rate, MIN_SAMPLE_RATE)


def _next_of(rates: tuple[int, ...], sample_rate: int) -> int:
    return min((rate for rate in rates if rate >= sample_rate), default=max(rates))
