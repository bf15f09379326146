"""Per stem: models of different stems as one, each with the stems that it has.

    mixture ──┬─► model of vocals ─► vocals ─┐
              ├─► model of drums  ─► drums  ─┼─► estimates
              └─► model of bass   ─► bass   ─┘

For models that were trained and saved stem by stem. Networks that one run trains together, each for
a stem of its own, are `layers/stem_nets.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from unbraid.errors import ModelError
from unbraid.models.compose.composite import Composite, ManyModelsConfig
from unbraid.models.compose.namespace import namespace

MOST_MODELS = 64


@dataclass(frozen=True)
class PerStemConfig(ManyModelsConfig):
    """Models of different stems.

    Attributes:
        models: of one sample rate and number of channels; no two have a stem in common.
    """

    def __post_init__(self) -> None:
        if not 1 <= len(self.models) <= MOST_MODELS:
            raise ModelError(f"1 to {MOST_MODELS} models are joined, got {len(self.models)}")
        specs = self.specs
        for name in ("sample_rate", "channels", "normalize"):
            found = [getattr(spec, name) for spec in specs]
            if len(set(found)) > 1:
                raise ModelError(
                    f"models of different stems are joined if they have the same {name}, got "
                    f"{', '.join(map(str, found))}"
                )
        stems = [stem for spec in specs for stem in spec.stems]
        if twice := sorted({stem for stem in stems if stems.count(stem) > 1}):
            raise ModelError(
                f"two of the models have the stem {twice[0]!r}; models are joined if each has "
                "stems of its own (an ensemble combines several for one stem)"
            )


class PerStem(Composite):
    """Models of different stems, side by side."""

    _wanted: frozenset[str] | None = None

    def valid_samples(self, samples: int) -> int:
        """What all members compute on without padding; where they differ, each pads its own."""
        lengths = {int(member.valid_samples(samples)) for member in self.members.values()}
        return lengths.pop() if len(lengths) == 1 else samples

    def share(self, mixture: Any) -> dict[str, Any]:
        """Each model hears the whole mixture."""
        return {
            name: mixture for name in self.members if self._wanted is None or name in self._wanted
        }

    def join(self, mixture: Any, estimates: Mapping[str, Any]) -> Any:
        """All estimates in a row; stems that were not requested are silent."""
        silence = mixture[:, None] * 0
        parts = []
        for name, member in self.config.members.items():
            missing = [silence] * len(member.config.spec.stems)
            parts += [estimates[name]] if name in estimates else missing
        return namespace(mixture).concatenate(parts, 1)

    def narrow(self, stems: Collection[str]) -> PerStem:
        """The same, but only the models of these stems run."""
        narrow = PerStem(
            self.config,
            self.members,
            device=self._device,
            engine=self._engine,
            fingerprint=self._fingerprint,
        )
        kept = {n for n, m in self.config.members.items() if set(m.config.spec.stems) & set(stems)}
        narrow._wanted = frozenset(kept)
        return narrow
