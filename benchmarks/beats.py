"""How well beats, bars and chords are found: python -m benchmarks.beats [--ingredients DIR]

Songs are made up (as by `unbraid data songs`), so that their beats, bars and chords are known.
They are given as true stems, without drums, as one mixture, separated by the default model, and
with a tempo that drifts; each figure is the mean over the songs.

    beats, bars    F-measure of beats, and of first beats of bars, within 70 ms
    chords         share of the beats with the right triad, where harmony or bass plays
    seconds        processor time for a minute of song
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unbraid import Separator
from unbraid.music.analysis import Music, analyse
from unbraid.songs.compose import Plan
from unbraid.songs.effects import RATE
from unbraid.songs.ingredients import find_ingredients
from unbraid.songs.make_song import make_song
from unbraid.songs.song import Song, SongSettings

_NEAR_S = 0.07
_DRIFT, _ROUND_S = 0.07, 37.0
_SHARP = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_FLAT = {"Db": "C#", "Eb": "D#", "Gb": "F#", "Ab": "G#", "Bb": "A#"}


def main() -> None:
    """Measure, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--songs", type=int, default=24)
    parser.add_argument("--seed", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=60.0, help="of a song")
    parser.add_argument("--ingredients", type=Path, help="as for unbraid data songs")
    options = parser.parse_args()
    ingredients = find_ingredients(options.ingredients)
    settings = SongSettings((options.seconds, options.seconds))
    separator = Separator()
    rows: dict[str, list[dict[str, float]]] = {}
    for number in range(options.songs):
        seed, kind = options.seed + number, ("electronic", "band")[number % 2]
        made, _ = make_song(seed, ingredients, settings, kind)
        plan = Song(seed, ingredients, settings, kind).plan  # drawn first: the same one
        stems = {name: one.T for name, one in made.items()}
        for case, (given, beat_of) in _cases(stems, separator).items():
            row = _score(given, beat_of, stems, plan)
            if case == "drifting tempo":  # its pitch drifts, too
                del row["chords"]
            rows.setdefault(case, []).append(row)
    print(json.dumps({case: _means(found) for case, found in rows.items()}, indent=1))


def _cases(stems: dict[str, np.ndarray], separator: Separator) -> dict[str, tuple[Any, Any]]:
    """Name of a case -> its stems, and what makes a song's time from that of the score."""
    mixture = np.sum(list(stems.values()), axis=0)
    separated = separator.separate(mixture, RATE)
    still = {name: one for name, one in stems.items() if name != "drums"}
    drifting, moment = _drifting(stems)
    return {
        "true stems": (stems, lambda t: t),
        "separated": (separated, lambda t: t),
        "mixture": ({"mixture": mixture}, lambda t: t),
        "no drums": (still, lambda t: t),
        "drifting tempo": (drifting, moment),
    }


def _drifting(stems: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], Any]:
    """Stems whose speed swings by 7 % (and their pitch with it), and where a moment comes."""
    samples = next(iter(stems.values())).shape[1]
    now = np.arange(samples) / RATE
    speed = 1 + _DRIFT * np.sin(2 * np.pi * now / _ROUND_S)
    source = np.concatenate([[0.0], np.cumsum(speed)[:-1]])
    end = int(np.searchsorted(source, samples - 1))
    whole = np.arange(samples)
    moved = {
        name: np.stack([np.interp(source[:end], whole, c) for c in one]).astype(np.float32)
        for name, one in stems.items()
    }
    return moved, lambda t: np.interp(t, source[:end] / RATE, now[:end], right=np.nan)


def _score(
    given: Mapping[str, np.ndarray], beat_of: Any, stems: Mapping[str, np.ndarray], plan: Plan
) -> dict[str, float]:
    beat_s = 60 / plan.tempo
    seconds = next(iter(given.values())).shape[1] / RATE
    start = time.process_time()
    found = analyse(given, RATE)
    spent = time.process_time() - start
    counts = np.arange(int(seconds / beat_s))
    true = beat_of(counts * beat_s)
    counts, true = counts[np.isfinite(true)], true[np.isfinite(true)]
    beats = () if found.beats is None else found.beats.times_s
    firsts = () if found.beats is None else beats[found.beats.first :: found.beats.beats_in_bar]
    return {
        "beats": f_measure(beats, true),
        "bars": f_measure(firsts, true[counts % 4 == 0]),
        "chords": _chords(found, true, counts, stems, plan),
        "seconds": spent / seconds * 60,
    }


def f_measure(found: Any, true: np.ndarray) -> float:
    """Of moments within 70 ms, each of which counts once.

    >>> f_measure([0.0, 1.01, 3.0], np.array([0.0, 1.0, 2.0]))
    0.6666666666666666
    """
    hits, i, j = 0, 0, 0
    while i < len(found) and j < len(true):
        if abs(found[i] - true[j]) <= _NEAR_S:
            hits, i, j = hits + 1, i + 1, j + 1
        elif found[i] < true[j]:
            i += 1
        else:
            j += 1
    return 2 * hits / max(1, len(found) + len(true))


def _chords(
    found: Music, true: np.ndarray, counts: np.ndarray, stems: Mapping[str, np.ndarray], plan: Plan
) -> float:
    tonal = [stems[name] for name in ("bass", "other") if name in stems]
    beat = int(60 / plan.tempo * RATE)
    loud = [
        np.sqrt(np.mean(np.square(sum(s[:, n * beat : (n + 1) * beat] for s in tonal))))
        for n in counts
    ]
    starts = np.array([chord.start_s for chord in found.chords])
    right = [
        _plain(found.chords[max(0, np.searchsorted(starts, moment) - 1)].name)
        == _triad(plan, int(count) // 4)
        for moment, count, level in zip(true + 30 / plan.tempo, counts, loud, strict=True)
        if level > 0.02 * max(loud) and len(starts)
    ]
    return float(np.mean(right)) if right else 0.0


def _triad(plan: Plan, bar: int) -> str:
    degree = plan.degree(min(bar, plan.bars - 1)) % 7
    root, third = plan.pitch(degree, 4), plan.pitch(degree + 2, 4)
    return _SHARP[root % 12] + ("m" if third - root == 3 else "")


def _plain(name: str) -> str:
    root = name.removesuffix("m")
    return _FLAT.get(root, root) + name[len(root) :]


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(float(np.mean([row[name] for row in rows])), 3) for name in rows[0]}


if __name__ == "__main__":
    main()
