"""Candidates on whole tracks, through the same engine as `unbraid separate`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unbraid.data.indexed_track import IndexedTrack
from unbraid.data.whole_tracks import read_mixture, read_sources
from unbraid.evaluation.baselines import PROCESSING, by_signal_processing
from unbraid.evaluation.metrics import nsdr
from unbraid.separation.engine import apply_model
from unbraid.shapes import Float, Mixture, Sources
from unbraid.training.config import Recipe, ValidationRecipe
from unbraid.training.datasets import RunData
from unbraid.training.distributed import Team
from unbraid.training.domain_losses import training_losses
from unbraid.training.ema import weights_of
from unbraid.training.losses import stem_weights, weighted_loss
from unbraid.training.start import as_separation_model

Weights = Mapping[str, Tensor] | None
"""A candidate: entries that replace the model's own; None for the model itself."""

KeepEstimates = Callable[[str, str, Sources, Sources], None]
"""Called with candidate, track, sources and estimates (1, stems, channels, samples)."""

_SILENT = 1e-4  # of the mixture's level: -80 dB


@dataclass(frozen=True)
class CandidateScore:
    """The scores of a candidate: means over tracks.

    Attributes:
        name: "weights", or "average 0.9995 (steps)".
        loss: of the recipe's kind and weights.
        nsdr: mean over stems, dB.
        stems: nSDR of each stem, dB, over the tracks where its reference sounds; a stem that is
            silent in all of them is left out.
    """

    name: str
    loss: float
    nsdr: float
    stems: dict[str, float]

    def rank(self, metric: str) -> float:
        """Higher is better."""
        return self.nsdr if metric == "nsdr" else -self.loss

    def plain(self) -> dict[str, Any]:
        """In a form for JSON."""
        return {"name": self.name, "loss": self.loss, "nsdr": self.nsdr, "stems": self.stems}


class Interrupted(Exception):
    """A request to stop during a validation; nothing has changed."""


def validate(
    model: nn.Module,
    candidates: Mapping[str, Weights],
    data: RunData,
    recipe: Recipe,
    team: Team,
    *,
    stop_asked: Callable[[], bool] = lambda: False,
    on_track: Callable[[int, int], None] = lambda done, total: None,
    keep: KeepEstimates | None = None,
    processing: bool = False,
) -> list[CandidateScore]:
    """Score every candidate on all validation tracks, divided among the team.

    Args:
        processing: also score signal processing, which needs no model.
    Returns:
        in the order of `candidates`, then signal processing; the same in every process.
    Raises:
        Interrupted: in every process, if one of them has to stop.
    """
    mine = range(team.rank, len(data.validation), team.size)
    rows: dict[int, list[list[float]]] = {}
    for done, number in enumerate(mine):
        if stop_asked():
            break
        track = data.validation[number]
        mixture, sources = read_validation(track, data, recipe)
        rows[number] = []
        for name, values in candidates.items():
            with weights_of(model, values):
                estimates = _separate(model, mixture, recipe.validation)
            rows[number].append(_score(estimates, sources, recipe, data.stems))
            if keep is not None and number < recipe.validation.samples:
                keep(name, track.name, sources, estimates)
        if processing:
            rows[number].append(_score(_processed(mixture, data), sources, recipe, data.stems))
        on_track(done + 1, len(mine))
    gathered = team.gather((rows, len(rows) < len(mine)))
    if any(stopped for _, stopped in gathered):
        raise Interrupted
    everything = {number: row for part, _ in gathered for number, row in part.items()}
    # (tracks, candidates, loss and stems), in the order of the tracks, however they were divided.
    table = np.asarray([everything[number] for number in sorted(everything)], np.float64)
    return [
        _candidate_score(name, table[:, number], data.stems)
        for number, name in enumerate([*candidates, *[PROCESSING] * processing])
    ]


def read_validation(track: IndexedTrack, data: RunData, recipe: Recipe) -> tuple[Mixture, Sources]:
    """A whole track, normalized as training excerpts are: (1, c, t) and (1, s, c, t).

    The mixture is its file if the model has all stems of the track; else it is the sum of the
    model's stems, as in training.
    """
    sources = read_sources(track, data.stems, data.sample_rate, data.channels, data.cache)
    if set(track.stems) <= set(data.stems):
        mixture = read_mixture(track, data.sample_rate, data.channels, data.cache)
    else:
        mixture = sources.sum(0)
    if recipe.validation.longest_s:
        longest = max(1, int(recipe.validation.longest_s * data.sample_rate))
        sources, mixture = sources[..., :longest], mixture[..., :longest]
    if recipe.excerpts.normalize:
        std = track.std if track.std > 0 else 1.0
        sources, mixture = (sources - track.mean) / std, (mixture - track.mean) / std
    return mixture[None], sources[None]


def best_candidate(scores: Sequence[CandidateScore], metric: str) -> CandidateScore:
    """The best by "loss" or "nsdr"; of equals the first. NaN is worst."""

    def rank(score: CandidateScore) -> float:
        value = score.rank(metric)
        return value if value == value else float("-inf")

    return max(scores, key=rank)


def _separate(model: nn.Module, mixture: Mixture, recipe: ValidationRecipe) -> Sources:
    return apply_model(as_separation_model(model), mixture, recipe.separation)


def _processed(mixture: Mixture, data: RunData) -> Sources:
    """What a model should at least be better than; silence for stems that it has no idea of."""
    estimates = by_signal_processing(mixture[0].numpy(), data.stems, data.sample_rate)
    return torch.from_numpy(estimates)[None]


def _score(
    estimates: Sources, sources: Sources, recipe: Recipe, stems: Sequence[str]
) -> list[float]:
    """The loss, then the nSDR of each stem; it is NaN where the stem is silent."""
    if not torch.isfinite(estimates).all():
        return [float("nan")] * (1 + len(stems))
    losses = training_losses(estimates, sources, recipe.loss)
    loss = weighted_loss(losses, stem_weights(recipe.loss, stems))
    scores = nsdr(sources[0].numpy(), estimates[0].numpy())
    silent = sources[0].std(dim=(-2, -1)) < _SILENT * sources[0].sum(0).std()
    return [
        float(loss),
        *(float("nan") if s else float(v) for s, v in zip(silent, scores, strict=True)),
    ]


def _candidate_score(
    name: str, rows: Float[np.ndarray, "tracks values"], stems: Sequence[str]
) -> CandidateScore:
    """Means over the tracks; each stem over those where it sounds, and left out if none has it."""
    loss = float(rows[:, 0].mean())
    broken = loss != loss
    by_stem = {}
    for stem, values in zip(stems, rows[:, 1:].T, strict=True):
        heard = values if broken else values[~np.isnan(values)]
        if len(heard):
            by_stem[stem] = float(heard.mean())
    score = float(np.mean([*by_stem.values()])) if by_stem else float("nan")
    return CandidateScore(name, loss, score, by_stem)
