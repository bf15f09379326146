"""Beats of a song, whether its tempo is steady or drifts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unbraid.music.onsets import Onsets
from unbraid.music.tempo import tempo_curve
from unbraid.shapes import Float

_TIGHTNESS = 4000.0  # of the distance from beat to beat, whose tempo is known well
_AROUND = 8  # beats on each side that decide where a beat falls


@dataclass(frozen=True)
class Beats:
    """The pulse of a recording.

    Attributes:
        tempo: beats in a minute, the median.
        times_s: when they fall, rising.
        beats_in_bar: how many beats a bar has.
        first: index of the first beat that begins a bar; `beats_in_bar` later the next does.
    """

    tempo: float
    times_s: tuple[float, ...]
    beats_in_bar: int = 4
    first: int = 0


def track_beats(onsets: Onsets) -> Beats | None:
    """Beats from the beginning of a song to its end; None if nothing repeats in it.

    The tempo is tracked first; dynamic programming then chooses moments that fall on onsets and are
    about a beat apart. Each is moved to where its neighbours say it falls, so that a
    metronome on these beats sounds even.

    Source: Ellis, "Beat tracking by dynamic programming", JNMR 36(1), 2007.
    """
    periods = tempo_curve(onsets.curve, onsets.rate)
    if periods is None:
        return None
    frames = _beat_frames(onsets.curve, periods)
    if len(frames) < 4:
        return None
    times = smoothed(_exact(onsets.curve, frames) / onsets.rate)
    times = _extended(times, len(onsets.curve) / onsets.rate)
    tempo = 60 / float(np.median(np.diff(times)))
    return Beats(tempo, tuple(float(time) for time in times))


def _beat_frames(curve: np.ndarray, periods: np.ndarray) -> np.ndarray:
    smooth = np.convolve(curve, np.exp(-0.5 * (np.arange(-3, 4) / 1.5) ** 2), "same")
    score, previous = smooth.astype(np.float64), np.full(len(smooth), -1)
    first = int(2 * periods[0])
    known: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for frame in range(len(smooth)):
        period = round(10 * periods[frame])
        if period not in known:
            back = np.arange(round(period / 20), round(period / 5) + 1)
            known[period] = back, -_TIGHTNESS * np.log(10 * back / period) ** 2
        back, penalty = known[period]
        if frame < first:
            inside = back <= frame
            back, penalty = back[inside], penalty[inside]
            if not len(back):
                continue
        candidates = score[frame - back] + penalty
        best = int(candidates.argmax())
        if candidates[best] > 0:
            score[frame] += candidates[best]
            previous[frame] = frame - back[best]
    tail = max(0, len(score) - int(1.5 * periods[-1]))
    frame = tail + int(np.argmax(score[tail:]))
    frames = []
    while frame >= 0:
        frames.append(frame)
        frame = int(previous[frame])
    return np.array(frames[::-1])


def _exact(curve: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """The centres of the peaks at these frames, between frames."""
    offsets = np.arange(-3, 4)
    around = np.clip(frames[:, None] + offsets, 0, len(curve) - 1)
    weights = curve[around] * np.exp(-0.5 * (offsets / 2) ** 2)
    total = weights.sum(axis=1)
    shift = np.divide(weights @ offsets, total, where=total > 0, out=np.zeros(len(frames)))
    exact: np.ndarray = frames + shift
    return exact


def smoothed(times: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Each beat on the line through those around it; those far from the line count less."""
    if len(times) < 5:
        return times
    reach = min(_AROUND, (len(times) - 1) // 2)
    steps = np.arange(-reach, reach + 1)
    out = np.empty(len(times))
    for index in range(len(times)):
        middle = min(max(index, reach), len(times) - 1 - reach)
        near = times[middle + steps]
        weights = np.hanning(2 * reach + 3)[1:-1]
        for _ in range(3):
            slope, height = np.polyfit(steps, near, 1, w=np.sqrt(weights))
            off = np.abs(near - height - slope * steps)
            scale = max(0.004, float(np.median(off)))
            weights = np.hanning(2 * reach + 3)[1:-1] / (1 + (off / (2 * scale)) ** 2)
        out[index] = height + slope * (index - middle)
    return np.maximum.accumulate(out)


def _extended(times: np.ndarray, seconds: float) -> np.ndarray:
    """The same beats, with more at the tempo of the ends until the song is covered."""
    few = min(8, len(times) - 1)
    first, last = (times[few] - times[0]) / few, (times[-1] - times[-1 - few]) / few
    before = times[0] - first * np.arange(int(max(0.0, times[0] + 0.03) / first), 0, -1)
    after = times[-1] + last * np.arange(1, int(max(0.0, seconds - times[-1]) / last) + 1)
    whole = np.concatenate([np.maximum(0.0, before), np.maximum(0.0, times), after])
    apart: np.ndarray = whole[np.concatenate([[True], np.diff(whole) > 0.05])]
    return apart
