"""Whole-song scores: nSDR of the Music Demixing Challenge, and SI-SDR.

Neither allows any filtering, and neither looks at frames. All sums are float64.
"""

from __future__ import annotations

import numpy as np

from unbraid.errors import EvaluationError, ShapeError
from unbraid.evaluation.bss_eval import CEILING_DB, decibels
from unbraid.evaluation.frames import energies
from unbraid.shapes import Float

EPSILON = 1e-7
"""Added to both sums of nSDR, as in the challenge; it governs the score of a silent reference."""


def nsdr(
    references: Float[np.ndarray, "s c t"], estimates: Float[np.ndarray, "s c t"]
) -> np.ndarray:
    """SDR over a whole song, as the Music Demixing Challenge defines it.

    10 log10 ((Σ s² + ε) / (Σ (s - ŝ)² + ε)), sums over all samples and channels, ε = 1e-7. The mean
    over songs is the challenge's score, often called uSDR.

    Args:
        references, estimates: (sources, channels, samples), full scale at ±1.
    Returns:
        dB, one for each source. Always finite: a perfect estimate and a silent reference have what
        ε leaves them.
    Raises:
        ShapeError: if the two are not of one shape.
    Source: Mitsufuji et al., Frontiers in Signal Processing 2022.

    >>> song = np.ones((1, 2, 1000))
    >>> nsdr(song, 0.9 * song).round(3).tolist(), nsdr(0 * song, 0 * song).tolist()
    ([20.0], [0.0])
    """
    meter = SongMeter()
    meter.push(*_checked(references, estimates))
    return meter.nsdr()


def si_sdr(
    references: Float[np.ndarray, "s c t"], estimates: Float[np.ndarray, "s c t"]
) -> np.ndarray:
    """Scale-invariant SDR over a whole song: the reference is scaled to fit the estimate first.

    One gain for all channels; means are not removed. At most `CEILING_DB`.

    Args:
        references, estimates: (sources, channels, samples).
    Returns:
        dB, one for each source; NaN where reference or estimate is silent throughout.
    Raises:
        ShapeError: if the two are not of one shape.
    Source: Le Roux et al., ICASSP 2019.

    >>> song = np.ones((1, 2, 1000))
    >>> si_sdr(song, 0.5 * song).tolist()
    [100.0]
    """
    meter = SongMeter()
    meter.push(*_checked(references, estimates))
    return meter.si_sdr()


class SongMeter:
    """Both scores of a song that comes in blocks.

    Sums are taken block by block, so that other cuts move the scores by rounding only.
    """

    def __init__(self) -> None:
        self._signal: np.ndarray = np.zeros(1)
        self._error: np.ndarray = np.zeros(1)
        self._product: np.ndarray = np.zeros(1)
        self._estimate: np.ndarray = np.zeros(1)

    def push(self, references: np.ndarray, estimates: np.ndarray) -> None:
        """Take the next samples: (sources, channels, samples) of each.

        Raises:
            EvaluationError: if they hold NaN or Inf.
        """
        references = np.asarray(references, np.float64)
        estimates = np.asarray(estimates, np.float64)
        self._signal = self._signal + energies(references)
        self._error = self._error + energies(estimates - references)
        self._estimate = self._estimate + energies(estimates)
        self._product = self._product + np.einsum("sct,sct->s", references, estimates)
        if not np.isfinite(self._signal + self._estimate).all():
            raise EvaluationError("the signals hold NaN or Inf; repair them first")

    @property
    def silent(self) -> np.ndarray:
        """Whether a reference was zero throughout."""
        silent: np.ndarray = np.equal(self._signal, 0)
        return silent

    def nsdr(self) -> np.ndarray:
        """nSDR of what was pushed, dB."""
        scores: np.ndarray = 10.0 * np.log10((self._signal + EPSILON) / (self._error + EPSILON))
        return scores

    def si_sdr(self) -> np.ndarray:
        """SI-SDR of what was pushed, dB."""
        with np.errstate(divide="ignore", invalid="ignore"):
            target = self._product**2 / self._signal
        scores = decibels(target, np.maximum(self._estimate - target, 0))
        undefined = (self._signal == 0) | (self._estimate == 0)
        return np.where(undefined, np.nan, np.minimum(scores, CEILING_DB))


def _checked(references: np.ndarray, estimates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if references.ndim != 3 or references.shape != estimates.shape:
        raise ShapeError(
            "references and estimates are of one shape (sources, channels, samples), got "
            f"{references.shape} and {estimates.shape}"
        )
    return references, estimates
