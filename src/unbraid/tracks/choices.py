"""The values of options with a choice, for settings and for help, which loads nothing else."""

from __future__ import annotations

from unbraid.audio.formats import FORMATS

OUTPUT_FORMATS = (*FORMATS, "alac", "stem", "multiwav")
"""Formats of audio files, and two that hold all stems of a song in one file."""

LOSSLESS = ("wav", "flac", "alac", "multiwav")
CLIP_MODES = ("rescale", "clamp", "none")
LOUDNESS_OF = ("song", "stems")
