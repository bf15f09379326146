"""Bag: several models as one, with a weight for each stem of each. One model is a bag of one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from unbraid.errors import ModelError
from unbraid.models.base import ModelSpec, SeparationModel
from unbraid.shapes import Estimates, Mixture


class Bag:
    """Models whose estimates are averaged, stem by stem: sum_m w[m][k] * estimate / sum_m w[m][k].

    A bag is itself a `SeparationModel`. `apply_model` runs its members one after the other, each
    over the whole song with shifts of its own.

    Args:
        models: the members. With `spec` they are fetched from the sequence only when their turn
            comes and let go after, so a sequence that loads them from disk needs memory for one.
        weights: models x stems, finite and not negative; None for equal ones.
        segment_samples: the members' segment in place of their own, as public bags state it; never
            longer than the longest that each of them can take.
        spec: what all members are, or what each of them is; None to look at them now.
    Raises:
        ModelError: if the bag is empty, its members differ in stems, sample rate or channels, or
            the weights do not fit or leave a stem to nobody.
    """

    def __init__(
        self,
        models: Sequence[SeparationModel],
        weights: Sequence[Sequence[float]] | None = None,
        *,
        segment_samples: int | None = None,
        spec: ModelSpec | Sequence[ModelSpec] | None = None,
    ) -> None:
        if len(models) == 0:
            raise ModelError("a bag holds at least one model, got none")
        if segment_samples is not None and segment_samples < 1:
            raise ModelError(f"a bag's segment is 1 sample or longer, got {segment_samples}")
        self._models = models
        specs = _specs(models, spec)
        for index, other in enumerate(specs):
            _check_kin(specs[0], other, index)
        limits = [other.longest_samples for other in specs if other.longest_samples is not None]
        longest = min(limits, default=None)
        self._segments = tuple(
            min(segment_samples or other.segment_samples, longest or math.inf) for other in specs
        )
        self._specs = tuple(
            replace(other, segment_samples=int(samples), longest_samples=longest)
            for other, samples in zip(specs, self._segments, strict=True)
        )
        self._spec = self._specs[0]
        self._weights = _checked_weights(weights, len(models), self._spec.stems)

    @property
    def spec(self) -> ModelSpec:
        """Stems, sample rate, channels of all members; the first one's segment; the least limit."""
        return self._spec

    @property
    def specs(self) -> tuple[ModelSpec, ...]:
        """What each member is, with the segment that it is given in this bag."""
        return self._specs

    @property
    def weights(self) -> tuple[tuple[float, ...], ...]:
        """The weights, models x stems."""
        return self._weights

    @property
    def shares(self) -> tuple[tuple[float, ...], ...]:
        """The weights over their sum: each column adds up to 1."""
        totals = [math.fsum(column) for column in zip(*self._weights, strict=True)]
        return tuple(
            tuple(weight / total for weight, total in zip(row, totals, strict=True))
            for row in self._weights
        )

    @property
    def segments(self) -> tuple[int, ...]:
        """The length of segment that each member is meant for, in samples."""
        return tuple(int(samples) for samples in self._segments)

    def __len__(self) -> int:
        return len(self._models)

    def member(self, index: int) -> SeparationModel:
        """Fetch one model; it is not kept here beyond what the sequence of models keeps.

        Raises:
            ModelError: if it is not what the bag's `spec` says.
        """
        model = self._models[index]
        _check_kin(self._spec, model.spec, index)
        return model

    def valid_samples(self, samples: int) -> int:
        """Any length will do: members pad themselves when the whole bag is called at once."""
        return samples

    def __call__(self, mixture: Mixture) -> Estimates:
        """All members on the same mixture at once, without segments or shifts."""
        parts = []
        for index, shares in enumerate(self.shares):
            if any(shares):
                parts.append(self._share_of(self.member(index)(mixture), shares))
        return sum(parts[1:], start=parts[0])

    @staticmethod
    def _share_of(estimates: Estimates, shares: Sequence[float]) -> Estimates:
        if isinstance(estimates, np.ndarray):
            return estimates * np.asarray(shares, estimates.dtype)[:, None, None]
        return estimates * estimates.new_tensor(shares)[:, None, None]


def _specs(
    models: Sequence[SeparationModel], spec: ModelSpec | Sequence[ModelSpec] | None
) -> list[ModelSpec]:
    if spec is None:
        return [model.spec for model in models]
    specs = [spec] * len(models) if isinstance(spec, ModelSpec) else list(spec)
    if len(specs) != len(models):
        raise ModelError(f"a bag of {len(models)} models takes as many specs, got {len(specs)}")
    return specs


def _check_kin(first: ModelSpec, other: ModelSpec, index: int) -> None:
    for name in ("stems", "sample_rate", "channels"):
        ours, theirs = getattr(first, name), getattr(other, name)
        if ours != theirs:
            raise ModelError(
                f"the models of a bag share their {name}: {ours} here, "
                f"{theirs} in model {index + 1}"
            )


def _checked_weights(
    weights: Sequence[Sequence[float]] | None, members: int, stems: tuple[str, ...]
) -> tuple[tuple[float, ...], ...]:
    if weights is None:
        return tuple((1.0,) * len(stems) for _ in range(members))
    if len(weights) != members or any(len(row) != len(stems) for row in weights):
        raise ModelError(
            f"a bag of {members} models with {len(stems)} stems takes {members} rows of "
            f"{len(stems)} weights, got rows of {[len(row) for row in weights]}"
        )
    rows = tuple(tuple(float(weight) for weight in row) for row in weights)
    if not all(0 <= weight < math.inf for row in rows for weight in row):
        raise ModelError(f"the weights of a bag are finite and 0 or more, got {rows}")
    for stem, column in zip(stems, zip(*rows, strict=True), strict=True):
        if not any(column):
            raise ModelError(
                f"no model of the bag has a weight for {stem!r}; give one of them some"
            )
    return rows
