"""Separate excerpts of a song twice, from different starts: where the runs differ is doubt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from unbraid.audio.files import probe
from unbraid.audio.signal import Signal
from unbraid.errors import SettingsError
from unbraid.pages.previews import file_seconds, read_spans
from unbraid.song_page.hints import ratio_db

_EXCERPT_S = 8.0
_MOST_EXCERPTS = 3
_SHARE = 0.15  # of the song may be separated again, though at least one excerpt is
_OFFSET_S = 0.31  # no multiple of a model's hop
_SHORTEST_S = 4.0


def second_look(
    mixture: Path,
    separate: Callable[[Signal, int], Mapping[str, Signal]],
    on_run: Callable[[int, int], None] | None = None,
) -> dict[str, float | None]:
    """How far two runs over a few excerpts differ; empty for a song that is too short.

    Args:
        mixture: the song.
        separate: signal (channels, samples) and sample rate in Hz -> stem to signal.
        on_run: called with the number of runs that are done, and of all.
    Returns:
        stem to dB, as `disagreement`.
    Raises:
        AudioReadError: if the song cannot be read.
    """
    rate = probe(mixture).sample_rate
    count = int(_SHARE * file_seconds(mixture) / (2 * _EXCERPT_S))
    excerpts = [
        piece
        for piece in read_excerpts(mixture, _EXCERPT_S, max(1, min(_MOST_EXCERPTS, count)))
        if piece.shape[1] > _SHORTEST_S * rate
    ]
    runs = 0

    def run(signal: Signal) -> Mapping[str, Signal]:
        nonlocal runs
        stems = separate(np.ascontiguousarray(signal), rate)
        runs += 1
        if on_run is not None:
            on_run(runs, 2 * len(excerpts))
        return stems

    return disagreement(
        run,
        excerpts,
        round(_OFFSET_S * rate),
    )


def excerpt_starts(samples: int, excerpt: int, count: int) -> list[int]:
    """Where `count` excerpts start, spread evenly; fewer where the song is short.

    >>> excerpt_starts(100, 20, 2)
    [20, 60]
    """
    count = max(1, min(count, samples // max(1, excerpt)))
    room = max(0, samples - excerpt)
    return [round(room * (2 * i + 1) / (2 * count)) for i in range(count)]


def disagreement(
    separate: Callable[[Signal], Mapping[str, Signal]],
    excerpts: Sequence[Signal],
    offset: int,
) -> dict[str, float | None]:
    """How far two runs differ that begin `offset` samples apart, in dB against each stem's power.

    Args:
        separate: signal (channels, samples) -> stem to signal of the same shape.
        excerpts: pieces of the song, each longer than `offset`.
        offset: samples; best no multiple of the model's hop.
    Returns:
        stem to 10 log10(sum |a - b|^2 / (sum |a|^2 + sum |b|^2) * 2); None for silence.
    Raises:
        SettingsError: if an excerpt is not longer than the offset.
    """
    differing: dict[str, float] = {}
    power: dict[str, float] = {}
    for excerpt in excerpts:
        if excerpt.shape[1] <= 2 * offset:
            raise SettingsError(
                f"an excerpt of {excerpt.shape[1]} samples is too short for an offset of {offset}"
            )
        whole, later = separate(excerpt), separate(excerpt[:, offset:])
        for stem, signal in whole.items():
            one, other = signal[:, offset:].astype(np.float64), later[stem].astype(np.float64)
            differing[stem] = differing.get(stem, 0.0) + float(np.sum((one - other) ** 2))
            power[stem] = power.get(stem, 0.0) + float(np.sum(one**2) + np.sum(other**2)) / 2
    return {stem: ratio_db(differing[stem], power[stem]) for stem in differing}


def read_excerpts(path: Path, seconds: float, count: int) -> list[np.ndarray]:
    """`count` excerpts (channels, samples), spread evenly; at most the song itself.

    Raises:
        AudioReadError: if it cannot be read.
    """
    info = probe(path)
    samples = round(file_seconds(path) * info.sample_rate)
    length = min(samples, round(seconds * info.sample_rate))
    starts = excerpt_starts(samples, length, count)
    return read_spans(path, [(start, length) for start in starts])
