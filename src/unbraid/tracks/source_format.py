"""How stems are written: what the settings come to for one source."""

from __future__ import annotations

from unbraid.audio.container import shown
from unbraid.audio.files import AudioInfo
from unbraid.audio.formats import AudioFormat
from unbraid.audio.stem_file import SAMPLE_RATES
from unbraid.errors import AudioWriteError
from unbraid.tracks.choices import LOSSLESS
from unbraid.tracks.settings import OutputSettings


def choose_format(output: OutputSettings, info: AudioInfo) -> AudioFormat:
    """The format for stems of this source: its depth is followed, and at least 16 bit.

    Raises:
        AudioWriteError: if the format cannot hold the source's channels.
    """
    depth = output.bit_depth
    if depth is None and output.format in LOSSLESS:
        depth = _depth_of(info)
        if depth == "32f" and output.format in ("flac", "alac"):
            depth = "24"
    chosen = output.file_format(depth)
    if output.format == "stem" and info.channels > 2:
        raise AudioWriteError(
            f"{shown(info.path)} has {info.channels} channels, a stem file is stereo; use another "
            "format"
        )
    if info.channels > chosen.max_channels:
        raise AudioWriteError(
            f"{shown(info.path)} has {info.channels} channels, {output.format} holds at most "
            f"{chosen.max_channels}; use wav"
        )
    return chosen


def choose_rate(
    output: OutputSettings, source_rate: int, model_rate: int, chosen: AudioFormat
) -> int:
    """The sample rate of the stems in Hz: as requested, or the nearest that the format supports."""
    if output.format == "stem":
        asked = {"source": source_rate, "model": model_rate}.get(str(output.sample_rate))
        low, high = SAMPLE_RATES
        return low if int(asked or output.sample_rate) <= low else high
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
