"""What reading and writing the files of a song takes, measured on a few seconds of noise."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import numpy as np

from unbraid.audio.files import read_blocks
from unbraid.audio.formats import AudioFormat
from unbraid.audio.write import AudioWriter

_PROBE_S = 3.0
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
    samples = int(_PROBE_S * sample_rate)
    noise = _LEVEL * np.random.default_rng(0).standard_normal((channels, samples), np.float32)
    if chosen.is_integer and chosen.bits:
        noise = np.rint(noise * 2 ** (chosen.bits - 1)).astype(np.int32)
    with tempfile.TemporaryDirectory(prefix="unbraid-") as folder:
        path = Path(folder, f"probe.{chosen.extension}")
        begun = time.perf_counter()
        with AudioWriter(path, chosen, sample_rate, channels) as writer:
            writer.write(noise)
        written = time.perf_counter()
        for _ in read_blocks(path):
            pass
        read = time.perf_counter()
    encoding, decoding = written - begun, read - written
    each = encoding + (decoding if chosen.is_lossy and lossy_check else 0.0)
    rounds = files / min(files, os.cpu_count() or 1)
    return (decoding + rounds * each) / _PROBE_S
