"""Bag: several models as one, with a weight for each stem of each. One model is a bag of one."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

from unbraid.errors import ModelError
from unbraid.models.base import ModelSpec, SeparationModel, TensorModel
from unbraid.models.compose.composite import ManyModelsConfig, digest_of, engines_of
from unbraid.models.compose.namespace import namespace
from unbraid.models.limits import check_segment
from unbraid.shapes import Estimates, Mixture
from unbraid.words import counted

Rows = tuple[tuple[float, ...], ...]
"""Weights, models x stems."""


@dataclass(frozen=True)
class BagConfig(ManyModelsConfig):
    """What a bag is made of.

    Attributes:
        models: its members.
        weights: models x stems; None for equal ones.
        segment_s: the members' segment instead of their own, in seconds; no longer than each of
            them can take.
    """

    weights: Rows | None = None
    segment_s: float | None = None

    def __post_init__(self) -> None:
        if self.segment_s is not None and not 0 < self.segment_s < 1e5:
            raise ModelError(f"the segment of a bag is some seconds long, got {self.segment_s:g}")
        _Kept(self.specs, self.weights, self.segment_samples)

    @property
    def segment_samples(self) -> int | None:
        """The members' segment in samples, if the bag states it."""
        if self.segment_s is None or not self.models:
            return None
        return int(self.segment_s * self.models[0].config.spec.sample_rate)

    @property
    def spec(self) -> ModelSpec:
        """As of `Bag`."""
        return _Kept(self.specs, self.weights, self.segment_samples).specs[0]

    @property
    def facts(self) -> tuple[Rows, tuple[int, ...]]:
        """Weights and segments as they count, for a fingerprint."""
        kept = _Kept(self.specs, self.weights, self.segment_samples)
        return kept.weights, kept.segments


class Bag:
    """Models whose estimates are averaged, stem by stem: sum_m w[m][k] * estimate / sum_m w[m][k].

    A bag is itself a `SeparationModel`. `apply_model` runs its members one after the other, each
    over the whole song with shifts of its own.

    Args:
        models: the members. With `spec` they are fetched from the sequence only when their turn
            comes and released after it, so a sequence that loads them from disk needs memory for
            one.
        weights: models x stems, finite and not negative; None for equal ones.
        segment_samples: the members' segment instead of their own, as public bags state it.
        spec: what all members are, or what each of them is; None to look at them now.
        device, engine: where and by what the members run; None to look at them when asked.
        fingerprint: computes the digest of the members' weights; None to ask them.
    Raises:
        ModelError: if the bag is empty, its members differ in stems, sample rate or channels, or
            the weights do not fit or give a stem to no model.
        SegmentTooLong: if the segment is longer than one of the members can take.
    """

    def __init__(
        self,
        models: Sequence[SeparationModel | TensorModel],
        weights: Sequence[Sequence[float]] | None = None,
        *,
        segment_samples: int | None = None,
        spec: ModelSpec | Sequence[ModelSpec] | None = None,
        device: str | None = None,
        engine: str | None = None,
        fingerprint: Callable[[], str] | None = None,
    ) -> None:
        if len(models) == 0:
            raise ModelError("a bag holds at least one model, got none")
        self._models = models
        self._kept = _Kept(_specs(models, spec), weights, segment_samples)
        self._device, self._engine, self._fingerprint = device, engine, fingerprint
        self._wanted: frozenset[int] = frozenset(range(len(models)))

    @classmethod
    def of(
        cls,
        config: BagConfig,
        members: Mapping[str, Any],
        *,
        device: str | None = None,
        engine: str | None = None,
        fingerprint: Callable[[], str] | None = None,
    ) -> Bag:
        """The bag of a config; its members are fetched when their turn comes."""
        return cls(
            _Fetched(lambda index: members[str(index)], len(config.models)),
            config.weights,
            segment_samples=config.segment_samples,
            spec=[member.config.spec for member in config.models],
            device=device,
            engine=engine,
            fingerprint=fingerprint,
        )

    @property
    def spec(self) -> ModelSpec:
        """Stems, sample rate, channels of all members; the first one's segment; the least limit."""
        return self._kept.specs[0]

    @property
    def specs(self) -> tuple[ModelSpec, ...]:
        """What each member is, with the segment that it is given in this bag."""
        return self._kept.specs

    @property
    def weights(self) -> Rows:
        """The weights, models x stems."""
        return self._kept.weights

    @property
    def shares(self) -> Rows:
        """The weights over their sum: each column adds up to 1."""
        totals = [math.fsum(column) for column in zip(*self.weights, strict=True)]
        return tuple(
            tuple(
                weight / total if index in self._wanted else 0.0
                for weight, total in zip(row, totals, strict=True)
            )
            for index, row in enumerate(self.weights)
        )

    @property
    def segments(self) -> tuple[int, ...]:
        """The length of segment that each member is meant for, in samples."""
        return self._kept.segments

    @property
    def device(self) -> str:
        """Where its members compute."""
        if self._device is not None:
            return self._device
        member = self.member(0)
        return str(member.device) if isinstance(member, SeparationModel) else "cpu"

    @property
    def engine(self) -> str:
        """What runs its members."""
        if self._engine is not None:
            return self._engine
        members = map(self.member, range(len(self)))
        return engines_of(m.engine if isinstance(m, SeparationModel) else "torch" for m in members)

    def __len__(self) -> int:
        return len(self._models)

    def member(self, index: int) -> Any:
        """Fetch one model; it is not kept here beyond what the sequence of models keeps.

        Raises:
            ModelError: if it is not what the bag's `spec` says.
        """
        model = self._models[index]
        _check_kin(self.spec, model.spec, index)
        return model

    def mapped(self, function: Callable[[Any], SeparationModel]) -> Bag:
        """The same bag with something done to each member when it is fetched."""
        bag = Bag(
            _Fetched(lambda index: function(self.member(index)), len(self)),
            self.weights,
            spec=self.specs,
            device=self._device,
            engine=self._engine,
            fingerprint=self._fingerprint,
        )
        bag._wanted = self._wanted
        return bag

    def narrow(self, stems: Collection[str]) -> Bag:
        """The same without the members that have no weight for these stems."""
        bag = self.mapped(lambda member: member)
        bag._wanted = frozenset(
            index
            for index in self._wanted
            if any(
                w
                for w, stem in zip(self.weights[index], self.spec.stems, strict=True)
                if stem in stems
            )
        )
        return bag

    def valid_samples(self, samples: int) -> int:
        """Any length will do: members pad themselves when the whole bag is called at once."""
        return samples

    def take_back(self, estimates: Any) -> None:
        """Does nothing: the caller that runs the members returns their memory to them."""

    def pass_bytes(self, samples: int) -> int:
        """Memory of one pass of its first member; they run one after the other."""
        return int(self.member(0).pass_bytes(samples))

    def fingerprint(self) -> str:
        """A digest of the members' weights, and of theirs in the bag; hexadecimal."""
        if self._fingerprint is not None:
            return self._fingerprint()
        members = [self.member(index).fingerprint() for index in range(len(self))]
        return digest_of(self, self.spec, self.weights, self.segments, members)

    def __call__(self, mixture: Mixture) -> Estimates:
        """All members on the same mixture at once, without segments or shifts."""
        parts: list[Any] = []
        for index, shares in enumerate(self.shares):
            if any(shares):
                estimates = self.member(index)(mixture)
                factors = namespace(estimates).constant(shares, estimates)
                parts.append(estimates * factors[:, None, None])
        total: Estimates = sum(parts[1:], start=parts[0])
        return total


