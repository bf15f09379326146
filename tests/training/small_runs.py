"""A dataset of seconds and a model of some hundred weights, to train for moments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from unbraid.cli.main import main

RATE = 8000
STEMS = ("drums", "bass")

RECIPE = """
description = "for tests"
epochs = 2

[model]
stems = ["drums", "bass"]
sample_rate = 8000
audio_channels = 1
segment_s = 1.0
width = 4
n_fft = 64
depth = 3
residual_compression = 1
residual_depth = 1
norm_from = 2
lstm_from = 2
attention_from = 2

[data]
workers = 0
cache_gb = 0.0

[excerpts]
excerpt_s = 0.5
stride_s = 0.25

[augment]
shift_s = 0.125
remix_group = 2

[repitch]
probability = 0.0

[optimizer]
lr = 1e-3
batch_size = 4

[ema]
batch = [0.9]
epoch = [0.5]

[validation]
shifts = 0

[run]
log_steps = 1
save_minutes = 0.0
"""


def write_dataset(root: Path, tracks: int = 3, seconds: float = 1.5, stems=STEMS) -> Path:
    """Low noise and clicks, in `train`, and one track of half the length in `valid`."""
    rng = np.random.default_rng(0)
    names = [f"train/song {n}" for n in range(tracks)] + ["valid/song v"]
    for name in names:
        folder = root / name
        folder.mkdir(parents=True)
        samples = int(seconds * RATE) // (2 if name.startswith("valid") else 1)
        for number, stem in enumerate(stems):
            sound = rng.standard_normal(samples) * 0.1
            if number % 2:
                sound = np.convolve(sound, np.ones(16) / 4, "same")
            soundfile.write(folder / f"{stem}.wav", sound, RATE, subtype="PCM_16")
    return root


def write_recipe_file(path: Path, more: str = "") -> Path:
    """The recipe above, with more TOML after it."""
    path.write_text(RECIPE + more, encoding="utf-8")
    return path


def train(*arguments: object) -> int:
    """`unbraid train` in this process; the exit code."""
    return main(["train", "--quiet", "--device", "cpu", *map(str, arguments)])
