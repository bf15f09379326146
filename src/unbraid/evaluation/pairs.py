"""References and the estimates that belong to them: found by name, read side by side.

The rules:
- Tracks pair by their path below the two folders, stems by file name, whatever the format.
- References set the length: a shorter estimate is followed by zeros, a longer one is cut.
- References set the sample rate: an estimate at another one is resampled to it.
- A mono estimate is put on all channels of its reference; any other difference is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from unbraid.audio.files import AudioInfo, probe, read_blocks
from unbraid.audio.resample import resample_blocks
from unbraid.data.tracks import Track, part_name
from unbraid.errors import AudioReadError, EvaluationError, SettingsError
from unbraid.evaluation.frames import Pair
from unbraid.words import counted

_BLOCK_SAMPLES = 1 << 16


@dataclass(frozen=True)
class TrackPair:
    """The files of one track.

    Attributes:
        name: of the track.
        references: stem to file, all that the track has.
        estimates: stem to file, only stems that have a reference.
        mixture: its file, if there is one.
        notes: what a reader of the scores should know, in sentences.
        problem: why it cannot be scored; None for all others.
    """

    name: str
    references: dict[str, Path]
    estimates: dict[str, Path] = field(default_factory=dict)
    mixture: Path | None = None
    notes: tuple[str, ...] = ()
    problem: str | None = None


def pair_tracks(
    references: Sequence[Track], estimates: Sequence[Track], stems: Sequence[str] | None = None
) -> list[TrackPair]:
    """Pair tracks by name; where there is just one of each, its name does not matter.

    Args:
        references, estimates: as `data.tracks.find_tracks` gives them.
        stems: estimates to score; None: of every stem that the references have.
    Raises:
        SettingsError: if no track is in both.
    """
    found = {track.name: track for track in estimates}
    if len(references) == len(estimates) == 1:
        found = {references[0].name: estimates[0]}
    if not found.keys() & {track.name for track in references}:
        raise SettingsError(
            "no track has a folder of the same name in both: references have "
            f"{_some([t.name for t in references])}, "
            f"estimates have {_some([t.name for t in estimates])}"
        )
    return [_pair(track, found.get(track.name), stems) for track in references]


def left_over(references: Sequence[Track], estimates: Sequence[Track]) -> list[str]:
    """Tracks of the estimates that have no references."""
    if len(references) == len(estimates) == 1:
        return []
    known = {track.name for track in references}
    return [track.name for track in estimates if track.name not in known]


def _pair(reference: Track, estimate: Track | None, stems: Sequence[str] | None) -> TrackPair:
    pair = TrackPair(reference.name, reference.stems)
    wanted = list(reference.stems if stems is None else map(part_name, stems))
    problem = reference.problem
    if not reference.stems and problem is None:
        problem = "its folder of references holds only the mixture"
    elif estimate is None:
        problem = problem or "no folder of estimates for it"
    if estimate is None or problem is not None:
        return TrackPair(pair.name, pair.references, problem=problem)
    unknown = [stem for stem in wanted if stem not in reference.stems]
    missing = [stem for stem in wanted if stem not in estimate.stems]
    if estimate.problem is not None:
        problem = f"among its estimates {estimate.problem}"
    elif unknown:
        problem = f"there is no reference of {', '.join(unknown)}; it has {_some(reference.stems)}"
    elif missing:
        problem = (
            f"there is no estimate of {', '.join(missing)} in {str(estimate.folder)!r}; "
            "name the stems to score with --stems to do without"
        )
    if problem is not None:
        return TrackPair(pair.name, pair.references, problem=problem)
    extra = [stem for stem in estimate.stems if stem not in reference.stems]
    notes = (f"no reference for the estimate of {', '.join(extra)}; left out",) if extra else ()
    chosen = {stem: estimate.stems[stem] for stem in reference.stems if stem in wanted}
    return TrackPair(pair.name, pair.references, chosen, reference.mixture, notes)


class PairReader:
    """Reads a track's references and estimates together, in blocks, as often as needed.

    Args:
        pair: a pair without a problem.
    Raises:
        AudioReadError: if a file cannot be read.
        EvaluationError: if channels or rates do not fit.
    """

    def __init__(self, pair: TrackPair) -> None:
        self._references = {stem: probe(path) for stem, path in pair.references.items()}
        self._estimates = {stem: probe(path) for stem, path in pair.estimates.items()}
        rates = _distinct(info.sample_rate for info in self._references.values())
        widths = _distinct(info.channels for info in self._references.values())
        for what, values in (("sample rates", rates), ("numbers of channels", widths)):
            if len(values) > 1:
                raise EvaluationError(
                    f"its references have different {what}, {values[0]} and {values[1]}; "
                    "they must be alike"
                )
        self.sample_rate, self.channels = rates[0], widths[0]
        self.samples = 0
        self.notes: tuple[str, ...] = ()
        for stem, info in self._estimates.items():
            if info.channels not in (1, self.channels):
                raise EvaluationError(
                    f"the estimate of {stem} has {info.channels} channels and its reference "
                    f"{self.channels}; they must be alike, or the estimate mono"
                )

    def blocks(self) -> Iterator[Pair]:
        """The track from its start: references and estimates, (stems, channels, samples).

        When it has ended, `samples` is its length, and `notes` lists what had to be adapted.
        """
        references = [_Stream(info, self) for info in self._references.values()]
        estimates = [_Stream(info, self) for info in self._estimates.values()]
        samples = 0
        while True:
            pieces = [stream.take(_BLOCK_SAMPLES) for stream in references]
            count = max(piece.shape[1] for piece in pieces)
            if count == 0:
                break
            samples += count
            guesses = [stream.take(count) for stream in estimates]
            yield _stacked(pieces, count), _stacked(guesses, count)
        self.samples = samples
        self.notes = tuple(self._adapted(references, estimates, samples))

    def _adapted(
        self, references: list[_Stream], estimates: list[_Stream], samples: int
    ) -> Iterator[str]:
        for stem, stream in zip(self._references, references, strict=True):
            if stream.taken < samples:
                yield (
                    f"the reference of {stem} ends {samples - stream.taken} samples before the "
                    "longest; followed by zeros"
                )
        for (stem, info), stream in zip(self._estimates.items(), estimates, strict=True):
            more = stream.taken + stream.drain() - samples
            if info.sample_rate != self.sample_rate:
                yield (
                    f"the estimate of {stem} was resampled from {info.sample_rate} Hz to the "
                    f"reference's {self.sample_rate} Hz"
                )
            if info.channels != self.channels:
                yield f"the mono estimate of {stem} was put on all {self.channels} channels"
            if more > 0:
                yield f"the estimate of {stem} is {more} samples longer than its reference; cut"
            elif more < 0:
                yield (
                    f"the estimate of {stem} is {-more} samples shorter than its reference; "
                    "followed by zeros"
                )


class MixtureReader:
    """The mixture of a track, at the same time as the blocks of its `PairReader`.

    Attributes:
        problem: why there is no mixture, None if there is.
    """

    def __init__(self, pair: TrackPair, reader: PairReader) -> None:
        self._stream: _Stream | None = None
        self.problem: str | None = None
        if pair.mixture is None:
            if len(pair.references) == 1:
                self.problem = "there is neither a mixture nor a second reference"
            return
        try:
            info = probe(pair.mixture)
        except AudioReadError as error:
            self.problem = f"the mixture cannot be read: {error}"
            return
        if info.channels in (1, reader.channels):
            self._stream = _Stream(info, reader)
        else:
            found = counted(info.channels, "channel")
            self.problem = f"the mixture has {found}, stems {reader.channels}"

    def take(self, references: np.ndarray) -> np.ndarray:
        """The mixture (channels, samples) of a block of references; their sum without a file."""
        mixture: np.ndarray = references.sum(axis=0)
        if self._stream is not None:
            try:
                (mixture,) = _stacked([self._stream.take(mixture.shape[-1])], mixture.shape[-1])
            except AudioReadError as error:
                self.problem = f"the mixture cannot be read: {error}"
        return mixture


class _Stream:
    """A file at a rate and width of our choice, taken in pieces of any length."""

    def __init__(self, info: AudioInfo, wanted: PairReader) -> None:
        blocks = read_blocks(info.path)
        self._blocks = resample_blocks(blocks, info.sample_rate, wanted.sample_rate, info.channels)
        self._width = wanted.channels
        self._held = np.empty((info.channels, 0), np.float32)
        self.taken = 0

    def take(self, count: int) -> np.ndarray:
        """The next `count` samples, fewer at the end."""
        pieces, held = [self._held], self._held.shape[1]
        while held < count:
            block = next(self._blocks, None)
            if block is None:
                break
            pieces.append(block)
            held += block.shape[1]
        joined = np.concatenate(pieces, axis=1) if len(pieces) > 1 else pieces[0]
        self._held = joined[:, count:]
        piece = joined[:, :count]
        self.taken += piece.shape[1]
        return np.broadcast_to(piece, (self._width, piece.shape[1]))

    def drain(self) -> int:
        """How many samples are left."""
        return int(self._held.shape[1]) + int(sum(block.shape[1] for block in self._blocks))


def _stacked(pieces: list[np.ndarray], count: int) -> np.ndarray:
    stacked = np.zeros((len(pieces), len(pieces[0]), count))
    for row, piece in zip(stacked, pieces, strict=True):
        row[:, : piece.shape[1]] = piece
    return stacked


def _distinct(values: Iterable[int]) -> list[int]:
    return list(dict.fromkeys(values))


def _some(names: Iterable[str]) -> str:
    shown = [repr(name) for name in names]
    return (
        ", ".join(shown[:3]) + (f" and {len(shown) - 3} more" if len(shown) > 3 else "") or "none"
    )
