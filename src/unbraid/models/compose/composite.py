"""What all models made of models share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from unbraid.errors import ModelError
from unbraid.models.base import ModelSpec, SeparationModel
from unbraid.models.registry import Member


@dataclass(frozen=True)
class OneModelConfig:
    """What configs of one model, whose stems, sample rate and channels stay, have in common.

    Attributes:
        model: the model.
    """

    model: Member

    @property
    def members(self) -> dict[str, Member]:
        """The one model, under the name "model"."""
        return {"model": self.model}

    @property
    def spec(self) -> ModelSpec:
        """That of the model."""
        spec: ModelSpec = self.model.config.spec
        return spec


@dataclass(frozen=True)
class ManyModelsConfig:
    """What configs of a list of models have in common.

    Attributes:
        models: of one sample rate and number of channels.
    """

    models: tuple[Member, ...]

    @property
    def members(self) -> dict[str, Member]:
        """The models, by their numbers."""
        return {str(number): member for number, member in enumerate(self.models)}

    @property
    def specs(self) -> list[ModelSpec]:
        """What each of them is."""
        return [member.config.spec for member in self.models]

    @property
    def spec(self) -> ModelSpec:
        """All stems, in the order in which they come; the longest segment that all can take."""
        specs = self.specs
        longest = min((s.longest_samples for s in specs if s.longest_samples), default=None)
        segment = max(spec.segment_samples for spec in specs)
        return replace(
            specs[0],
            stems=tuple(dict.fromkeys(stem for spec in specs for stem in spec.stems)),
            segment_samples=segment if longest is None else min(segment, longest),
            longest_samples=longest,
        )


def with_members(config: Any, members: Mapping[str, Member]) -> Any:
    """The same config with other members: fields of these names, or a list if they are numbers."""
    if all(name.isdecimal() for name in members):
        return replace(config, models=tuple(members.values()))
    return replace(config, **members)


class Composite:
    """A model made of models, itself a `SeparationModel`. Written once for arrays and tensors.

    A subclass whose members can all start at once defines `share` and `join`; one whose members
    need each other's estimates defines `__call__`.

    Args:
        config: with `members`, name -> `Member`, and `spec`.
        members: the models by the same names.
        device, engine: where and by what the members run; None to ask them.
        fingerprint: computes the digest of the weights; None to ask the members.
    """

    def __init__(
        self,
        config: Any,
        members: Mapping[str, Any],
        *,
        device: str | None = None,
        engine: str | None = None,
        fingerprint: Callable[[], str] | None = None,
    ) -> None:
        self.config = config
        self.members: dict[str, Any] = {name: members[name] for name in config.members}
        self._device, self._engine, self._fingerprint = device, engine, fingerprint

    @classmethod
    def of(cls, config: Any, members: Mapping[str, Any], **options: Any) -> Any:
        """The model for a config and its members; options as above."""
        return cls(config, members, **options)

    @property
    def spec(self) -> ModelSpec:
        """As the config states it."""
        spec: ModelSpec = self.config.spec
        return spec

    @property
    def device(self) -> str:
        """Where its members compute."""
        return self._device or str(next(iter(self.members.values())).device)

    @property
    def engine(self) -> str:
        """What runs its members."""
        if self._engine is not None:
            return self._engine
        return engines_of(member.engine for member in self.members.values())

    def valid_samples(self, samples: int) -> int:
        """That of its first member."""
        valid: int = next(iter(self.members.values())).valid_samples(samples)
        return valid

    def __call__(self, mixture: Any) -> Any:
        """Separate songs: (b c t) -> (b s c t), arrays or tensors alike."""
        shares = self.share(mixture)
        return self.join(mixture, {name: self.members[name](x) for name, x in shares.items()})

    def share(self, mixture: Any) -> dict[str, Any]:
        """What each member hears of a mixture, in the order in which they run.

        Raises:
            ModelError: if that depends on other members' estimates.
        """
        raise ModelError(
            f"{type(self).__name__} runs its members one after the other, which is not a single "
            "graph; export them one by one"
        )

    def join(self, mixture: Any, estimates: Mapping[str, Any]) -> Any:
        """The estimates of the whole from those of its members."""
        raise NotImplementedError

    def member_samples(self, samples: int) -> dict[str, int]:
        """How many samples each member sees of `samples`."""
        return dict.fromkeys(self.members, samples)

    def take_back(self, estimates: Any) -> None:
        """What is joined is made of fresh memory."""

    def pass_bytes(self, samples: int) -> int:
        """Memory of one pass over `samples`: that of all members, and the estimates once more."""
        own = 4 * samples * self.spec.channels * len(self.spec.stems)
        seen = self.member_samples(samples)
        return own + sum(
            int(member.pass_bytes(seen[name])) for name, member in self.members.items()
        )

    def fingerprint(self) -> str:
        """A digest of config and weights, hexadecimal."""
        if self._fingerprint is not None:
            return self._fingerprint()
        return digest_of(self, self.config, [m.fingerprint() for m in self.members.values()])

    def narrow(self, stems: Collection[str]) -> SeparationModel:
        """Itself: all members are needed for any stem."""
        return self


def engines_of(words: Iterable[str]) -> str:
    """What runs several models, each engine named once.

    >>> engines_of(["native kernels", "native kernels"])
    'native kernels'
    """
    return "; ".join(dict.fromkeys(words))


def digest_of(model: object, *facts: object) -> str:
    """A digest of a model's class and of the `repr` of facts about it, hexadecimal."""
    text = f"{type(model).__qualname__} {' '.join(map(repr, facts))}"
    return hashlib.sha256(text.encode()).hexdigest()
