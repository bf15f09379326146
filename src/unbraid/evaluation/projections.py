"""What a frame of an estimate is made of, once the distortion filters are known.

    estimate = own reference, filtered       target, and its spatial distortion
             + other references, filtered    interference
             + the rest                      artifacts

The filters run over each frame alone, from silence to silence, so the energies take in the tail of
511 samples behind it; this is how version 4 is defined.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unbraid.evaluation.filters import Filters
from unbraid.evaluation.frames import energies

_LONGEST_FFT = 1 << 17


class Projector:
    """Applies distortion filters to frames.

    Args:
        filters: of the whole song.
        targets: for each estimate, which reference is its own.
        channels: of each source.
        longest_frame: samples; sets the length of the transforms.
    """

    def __init__(
        self, filters: Filters, targets: Sequence[int], channels: int, longest_frame: float
    ) -> None:
        taps = filters.joint.shape[-1]
        self._targets = list(targets)
        self._channels = channels
        self._tail = taps - 1
        self._size = fast_length(int(min(longest_frame + 2 * self._tail, _LONGEST_FFT)))
        self._joint = np.fft.rfft(filters.joint, self._size)
        self._own = np.fft.rfft(filters.own, self._size)

    def energies(self, references: np.ndarray, estimates: np.ndarray) -> np.ndarray:
        """Energies of the parts of each estimate in one frame.

        Args:
            references, estimates: the frame, (sources, channels, samples).
        Returns:
            (7, estimates): of reference, spatial distortion, target (the sum of these two),
            interference, projection (target plus interference), artifacts, estimate.
        """
        total = np.zeros((7, len(estimates)))
        step = self._size - self._tail
        for start in range(0, references.shape[-1] + self._tail, step):
            total += self._piece(references, estimates, start, start + step)
        return total

    def _piece(
        self, references: np.ndarray, estimates: np.ndarray, start: int, stop: int
    ) -> np.ndarray:
        """The energies in the samples from `start` to `stop` of the frame and its tail."""
        around = _cut(references, start - self._tail, stop)
        spectra = np.fft.rfft(around.reshape(-1, around.shape[-1]), self._size)
        joint = spectra[0] * self._joint[0]
        for row in range(1, len(spectra)):
            joint += spectra[row] * self._joint[row]
        every = self._back(joint, len(estimates))
        target = self._back(self._filter_own(spectra), len(estimates))
        own = around[self._targets][..., self._tail :]
        here = _cut(estimates, start, stop)
        return np.stack(
            [
                energies(own),
                energies(target - own),
                energies(target),
                energies(every - target),
                energies(every),
                energies(here - every),
                energies(here),
            ]
        )

    def _filter_own(self, spectra: np.ndarray) -> np.ndarray:
        filtered = np.empty(self._own.shape[1:], np.complex128)
        for estimate, source in enumerate(self._targets):
            columns = slice(estimate * self._channels, (estimate + 1) * self._channels)
            rows = spectra[source * self._channels : (source + 1) * self._channels]
            filtered[columns] = np.einsum("rf,rcf->cf", rows, self._own[:, columns])
        return filtered

    def _back(self, spectra: np.ndarray, estimates: int) -> np.ndarray:
        signals = np.fft.irfft(spectra, self._size)[:, self._tail :]
        return signals.reshape(estimates, self._channels, -1)


def fast_length(samples: int) -> int:
    """The least length from `samples` on that has no prime factor above 5: quick to transform.

    >>> fast_length(45122)
    46080
    """
    length = max(samples, 1)
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 1


def _cut(signals: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Samples `start` to `stop` of (sources, channels, samples), zeros where there are none."""
    samples = signals.shape[-1]
    inside = np.asarray(signals[..., max(start, 0) : max(min(stop, samples), 0)], np.float64)
    before = min(max(-start, 0), stop - start)
    after = stop - start - before - inside.shape[-1]
    return np.pad(inside, ((0, 0), (0, 0), (before, after)))
