"""One track: files in, scores out. It can run in a separate process.

First pass: whole-song sums, frame energies, correlations. Second pass, if BSSEval is requested:
frames through the distortion filters. Memory does not grow with the song.

Silence, in the sense of museval (the channels add up to zero):
- in a frame, of any source: no source has frame scores there;
- of a reference, throughout: the track is scored as if that source did not exist;
- of an estimate, throughout: it has no frame scores, the others are scored without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from unbraid.errors import EvaluationError
from unbraid.evaluation.bss_eval import METRICS, filtered_scores, sdr_of
from unbraid.evaluation.correlations import CorrelationMeter
from unbraid.evaluation.frames import FrameMeter, Frames, FrameTable, Pair
from unbraid.evaluation.metrics import SongMeter
from unbraid.evaluation.pairs import PairReader, TrackPair
from unbraid.evaluation.scores import StemScores, TrackScores


@dataclass(frozen=True)
class _Song:
    """What the first pass has found."""

    meter: SongMeter
    correlations: CorrelationMeter | None
    table: FrameTable


def score_track(pair: TrackPair, *, bsseval: bool = True, window_s: float = 1.0) -> TrackScores:
    """Score the estimates of one track.

    Args:
        pair: its files.
        bsseval: also ISR, SIR and SAR, which take most of the time; SDR in frames comes anyhow.
        window_s: length of a frame in seconds; frames do not overlap.
    Raises:
        AudioReadError: if a file cannot be read.
        EvaluationError: if they do not fit together.
    """
    if pair.problem is not None:
        raise EvaluationError(pair.problem)
    reader = PairReader(pair)
    window = window_s * reader.sample_rate
    stems = list(pair.references)
    targets = tuple(stems.index(stem) for stem in pair.estimates)
    song = _first_pass(reader, targets, window, bsseval)
    frames, notes = _frame_scores(song, reader, list(pair.estimates), stems, window)
    nsdr, si_sdr, silent = song.meter.nsdr(), song.meter.si_sdr(), song.meter.silent
    scores = {
        stem: StemScores(
            nsdr=float(nsdr[row]),
            si_sdr=float(si_sdr[row]),
            frames={name: values[row] for name, values in frames.items()},
            silent_reference=bool(silent[row]),
        )
        for row, stem in enumerate(pair.estimates)
    }
    return TrackScores(
        name=pair.name,
        stems=scores,
        window_s=window_s,
        hop_s=window_s,
        sample_rate=reader.sample_rate,
        samples=reader.samples,
        files={
            "references": {stem: str(path.absolute()) for stem, path in pair.references.items()},
            "estimates": {stem: str(path.absolute()) for stem, path in pair.estimates.items()},
        },
        notes=(*pair.notes, *reader.notes, *notes),
    )


def _first_pass(
    reader: PairReader, targets: tuple[int, ...], window: float, bsseval: bool
) -> _Song:
    frames, table, song = Frames(window, window), FrameMeter(targets), SongMeter()
    rows: CorrelationMeter | None = None
    for references, estimates in reader.blocks():
        if bsseval:
            rows = rows or CorrelationMeter(
                len(references) * reader.channels, len(estimates) * reader.channels, reader.channels
            )
            rows.push(references, estimates)
        song.push(references[list(targets)], estimates)
        for frame in frames.push(references, estimates):
            table.add(*frame)
    for frame in frames.finish():
        table.add(*frame)
    return _Song(song, rows, table.finish())


def _frame_scores(
    song: _Song, reader: PairReader, estimated: Sequence[str], stems: Sequence[str], window: float
) -> tuple[dict[str, np.ndarray], list[str]]:
    """BSSEval of the sources that sound, NaN for the others; and what was left out."""
    table = song.table
    heard = [i for i in range(len(stems)) if not table.silent_references[i].all()]
    own = [stems.index(stem) for stem in estimated]
    scored = [
        row
        for row, source in enumerate(own)
        if source in heard and not table.silent_estimates[row].all()
    ]
    notes = [
        f"the reference of {stems[i]} is silent throughout; BSSEval leaves this source out"
        for i in range(len(stems))
        if i not in heard
    ]
    notes += [
        f"the estimate of {estimated[row]} is silent throughout; it has no BSSEval scores"
        for row, source in enumerate(own)
        if source in heard and row not in scored
    ]
    names = METRICS if song.correlations is not None else METRICS[:1]
    shape = (len(estimated), table.signal.shape[1])
    scores = {name: np.full(shape, np.nan) for name in names}
    if not scored:
        return scores, notes
    part = FrameTable(
        signal=table.signal[scored],
        error=table.error[scored],
        silent_references=table.silent_references[heard],
        silent_estimates=table.silent_estimates[scored],
    )
    found = {"SDR": sdr_of(part)}
    if song.correlations is not None:
        targets = tuple(heard.index(own[row]) for row in scored)
        correlations = song.correlations.finish().subset(heard, scored)
        found |= filtered_scores(
            lambda: _chosen(reader, heard, scored),
            correlations,
            targets,
            part.unscored(),
            window,
            window,
        )
    for name, values in found.items():
        scores[name][scored] = values
    return scores, notes


def _chosen(reader: PairReader, heard: list[int], scored: list[int]) -> Iterator[Pair]:
    for references, estimates in reader.blocks():
        yield references[heard], estimates[scored]
