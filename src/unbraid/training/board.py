"""TensorBoard, where it is installed: numbers, pictures and sounds of validation estimates."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unbraid.models.layers.stft import AlignedSTFT
from unbraid.shapes import Float, Sources

SAMPLE_S = 8.0
"""Seconds of sound to show."""

_ROWS, _FLOOR_DB = 256, -80.0


class Board:
    """A folder of TensorBoard events."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    @staticmethod
    def open(folder: Path, step: int) -> Board | None:
        """Events continue at `step`; None if the package is not installed."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                writer = importlib.import_module("torch.utils.tensorboard").SummaryWriter
        except ImportError:
            return None
        return Board(writer(str(folder), purge_step=step + 1))

    def numbers(self, kind: str, step: int, values: Mapping[str, Any]) -> None:
        """Every number of a row, as KIND/NAME."""
        for name, value in values.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                self._writer.add_scalar(f"{kind}/{name}", value, step)

    def estimates(
        self, step: int, track: str, stems: Sequence[str], sources: Sources, estimates: Sources,
        sample_rate: int,
    ) -> None:  # fmt: skip
        """Pictures and sounds of a track's true parts above their estimates, (1, s, c, t) each."""
        for number, stem in enumerate(stems):
            pair = torch.stack([sources[0, number], estimates[0, number]]).float()
            pictures = [spectrogram_picture(sound) for sound in pair]
            self._writer.add_image(f"{track}/{stem}", torch.cat(pictures, dim=0)[None], step)
            peak = pair.abs().max().clamp_min(1e-6)
            for name, sound in zip(("true", "estimate"), pair, strict=True):
                mono = (sound / peak).mean(0, keepdim=True)  # all that TensorBoard plays
                self._writer.add_audio(f"{track}/{stem} {name}", mono, step, sample_rate)

    def close(self) -> None:
        """Write all waiting events."""
        self._writer.close()


def spectrogram_picture(sound: Float[Tensor, "c t"]) -> Float[Tensor, "rows frames"]:
    """Level in dB of the mean channel, 0 (-80 dB below the loudest) to 1, low frequencies below."""
    spectrum = AlignedSTFT(2 * _ROWS)(sound.mean(0)[None, None])[0, 0].abs()
    level = 20 * torch.log10(spectrum.clamp_min(1e-8) / spectrum.max().clamp_min(1e-8))
    return (1 - level.clamp_min(_FLOOR_DB) / _FLOOR_DB).flip(0)
