"""Ratio masks: estimates say only how the mixture's spectrogram is shared out among the stems.

A small model knows better where in the spectrum a stem is than what its waveform is. Each bin of
the mixture is divided among the stems in proportion to the magnitudes of their estimates; phase and
level are the mixture's own, so that the stems add up to it.

    mixture ─┬─► model ─► estimates ─► |STFT| ─► shares, bin by bin
             └──────────────────────────► STFT ─── × ──► inverse STFT ─► estimates

Its effect on a small model is in docs/training-log.md.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from unbraid.errors import SettingsError
from unbraid.models.compose.composite import Composite, OneModelConfig
from unbraid.models.compose.namespace import namespace
from unbraid.shapes import Estimates, Float32, Mixture

SILENCE = 1e-10
"""A magnitude next to nothing: where no estimate sounds, nothing comes out."""


@dataclass(frozen=True)
class RatioMasksConfig(OneModelConfig):
    """A model whose estimates become ratio masks.

    Attributes:
        model: the model.
        frame_samples: length of the frames of the spectrogram, half-overlapping.
    """

    frame_samples: int = 8192

    def __post_init__(self) -> None:
        if len(self.spec.stems) < 2:
            raise SettingsError(
                f"ratio masks share the mixture out among two stems or more, got {self.spec.stems}"
            )
        if self.frame_samples % 2 or not 8 <= self.frame_samples <= 1 << 17:
            raise SettingsError(
                f"frame_samples is an even number from 8 to 131072, got {self.frame_samples!r:.80}"
            )


class RatioMasks(Composite):
    """The mixture, shared out by the estimates of a model."""

    def share(self, mixture: Any) -> dict[str, Any]:
        """The model hears the mixture itself."""
        return {"model": mixture}

    def join(self, mixture: Any, estimates: Mapping[str, Any]) -> Any:
        """The mixture through the masks."""
        return apply_ratio_masks(mixture, estimates["model"], self.config.frame_samples)


def apply_ratio_masks(mixture: Mixture, estimates: Estimates, frame_samples: int = 8192) -> Any:
    """The mixture, shared out in proportion to the magnitudes of the estimates.

    Args:
        mixture: (batch, channels, samples), an array or a tensor.
        estimates: (batch, stems, channels, samples).
        frame_samples: length of a frame of the spectrogram.
    Returns:
        (batch, stems, channels, samples), float32; the sum over stems is the mixture wherever an
        estimate sounds.

    >>> song = np.ones((1, 2, 100), np.float32)
    >>> estimates = np.stack([song, 3 * song], 1)
    >>> np.allclose(apply_ratio_masks(song, estimates)[:, 1], 0.75 * song, atol=1e-6)
    True
    """
    xp = namespace(estimates)
    frames = _Frames(xp, frame_samples, mixture.shape[-1])
    return xp.by_signal(frames.shared_out, xp.wide(mixture), xp.wide(estimates))


class _Frames:
    """Signals of one length to spectra and back: half-overlapping frames under a sine window, whose
    squares add up to one; the first begins half before the signal."""

    def __init__(self, xp: Any, frame_samples: int, samples: int) -> None:
        self._xp, self._hop, self._samples = xp, frame_samples // 2, samples

    def shared_out(self, signal: Any, estimates: Any) -> list[Any]:
        """(*c t) and (s *c t) -> s signals (*c t)."""
        window = self._xp.constant(_window(2 * self._hop), signal)
        sizes = [abs(self._spectrum(estimate, window)) for estimate in estimates]
        spectrum = self._spectrum(signal, window) / sum(sizes[1:], sizes[0] + SILENCE)
        return [self._signal(size * spectrum, window) for size in sizes]

    def _spectrum(self, signal: Any, window: Any) -> Any:
        """(..., t) -> (..., frames, freq), complex."""
        hop = self._hop
        padded = self._xp.pad(signal, hop, hop + -self._samples % hop)
        return self._xp.rfft(self._xp.windows(padded, 2 * hop, hop) * window)

    def _signal(self, spectrum: Any, window: Any) -> Any:
        """(..., frames, freq) -> (..., t)."""
        hop = self._hop
        frames = self._xp.irfft(spectrum, 2 * hop)
        total = frames[..., 1:, :hop] * window[:hop] + frames[..., :-1, hop:] * window[hop:]
        return total.reshape(*spectrum.shape[:-2], -1)[..., : self._samples]


@functools.cache
def _window(samples: int) -> Float32[np.ndarray, " n"]:
    middles = np.arange(samples) + 0.5
    return np.sin(np.pi * middles / samples).astype(np.float32)
