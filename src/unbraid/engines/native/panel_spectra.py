"""`PlainSTFT` on arrays: spectra in panels of frames, and back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from unbraid.engines.native.frame_spectra import Block, FrameSpectra
from unbraid.shapes import Float32


class PanelSpectra(FrameSpectra):
    """A `FrameSpectra` whose spectra are (panels, n_fft / 2 + 1 bins * channels * 2, lanes): each
    lane is a frame; real and imaginary parts of all channels of a bin follow each other. Lanes
    beyond the last frame are zero.

    Args:
        n_fft, hop, window, normalized: as in `PlainSTFT`, with a Hann window.
        lanes: frames in a panel.
    """

    def __init__(self, n_fft: int, hop: int, window: int, normalized: bool, lanes: int) -> None:
        super().__init__(n_fft, hop, window, normalized)
        self._lanes = lanes

    def panels(self, samples: int) -> int:
        """In how many panels they are."""
        return -(-self.frames(samples) // self._lanes)

    def enter(self, song: Float32[np.ndarray, "c t"], spectrum: np.ndarray) -> None:
        """Spectrum (panels, rows, lanes) <- STFT of the song."""
        for panel, (_, some) in enumerate(self.blocks(song, self._lanes)):
            channels, count, _ = some.shape
            parts = some.view(np.float32).reshape(channels, count, -1, 2).transpose(2, 0, 3, 1)
            rows = spectrum[panel].reshape(*parts.shape[:3], self._lanes)
            rows[..., :count], rows[..., count:] = parts, 0

    def leave(self, spectrum: np.ndarray, waves: Float32[np.ndarray, "c t"]) -> None:
        """Waves <- inverse STFT of the spectrum."""
        self.add_up(self._blocks(spectrum, *waves.shape), waves)

    def _blocks(self, spectrum: np.ndarray, channels: int, samples: int) -> Iterator[Block]:
        for panel, first in enumerate(range(0, self.frames(samples), self._lanes)):
            some = min(self._lanes, self.frames(samples) - first)
            parts = spectrum[panel].reshape(-1, channels, 2, self._lanes)[..., :some]
            parts = np.ascontiguousarray(parts.transpose(1, 3, 0, 2)).view(np.complex64)[..., 0]
            yield first, parts
