"""BSSEval version 4 ("images"): SDR, ISR, SIR and SAR of each source in each frame.

The figures are those of museval 0.4.1, at a fraction of its cost:

- The distortion filters, 512 taps long, are estimated once on the whole song.
- A frame in which any reference or any estimate is silent has no score (NaN), for all sources;
  silent means that the channels add up to zero throughout, so a frame in antiphase is silent too.
- Scores above `CEILING_DB`, where museval gives infinity or rounding noise, are cut to it.

SDR compares estimate and reference directly. It needs no filters and is very fast: use `sdr_v4` for
SDR alone.

Source: Stöter, Liutkus, Ito, LVA/ICA 2018, and the tool's documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from unbraid.errors import EvaluationError, ShapeError
from unbraid.evaluation.correlations import CorrelationMeter, Correlations
from unbraid.evaluation.filters import solve_filters
from unbraid.evaluation.frames import (
    FrameMeter,
    Frames,
    FrameTable,
    Pair,
    frame_bounds,
    silent_signals,
)
from unbraid.evaluation.projections import Projector
from unbraid.shapes import Float

CEILING_DB = 100.0
"""The highest score: a perfect estimate's. Errors of 16-bit samples alone stay below it."""

METRICS = ("SDR", "ISR", "SIR", "SAR")
SECOND = 44100

Blocks = Callable[[], Iterable[Pair]]
_BLOCK_SAMPLES = 1 << 17


def bss_eval_v4(
    references: Float[np.ndarray, "s t c"],
    estimates: Float[np.ndarray, "s t c"],
    window: float = SECOND,
    hop: float = SECOND,
) -> dict[str, np.ndarray]:
    """Score estimates of all sources of a song.

    Args:
        references, estimates: (sources, samples, channels), float64, in the same order.
        window, hop: length of a frame and distance between two, in samples. A song no longer than
            the window is one frame; samples after the last whole frame do not count.
    Returns:
        "SDR", "ISR", "SIR" and "SAR", each (sources, frames), in dB, at most `CEILING_DB`; NaN in
        frames where a source is silent.
    Raises:
        ShapeError: if their shapes differ, or they are empty.
        EvaluationError: if a source is silent throughout, or has numbers that are not finite.

    >>> song = np.random.default_rng(0).standard_normal((2, 4000, 1))
    >>> scores = bss_eval_v4(song, 0.5 * song, window=2000, hop=2000)
    >>> scores["SDR"].round(2).tolist(), scores["SIR"].tolist()
    ([[6.02, 6.02], [6.02, 6.02]], [[100.0, 100.0], [100.0, 100.0]])
    """
    _check(references, estimates)
    sources, _, channels = references.shape
    targets = tuple(range(sources))
    blocks = _blocks_of(references, estimates)
    meter = CorrelationMeter(sources * channels, sources * channels, channels)
    table = _first_pass(blocks, targets, window, hop, meter)
    sdr = sdr_of(table)
    others, _ = filtered_scores(blocks, meter.finish(), targets, table.unscored(), window, hop)
    return {"SDR": sdr, **others}


def sdr_v4(
    references: Float[np.ndarray, "s t c"],
    estimates: Float[np.ndarray, "s t c"],
    window: float = SECOND,
    hop: float = SECOND,
) -> np.ndarray:
    """The SDR of `bss_eval_v4` alone, which needs no filters: (sources, frames), in dB.

    Raises:
        ShapeError, EvaluationError: as `bss_eval_v4`.
    """
    _check(references, estimates)
    table = FrameMeter(tuple(range(len(references))), channel_axis=2)
    for start, stop in frame_bounds(references.shape[1], window, hop):
        table.add(references[:, start:stop], estimates[:, start:stop])
    return sdr_of(table.finish())


def sdr_of(table: FrameTable) -> np.ndarray:
    """SDR of each estimate in each frame, NaN where a source is silent."""
    scores = decibels(table.signal, table.error)
    scores[:, table.unscored()] = np.nan
    return scores


