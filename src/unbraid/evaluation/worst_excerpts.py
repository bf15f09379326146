"""The worst seconds of an evaluation, to hear what a low score sounds like."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unbraid.audio.files import probe
from unbraid.errors import AudioReadError
from unbraid.evaluation.scores import StemScores, TrackScores
from unbraid.pages.previews import encode_excerpt, read_spans

SECONDS = 6.0


@dataclass(frozen=True)
class Excerpt:
    """A stretch of an estimate that scored badly.

    Attributes:
        track, stem: of what.
        start_s, seconds: where.
        sdr: mean over its frames, dB.
    """

    track: str
    stem: str
    start_s: float
    seconds: float
    sdr: float


def worst_excerpts(tracks: Sequence[TrackScores], each: int = 2) -> list[Excerpt]:
    """For each stem the worst stretch of the `each` tracks that have the worst stretches.

    A stretch is some six seconds of frames that all have a score; its score is their mean SDR.
    """
    found: dict[str, list[Excerpt]] = {}
    for track in tracks:
        for stem, values in track.stems.items():
            excerpt = _worst_of(track, stem, values)
            if excerpt is not None:
                found.setdefault(stem, []).append(excerpt)
    return [
        excerpt
        for excerpts in found.values()
        for excerpt in sorted(excerpts, key=lambda e: (e.sdr, e.track))[:each]
    ]


def excerpt_sounds(track: TrackScores, excerpt: Excerpt) -> dict[str, bytes]:
    """Previews of the mixture (the sum of the references), the reference and the estimate.

    Files that no longer exist are left out.
    """
    references = {s: Path(path) for s, path in track.files.get("references", {}).items()}
    estimates = {s: Path(path) for s, path in track.files.get("estimates", {}).items()}
    sounds = {}
    pieces = {stem: _piece(path, excerpt) for stem, path in references.items()}
    known = [piece for piece in pieces.values() if piece is not None]
    if references and len(known) == len(references) and len({p[1] for p in known}) == 1:
        samples = min(piece.shape[1] for piece, _ in known)
        total = np.sum([piece[:, :samples] for piece, _ in known], axis=0)
        sounds["mixture"] = encode_excerpt(total, known[0][1])
    for name, piece in (
        ("reference", pieces.get(excerpt.stem)),
        (
            "estimate",
            _piece(estimates[excerpt.stem], excerpt) if excerpt.stem in estimates else None,
        ),
    ):
        if piece is not None:
            sounds[name] = encode_excerpt(*piece)
    return sounds


def _worst_of(track: TrackScores, stem: str, values: StemScores) -> Excerpt | None:
    frames = values.frames.get("SDR", np.zeros(0))
    width = max(1, min(math.ceil(SECONDS / track.hop_s), len(frames)))
    if len(frames) < width:
        return None
    means = np.convolve(frames, np.full(width, 1 / width), "valid")
    if not np.isfinite(means).any():
        return None
    first = int(np.nanargmin(np.where(np.isfinite(means), means, np.nan)))
    sdr = float(np.mean(frames[first : first + width]))
    return Excerpt(track.name, stem, first * track.hop_s, width * track.hop_s, sdr)


def _piece(path: Path, excerpt: Excerpt) -> tuple[np.ndarray, int] | None:
    try:
        rate = probe(path).sample_rate
        span = (round(excerpt.start_s * rate), round(excerpt.seconds * rate))
        (piece,) = read_spans(path, [span])
    except AudioReadError:
        return None  # the estimates of a model are often gone; the page says so
    return (piece, rate) if piece.shape[1] else None
