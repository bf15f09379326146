"""Ensemble: several models' estimates of a stem, combined sample by sample or bin by bin.

    avg_wave     weighted mean of the waveforms (the best in SDR nearly always)
    median_wave  median of the waveforms
    min_wave     the sample nearest to zero: less of what does not belong to the stem
    max_wave     the sample farthest from zero: fuller
    *_fft        the same for each bin of the spectrograms, by magnitude; the median of complex
                 numbers is that of their order by real part

Models may have different stems: a stem is combined from the models that have it. An average of
models with equal stems is also a `Bag`, which gives each member segments of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unbraid.arrays import alike, as_array
from unbraid.errors import ModelError, SettingsError
from unbraid.models.compose.composite import Composite, ManyModelsConfig
from unbraid.models.compose.namespace import namespace
from unbraid.shapes import Complex64, Float32
from unbraid.words import counted

ALGORITHMS = (
    "avg_wave", "median_wave", "min_wave", "max_wave",
    "avg_fft", "median_fft", "min_fft", "max_fft",
)  # fmt: skip

_N_FFT, _HOP = 2048, 1024

Signals = Float32[np.ndarray, "k *b t"]
"""Estimates of one stem by k models."""


@dataclass(frozen=True)
class EnsembleConfig(ManyModelsConfig):
    """What an ensemble is made of.

    Attributes:
        models: its members, of one sample rate and number of channels.
        algorithm: one of `ALGORITHMS`.
        weights: models x stems of the ensemble, 0 or more; None for equal ones. An average weighs
            by them; every algorithm leaves models of weight 0 out.
    """

    algorithm: str = "avg_wave"
    weights: tuple[tuple[float, ...], ...] | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.models) <= 64:
            raise ModelError(f"an ensemble has 1 to 64 models, got {len(self.models)}")
        if self.algorithm not in ALGORITHMS:
            raise SettingsError(
                f"an ensemble's algorithm is one of {', '.join(ALGORITHMS)}; got "
                f"{self.algorithm!r:.40}"
            )
        first = self.models[0].config.spec
        for member in self.models:
            spec = member.config.spec
            if (spec.sample_rate, spec.channels) != (first.sample_rate, first.channels):
                raise ModelError(
                    "the models of an ensemble share sample rate and channels, got "
                    f"{first.sample_rate} Hz, {first.channels} and {spec.sample_rate} Hz, "
                    f"{spec.channels}"
                )
        self._check_weights()

    def _check_weights(self) -> None:
        stems = self.spec.stems
        rows = self.weights
        if rows is not None:
            fit = len(rows) == len(self.models) and all(len(row) == len(stems) for row in rows)
            if not fit or not all(0 <= w < math.inf for row in rows for w in row):
                raise ModelError(
                    f"the weights of an ensemble are {counted(len(self.models), 'row')} of "
                    f"{counted(len(stems), 'number')}, 0 or more ({', '.join(stems)}); "
                    f"got {rows!r:.80}"
                )
        for stem in stems:
            if not self.weights_of(stem):
                raise ModelError(f"no model of the ensemble has a weight for {stem!r}")

    def weights_of(self, stem: str) -> dict[str, float]:
        """Name of a member that has the stem -> its weight above 0."""
        column = self.spec.stems.index(stem)
        found = {}
        for number, (name, member) in enumerate(self.members.items()):
            weight = 1.0 if self.weights is None else self.weights[number][column]
            if stem in member.config.spec.stems and weight > 0:
                found[name] = weight
        return found


class Ensemble(Composite):
    """Models whose estimates are combined stem by stem, segment by segment."""

    def __call__(self, mixture: Any) -> Any:
        """Separate songs: (b c t) -> (b s c t), arrays or tensors alike."""
        return self.join(mixture, {name: model(mixture) for name, model in self.members.items()})

    def share(self, mixture: Any) -> dict[str, Any]:
        """Raise `ModelError`: its members stay models of their own."""
        raise ModelError("an ensemble cannot be exported; export its models one by one")

    def valid_samples(self, samples: int) -> int:
        """Members pad by themselves."""
        return samples

    def join(self, mixture: Any, estimates: Mapping[str, Any]) -> Any:
        """Combine (b s c t) of each member."""
        config: EnsembleConfig = self.config
        stems = []
        for stem in config.spec.stems:
            weights = config.weights_of(stem)
            found = [
                estimates[name][:, config.members[name].config.spec.stems.index(stem)]
                for name in weights
            ]
            stems.append(_combined(found, config.algorithm, list(weights.values())))
        return namespace(mixture).stack(stems, 1)


def _combined(estimates: list[Any], algorithm: str, weights: Sequence[float]) -> Any:
    """Arrays or tensors alike; averages keep a gradient."""
    if algorithm in ("avg_wave", "avg_fft"):  # the transform is linear
        shares = [weight / math.fsum(weights) for weight in weights]
        return sum(share * x for share, x in zip(shares, estimates, strict=True))
    arrays = np.stack([as_array(x).astype(np.float32, copy=False) for x in estimates])
    return alike(estimates[0], combine(arrays, algorithm))


def combine(estimates: Signals, algorithm: str) -> Float32[np.ndarray, "*b t"]:
    """Median, smallest or largest of k signals, (k, ..., t) -> (..., t).

    Of equally large values the first model's is taken. Signals get silence behind them before they
    are transformed, so that their ends are exact.

    Raises:
        SettingsError: for an algorithm that does not exist.
    """
    if algorithm not in ALGORITHMS:
        raise SettingsError(f"unknown algorithm {algorithm!r:.40}")
    kind, domain = algorithm.split("_")
    if domain == "wave":
        return _chosen(estimates, kind).astype(np.float32, copy=False)
    return _inverse(_chosen(_spectra(estimates), kind), estimates.shape[-1])


def _chosen(values: np.ndarray, kind: str) -> np.ndarray:
    if kind == "avg":
        return values.mean(axis=0)  # type: ignore[no-any-return]
    if kind == "median":
        return np.median(values, axis=0)  # type: ignore[no-any-return]
    sizes = np.abs(values)
    index = sizes.argmin(axis=0) if kind == "min" else sizes.argmax(axis=0)
    return np.take_along_axis(values, index[None], axis=0)[0]  # type: ignore[no-any-return]


def _window() -> np.ndarray:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_N_FFT) / _N_FFT)


def _spectra(x: Signals) -> Complex64[np.ndarray, "k *b n f"]:
    """Hann STFT, centred between zeros."""
    ahead = _N_FFT // 2
    behind = ahead + _N_FFT + -x.shape[-1] % _HOP
    padded = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(ahead, behind)])
    frames = np.lib.stride_tricks.sliding_window_view(padded, _N_FFT, axis=-1)[..., ::_HOP, :]
    return np.fft.rfft(frames * _window()).astype(np.complex64)


def _inverse(spectra: np.ndarray, samples: int) -> np.ndarray:
    """Overlap-add, divided by the sum of squared windows."""
    window = _window()
    frames = np.fft.irfft(spectra, _N_FFT) * window
    count = frames.shape[-2]
    total = np.zeros((*frames.shape[:-2], (count + 1) * _HOP))
    weight = np.zeros((count + 1) * _HOP)
    for number in range(count):
        place = slice(number * _HOP, number * _HOP + _N_FFT)
        total[..., place] += frames[..., number, :]
        weight[place] += window**2
    start = _N_FFT // 2
    kept = slice(start, start + samples)
    return (total[..., kept] / weight[kept]).astype(np.float32)