class _Fetched(Sequence[Any]):
    """A sequence that makes an item at each access and keeps none."""

    def __init__(self, fetch: Callable[[int], Any], count: int) -> None:
        self._fetch, self._count = fetch, count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(self._count))]
        if not 0 <= index < self._count:
            raise IndexError(index)
        return self._fetch(index)


class _Kept:
    """What a bag makes of its members' specs: checked weights, segments, limits."""

    def __init__(
        self,
        specs: Sequence[ModelSpec],
        weights: Sequence[Sequence[float]] | None,
        segment_samples: int | None,
    ) -> None:
        if not specs:
            raise ModelError("a bag holds at least one model, got none")
        if segment_samples is not None and segment_samples < 1:
            raise ModelError(f"a bag's segment is 1 sample or longer, got {segment_samples}")
        for index, other in enumerate(specs):
            _check_kin(specs[0], other, index)
            check_segment(
                segment_samples or 0, other, "give the bag a shorter segment, or leave it out"
            )
        limits = [other.longest_samples for other in specs if other.longest_samples is not None]
        longest = min(limits, default=None)
        self.segments = tuple(
            int(min(segment_samples or other.segment_samples, longest or math.inf))
            for other in specs
        )
        self.specs = tuple(
            replace(other, segment_samples=samples, longest_samples=longest)
            for other, samples in zip(specs, self.segments, strict=True)
        )
        self.weights = _checked_weights(weights, len(specs), specs[0].stems)


def _specs(
    models: Sequence[SeparationModel | TensorModel], spec: ModelSpec | Sequence[ModelSpec] | None
) -> list[ModelSpec]:
    if spec is None:
        return [model.spec for model in models]
    specs = [spec] * len(models) if isinstance(spec, ModelSpec) else list(spec)
    if len(specs) != len(models):
        raise ModelError(
            f"a bag of {counted(len(models), 'model')} takes as many specs, got {len(specs)}"
        )
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
            f"a bag of {counted(members, 'model')} with {counted(len(stems), 'stem')} takes "
            f"{counted(members, 'row')} of {counted(len(stems), 'weight')}, "
            f"got rows of {[len(row) for row in weights]}"
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
