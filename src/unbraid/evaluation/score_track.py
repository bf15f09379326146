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
from unbraid.evaluation.baselines import BASELINES, Baselines, Estimates, stems_of
from unbraid.evaluation.bss_eval import METRICS, filtered_scores, sdr_of
from unbraid.evaluation.correlations import CorrelationMeter
from unbraid.evaluation.frames import FrameMeter, Frames, FrameTable, Pair
from unbraid.evaluation.metrics import SongMeter
from unbraid.evaluation.pairs import MixtureReader, PairReader, TrackPair
from unbraid.evaluation.scores import StemScores, TrackScores, median

UNSTABLE = "ISR, SIR and SAR"
"""How a note about scores begins that say nothing."""
_AT_MOST = 2.0
"""Energy of the filtered references over that of an estimate; beyond, its scores say nothing."""


@dataclass(frozen=True)
class _Song:
    """What the first pass has found."""

    meter: SongMeter
    correlations: CorrelationMeter | None
    table: FrameTable


def score_track(
    pair: TrackPair, *, bsseval: bool = True, window_s: float = 1.0, baselines: bool = False
) -> TrackScores:
    """Score the estimates of one track.

    Args:
        pair: its files.
        bsseval: also ISR, SIR and SAR, which take most of the time; SDR in frames comes anyhow.
        window_s: length of a frame in seconds; frames do not overlap.
        baselines: also score what needs no model (`baselines`).
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
    rivals = _Rivals(pair, reader, targets, window) if baselines else None
    song = _first_pass(reader, targets, window, bsseval, rivals)
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
        notes=(*pair.notes, *reader.notes, *notes, *(rivals.notes() if rivals else ())),
        baselines=rivals.scores() if rivals else None,
    )


class _Meters:
    """Whole-song sums and frame energies of a song that comes in blocks.

    Args:
        targets: for each estimate, which reference is its own.
        window: samples in a frame.
    """

    def __init__(self, targets: Sequence[int], window: float) -> None:
        self._targets = list(targets)
        self._frames, self._table = Frames(window, window), FrameMeter(tuple(targets))
        self._song = SongMeter()

    def push(self, references: np.ndarray, estimates: np.ndarray) -> None:
        """Take the next samples."""
        self._song.push(references[self._targets], estimates)
        for frame in self._frames.push(references, estimates):
            self._table.add(*frame)

    def finish(self, correlations: CorrelationMeter | None = None) -> _Song:
        """What was found."""
        for frame in self._frames.finish():
            self._table.add(*frame)
        return _Song(self._song, correlations, self._table.finish())


class _Rivals:
    """Scores of all baselines on a track, measured along with those of its estimates."""

    def __init__(
        self, pair: TrackPair, reader: PairReader, targets: tuple[int, ...], window: float
    ) -> None:
        self._reader, self._window = reader, window
        self._stems, self._estimated = list(pair.references), list(pair.estimates)
        self._mixture = MixtureReader(pair, reader)
        self._signals = Baselines(self._stems, self._estimated, reader.sample_rate, reader.channels)
        self._meters = {
            name: _Meters([self._stems.index(stem) for stem in stems], window)
            for name in BASELINES
            if (stems := stems_of(name, self._estimated))
        }

    def push(self, references: np.ndarray, estimates: np.ndarray) -> None:
        """Take the next samples."""
        if self._mixture.problem is None:
            mixture = self._mixture.take(references)
            self._measure(self._signals.push(references, estimates, mixture))

    def notes(self) -> list[str]:
        """Why there are no baselines."""
        problem = self._mixture.problem
        return [] if problem is None else [f"no baselines: {problem}"]

    def scores(self) -> dict[str, dict[str, dict[str, float]]]:
        """Baseline -> stem -> score -> dB."""
        if self._mixture.problem is not None:
            return {}
        self._measure(self._signals.finish())
        return {name: self._scores(name, meters.finish()) for name, meters in self._meters.items()}

    def _measure(self, found: Iterator[tuple[np.ndarray, Estimates]]) -> None:
        for references, estimates in found:
            for name, meters in self._meters.items():
                meters.push(references, estimates[name])

    def _scores(self, name: str, song: _Song) -> dict[str, dict[str, float]]:
        stems = stems_of(name, self._estimated)
        frames, _ = _frame_scores(song, self._reader, stems, self._stems, self._window)
        nsdr, si_sdr = song.meter.nsdr(), song.meter.si_sdr()
        return {
            stem: {
                "nSDR": float(nsdr[row]),
                "SI-SDR": float(si_sdr[row]),
                "cSDR": median(frames["SDR"][row]),
            }
            for row, stem in enumerate(stems)
        }


def _first_pass(
    reader: PairReader,
    targets: tuple[int, ...],
    window: float,
    bsseval: bool,
    rivals: _Rivals | None,
) -> _Song:
    song = _Meters(targets, window)
    rows: CorrelationMeter | None = None
    for references, estimates in reader.blocks():
        if bsseval:
            rows = rows or CorrelationMeter(
                len(references) * reader.channels, len(estimates) * reader.channels, reader.channels
            )
            rows.push(references, estimates)
        song.push(references, estimates)
        if rivals is not None:
            rivals.push(references, estimates)
    return song.finish(rows)


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
        filtered, energy = filtered_scores(
            lambda: _chosen(reader, heard, scored),
            correlations,
            targets,
            part.unscored(),
            window,
            window,
        )
        found |= filtered
        notes += _doubts([estimated[row] for row in scored], energy)
    for name, values in found.items():
        scores[name][scored] = values
    return scores, notes


def _doubts(stems: Sequence[str], energy: np.ndarray) -> list[str]:
    """What to know where the filtered references are much louder than what they come near to."""
    named = ", ".join(stem for stem, ratio in zip(stems, energy, strict=True) if ratio > _AT_MOST)
    if not named:
        return []
    return [
        f"{UNSTABLE} of {named} say nothing: BSSEval has no stable filters for references "
        "that are nearly mono, nearly filtered versions of each other, or empty in some band"
    ]


def _chosen(reader: PairReader, heard: list[int], scored: list[int]) -> Iterator[Pair]:
    for references, estimates in reader.blocks():
        yield references[heard], estimates[scored]
