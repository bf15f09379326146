"""What reading and writing the files of a song takes, measured on a few seconds of noise."""

from __future__ import annotations

import os
import statistics
import time

import numpy as np

from unbraid.audio.files import read_blocks
from unbraid.audio.formats import AudioFormat
from unbraid.audio.write import AudioWriter
from unbraid.scratch import temporary

_PROBE_S, _PROBES = 3.0, 3
_WARMING_S = 0.1
_LEVEL = 0.1


def file_seconds(
    chosen: AudioFormat, sample_rate: int, channels: int, files: int, *, lossy_check: bool
) -> float:
    """Time for a second of audio to read a song, write its files side by side, and check them.

    Args:
        chosen: format of the files.
        sample_rate, channels: of the files.
        files: how many.
        lossy_check: whether lossy files are decoded again for their null test.
    """
    _probe(chosen, sample_rate, channels, _WARMING_S)  # the first file loads codecs
    probes = [_probe(chosen, sample_rate, channels, _PROBE_S) for _ in range(_PROBES)]
    encoding, decoding = (statistics.median(times) for times in zip(*probes, strict=True))
    each = encoding + (decoding if chosen.is_lossy and lossy_check else 0.0)
    rounds = files / min(files, os.cpu_count() or 1)
    return float(decoding + rounds * each) / _PROBE_S


def _probe(
    chosen: AudioFormat, sample_rate: int, channels: int, length_s: float
) -> tuple[float, float]:
    """Seconds to write a file of noise, and to read it."""
    samples = int(length_s * sample_rate)
    noise = _LEVEL * np.random.default_rng(0).standard_normal((channels, samples), np.float32)
    if chosen.is_integer and chosen.bits:
        noise = np.rint(noise * 2 ** (chosen.bits - 1)).astype(np.int32)
    with temporary() as scratch:
        path = scratch.folder / f"probe.{chosen.extension}"
        begun = time.perf_counter()
        with AudioWriter(path, chosen, sample_rate, channels) as writer:
            writer.write(noise)
        written = time.perf_counter()
        for _ in read_blocks(path):
            pass
        return written - begun, time.perf_counter() - written
