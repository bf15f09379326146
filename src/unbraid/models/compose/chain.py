"""Chain: a first model gives some stems, the next gets the mixture without them, and so on.

    mixture ─┬─► link 0 ─► vocals ──────────────────────────────► vocals
             └──── minus vocals ─► link 1 ─► drums, bass, other ─► drums, bass, other

The stems add up to the mixture when those of the last link add up to what it gets. So people get
their best results: each stem from the model that knows it best.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from unbraid.errors import ModelError
from unbraid.models.base import ModelSpec, SeparationModel
from unbraid.models.compose.composite import Composite
from unbraid.models.compose.namespace import namespace
from unbraid.models.registry import Member

MOST_LINKS = 16


@dataclass(frozen=True)
class ChainConfig:
    """What a chain is made of.

    Attributes:
        links: the models in the order in which they run.
        stems: for each link the stems that are taken from it; an empty tuple stands for all that it
            has. A stem that several links give is the sum of theirs.

    Raises:
        ModelError: if there are no links, they differ in sample rate or channels, or a link does
            not have the stems that are taken from it.
    """

    links: tuple[Member, ...]
    stems: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.links) <= MOST_LINKS or len(self.links) != len(self.stems):
            raise ModelError(
                f"a chain has 1 to {MOST_LINKS} links and a list of stems for each, got "
                f"{len(self.links)} and {len(self.stems)}"
            )
        first = self.links[0].config.spec
        for number, link in enumerate(self.links):
            spec = link.config.spec
            for name in ("sample_rate", "channels"):
                ours, theirs = getattr(first, name), getattr(spec, name)
                if ours != theirs:
                    raise ModelError(
                        f"the links of a chain share their {name}: {ours} here, {theirs} in link "
                        f"{number + 1}"
                    )
            taken = self.stems[number]
            if missing := [stem for stem in taken if stem not in spec.stems]:
                raise ModelError(
                    f"link {number + 1} of the chain has no stem {missing[0]!r:.80}; it has "
                    f"{', '.join(spec.stems)}"
                )
            if len(set(taken)) != len(taken):
                raise ModelError(f"link {number + 1} of the chain gives a stem twice: {taken}")

    @property
    def members(self) -> dict[str, Member]:
        """The links, by their numbers."""
        return {str(number): link for number, link in enumerate(self.links)}

    @property
    def given(self) -> tuple[tuple[str, ...], ...]:
        """For each link the stems that are taken from it."""
        pairs = zip(self.links, self.stems, strict=True)
        return tuple(taken or link.config.spec.stems for link, taken in pairs)

    @property
    def spec(self) -> ModelSpec:
        """All stems, those of the last link first; the shortest of the links' segments."""
        specs = [link.config.spec for link in self.links]
        limits = [spec.longest_samples for spec in specs if spec.longest_samples is not None]
        return ModelSpec(
            stems=tuple(dict.fromkeys(stem for taken in reversed(self.given) for stem in taken)),
            sample_rate=specs[0].sample_rate,
            channels=specs[0].channels,
            segment_samples=min([*limits, *(spec.segment_samples for spec in specs)]),
            longest_samples=min(limits, default=None),
        )


class Chain(Composite):
    """Models one after the other, each on what the ones before it left."""

    def __init__(self, config: ChainConfig, members: Mapping[str, Any], **options: Any) -> None:
        super().__init__(config, members, **options)
        self._options = options
        # What is not taken from a link need not be computed, where the link can do without.
        for (name, link), given in zip(self.members.items(), config.given, strict=True):
            if isinstance(link, SeparationModel) and set(given) != set(link.spec.stems):
                self.members[name] = link.narrow(given)

    def __call__(self, mixture: Any) -> Any:
        """Separate songs: (b c t) -> (b s c t), arrays or tensors alike."""
        rest, found = mixture, dict[str, Any]()
        for link, given in zip(self.members.values(), self.config.given, strict=False):
            estimates, rows = link(rest), link.spec.stems
            for stem in given:
                estimate = estimates[:, rows.index(stem)]
                found[stem] = found[stem] + estimate if stem in found else estimate
                rest = rest - estimate
        silence = rest - rest
        ordered = [found.get(stem, silence) for stem in self.spec.stems]
        return namespace(mixture).stack(ordered, 1)

    def share(self, mixture: Any) -> dict[str, Any]:
        """What a link hears follows from the estimates before it.

        Raises:
            ModelError: always.
        """
        raise ModelError(
            "a chain cannot be exported as one graph: its links run one after the other; "
            "export each of them"
        )

    def narrow(self, stems: Collection[str]) -> Chain:
        """The links up to the last one that gives any of these stems; the last one is narrow."""
        given = self.config.given
        wanted = [number for number, taken in enumerate(given) if set(taken) & set(stems)]
        last = min(max(wanted, default=0), len(self.members) - 1)
        names = list(self.members)[: last + 1]
        kept = {name: self.members[name] for name in names}
        narrowed = {names[-1]: kept[names[-1]].narrow(set(stems) & set(given[last]))}
        chain = Chain(self.config, self.members, **self._options)
        chain.members = kept | narrowed
        return chain

    def pass_bytes(self, samples: int) -> int:
        """Memory of one pass: links run one after the other; the estimates wait."""
        own = 4 * samples * self.spec.channels * (len(self.spec.stems) + 2)
        return own + max(int(link.pass_bytes(samples)) for link in self.members.values())
