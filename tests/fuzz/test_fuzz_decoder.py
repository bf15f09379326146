"""Mutated sound files: decoded or refused in one line, whatever is in them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from fuzz.hunt import corpus, hunt

sys.path.insert(0, str(Path(__file__).parents[1] / "audio"))
from pcm_files import aiff, caf, laid_out, mov, nist, w64, wav, wave_format
from sounds import encode, noise

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(0)]

ENCODED = [
    ("a.mp3", "mp3", "libmp3lame", "fltp"),
    ("a.m4a", "ipod", "aac", "fltp"),
    ("a.opus", "opus", "libopus", "flt"),
    ("a.mka", "matroska", "aac", "fltp"),
    ("a.flac", "flac", "flac", "s16"),
    ("a.aiff", "aiff", "pcm_s16be", "s16"),
    ("a.avi", "avi", "pcm_s16le", "s16"),
    ("a.wv", "wv", "wavpack", "fltp"),
    ("a.ts", "mpegts", "mp2", "s16"),
]


def small_files(folder: Path) -> dict[str, bytes]:
    """A tenth of a second in every container of which we read the header ourselves, and others."""
    sound = noise(2, 4800)
    whole = np.round(sound * 2**15).clip(-(2**15), 2**15 - 1).astype("i2")
    values = whole.astype(np.int64) << 8
    extensible = wave_format(0xFFFE, 32, 8, valid=24)
    wide = laid_out(values, 4, shift=8)
    found = {
        "a.wav": wav(wave_format(1, 16, 4), whole.T.tobytes()),
        "wide.wav": wav(wave_format(1, 24, 8), wide),
        "extensible.wav": wav(extensible, wide),
        "a.w64": w64(extensible, wide),
        "sowt.aiff": aiff(24, laid_out(values, 3), kind=b"sowt"),
        "a.caf": caf(24, 8, wide),
        "a.nist": nist(8, 2, wide[: len(wide) // 4 * 4]),
        "a.mov": mov(24, 3, 4 | 8, laid_out(values, 3)),
    }
    for name, muxer, codec, kind in ENCODED:
        samples = whole if kind == "s16" else sound
        found[name] = encode(folder / name, muxer, codec, samples, kind, 48000).read_bytes()
    return found


def test_no_mutant_of_a_sound_file_breaks_the_decoder(tmp_path):
    assert hunt("decoder", {**small_files(tmp_path), **corpus()}, tmp_path) == []