def filtered_scores(
    blocks: Blocks,
    correlations: Correlations,
    targets: tuple[int, ...],
    unscored: np.ndarray,
    window: float,
    hop: float,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """ISR, SIR and SAR, in a second pass over the song.

    Args:
        blocks: starts the song again, as blocks of references and estimates.
        correlations: over the whole song.
        targets: for each estimate, which reference is its own.
        unscored: frames to leave out, (frames,).
    Returns:
        for each metric (estimates, frames), NaN in the frames left out; and the energy of the
        filtered references over that of the estimate, (estimates,). It is at most 1, except for the
        ends of frames: where it is far above, filters cancel each other by large numbers, and the
        scores say nothing.
    """
    filters = solve_filters(correlations, targets)
    longest = min(window, float(_BLOCK_SAMPLES))
    projector = Projector(filters, targets, correlations.channels, longest)
    scores = {name: np.full((len(targets), len(unscored)), np.nan) for name in METRICS[1:]}
    totals = np.zeros((2, len(targets)))
    for number, (references, estimates) in enumerate(cut_frames(blocks, window, hop)):
        if not unscored[number]:
            parts = projector.energies(references, estimates)
            reference, spatial, target, interference, projection, artifacts, estimate = parts
            totals += [projection, estimate]
            scores["ISR"][:, number] = decibels(reference, spatial)
            scores["SIR"][:, number] = decibels(target, interference)
            scores["SAR"][:, number] = decibels(projection, artifacts)
    return scores, totals[0] / np.maximum(totals[1], np.finfo(np.float64).tiny)


def cut_frames(blocks: Blocks, window: float, hop: float) -> Iterator[Pair]:
    """The frames of a song, one after the other."""
    frames = Frames(window, hop)
    for references, estimates in blocks():
        yield from frames.push(references, estimates)
    yield from frames.finish()


def decibels(signal: np.ndarray, error: np.ndarray) -> np.ndarray:
    """The ratio of two energies in dB, at most `CEILING_DB`, also without any error."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = 10.0 * np.log10(signal / error)
    return np.where(error == 0, CEILING_DB, np.minimum(ratio, CEILING_DB))


def _first_pass(
    blocks: Blocks,
    targets: tuple[int, ...],
    window: float,
    hop: float,
    correlations: CorrelationMeter,
) -> FrameTable:
    frames, table = Frames(window, hop), FrameMeter(targets)
    for references, estimates in blocks():
        correlations.push(references, estimates)
        for frame in frames.push(references, estimates):
            table.add(*frame)
    for frame in frames.finish():
        table.add(*frame)
    return table.finish()


def _blocks_of(references: np.ndarray, estimates: np.ndarray) -> Blocks:
    def blocks() -> Iterator[Pair]:
        for start in range(0, references.shape[1], _BLOCK_SAMPLES):
            piece = slice(start, start + _BLOCK_SAMPLES)
            yield (
                np.moveaxis(references[:, piece], 1, 2).astype(np.float64),
                np.moveaxis(estimates[:, piece], 1, 2).astype(np.float64),
            )

    return blocks


def _check(references: np.ndarray, estimates: np.ndarray) -> None:
    shape = references.shape
    if len(shape) != 3 or estimates.shape != shape or 0 in shape:
        raise ShapeError(
            "BSSEval takes references and estimates of one shape (sources, samples, channels), "
            f"got {shape} and {estimates.shape}"
        )
    for name, signals in (("reference", references), ("estimate", estimates)):
        silent = silent_signals(signals, channel_axis=2)
        for number, signal in enumerate(signals):
            if not np.isfinite(signal).all():
                raise EvaluationError(f"{name} {number} holds NaN or Inf; repair it first")
            if silent[number]:
                raise EvaluationError(
                    f"{name} {number} is silent throughout (its channels add up to zero), so "
                    "BSSEval has no score for it; leave that source out"
                )
