"""The tempo of a song, and how it drifts."""

from __future__ import annotations

import numpy as np

from unbraid.shapes import Float

SLOWEST, FASTEST = 50.0, 215.0  # beats a minute
_STEP = 1.01
_USUAL, _OCTAVES = 110.0, 0.65  # the most usual tempo, and how far others are from it
_WINDOW_S, _HOP_S = 8.0, 0.5
_MULTIPLES = ((1, 1.0), (2, 0.7), (4, 1.0))
_DRIFT = 0.3  # octaves that the tempo may move away from its most common value
_STEADINESS = 600.0
_SEEDS = 8


def tempo_curve(curve: Float[np.ndarray, " n"], rate: float) -> Float[np.ndarray, " n"] | None:
    """Frames of a beat, at each frame; None where nothing repeats.

    Autocorrelations of stretches of 8 s give how well each tempo fits there; the tempo that fits
    the whole song best, weighted towards the usual, decides the octave; dynamic programming then
    finds the path of the tempo near to it.

    Args:
        curve: of onsets.
        rate: its frames a second.
    """
    tempos = SLOWEST * _STEP ** np.arange(int(np.log(FASTEST / SLOWEST) / np.log(_STEP)) + 1)
    lags = 60 * rate / tempos
    fits, centres = _fits(curve, rate, lags)
    if fits is None:
        return None
    usual = np.exp(-0.5 * (np.log2(tempos / _USUAL) / _OCTAVES) ** 2)
    if not np.any(fits):
        return None
    best, fine = -np.inf, np.empty(0)
    for seed in _peaks(fits.mean(axis=0) * usual):
        near = np.flatnonzero(np.abs(np.log2(tempos / tempos[seed])) <= _DRIFT)
        path, fit = _path(fits[:, near])
        fit *= float(usual[near[path]].mean())
        if fit > best:
            best, fine = fit, near[0] + _refined(fits[:, near], path)
    periods = 60 * rate / (SLOWEST * _STEP**fine)
    # The path is in steps of a second or so: a tempo does not jump within them.
    smooth = np.convolve(np.pad(periods, 2, mode="edge"), np.ones(5) / 5, "valid")
    everywhere: np.ndarray = np.interp(np.arange(len(curve)), centres, smooth)
    return everywhere


def _fits(curve: np.ndarray, rate: float, lags: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    """How well each lag fits around each centre, (centres, lags), and the centres."""
    size, hop = round(_WINDOW_S * rate), round(_HOP_S * rate)
    if len(curve) < 2 * lags.min() + 2 or not np.any(curve):
        return None, np.empty(0)
    padded = np.pad(curve, size // 2)
    stretches = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    centres = np.arange(len(stretches)) * hop
    window = np.hanning(size + 2)[1:-1]
    own = np.fft.irfft(np.abs(np.fft.rfft(window, 2 * size)) ** 2)[:size]
    reach = min(size - 1, int(4 * lags.max()) + 2, int(0.75 * size))
    found = []
    for part in np.array_split(stretches, max(1, len(stretches) // 64)):
        power = (
            np.abs(np.fft.rfft((part - part.mean(axis=1, keepdims=True)) * window, 2 * size)) ** 2
        )
        like = np.fft.irfft(power)[:, :reach] / (own[:reach] / own[0])
        like = like / (like[:, :1] + 1e-3 * own[0])
        total = np.zeros((len(part), len(lags)))
        weight = np.zeros(len(lags))
        for multiple, share in _MULTIPLES:
            inside = lags * multiple < reach - 1
            total += share * inside * _at(like, np.minimum(lags * multiple, reach - 2))
            weight += share * inside
        found.append(np.maximum(0.0, total / weight))
    return np.concatenate(found), centres


def _at(rows: np.ndarray, where: np.ndarray) -> np.ndarray:
    low = where.astype(int)
    share = where - low
    values: np.ndarray = rows[:, low] * (1 - share) + rows[:, low + 1] * share
    return values


def _peaks(values: np.ndarray) -> np.ndarray:
    """Where the highest of the local maxima are."""
    inner = np.pad(values, 1, constant_values=-1)
    tops = np.flatnonzero((inner[1:-1] >= inner[:-2]) & (inner[1:-1] > inner[2:]))
    highest: np.ndarray = tops[np.argsort(values[tops])[::-1][:_SEEDS]]
    return highest


def _path(fits: np.ndarray) -> tuple[np.ndarray, float]:
    """The best sequence of tempos, as indices, and how well it fits."""
    steps = np.arange(fits.shape[1])
    penalty = _STEADINESS * (np.log(_STEP) * (steps[:, None] - steps[None, :])) ** 2
    score, back = fits[0].copy(), []
    for fit in fits[1:]:
        ways = score[None, :] - penalty
        back.append(ways.argmax(axis=1))
        score = ways.max(axis=1) + fit
    path = [int(score.argmax())]
    for came in back[::-1]:
        path.append(int(came[path[-1]]))
    return np.array(path[::-1]), float(score.max())


def _refined(fits: np.ndarray, path: np.ndarray) -> np.ndarray:
    """The path, between the steps of the grid."""
    rows = np.arange(len(path))
    inner = np.clip(path, 1, fits.shape[1] - 2)
    left, top, right = (fits[rows, inner + d] for d in (-1, 0, 1))
    bend = left - 2 * top + right
    shift = np.divide(0.5 * (left - right), bend, where=bend < 0, out=np.zeros_like(bend))
    fine: np.ndarray = np.where(path == inner, inner + np.clip(shift, -0.5, 0.5), path)
    return fine
