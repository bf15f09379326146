"""A model made of models as one network of torch, to be trained, saved and exported."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from unbraid.models.base import ModelSpec
from unbraid.models.compose.composite import with_members
from unbraid.models.network import GraphPart, Network
from unbraid.models.registry import Member, build_network, composite_class
from unbraid.shapes import Estimates, Mixture


class ComposedNetwork(Network):
    """The members of a composite as submodules, so that weights are named MEMBER.WEIGHT.

    Their estimates are combined by the composite, as for every engine.
    """

    def __init__(self, architecture: str, config: Any) -> None:
        super().__init__()
        self.architecture, self.config = architecture, config
        for name, member in config.members.items():
            self.add_module(name, build_network(member.architecture, member.config))
        self._whole: Any = composite_class(architecture).of(config, dict(self.named_children()))

    @property
    def spec(self) -> ModelSpec:
        """As the composite states it."""
        spec: ModelSpec = self._whole.spec
        return spec

    @property
    def members(self) -> dict[str, Network]:
        """The networks by name."""
        return dict(self.named_children())  # type: ignore[arg-type]

    def valid_samples(self, samples: int) -> int:
        """As the composite says."""
        valid: int = self._whole.valid_samples(samples)
        return valid

    def forward(self, mixture: Mixture) -> Estimates:
        """Separate songs: (batch, channels, samples) -> (batch, stems, channels, samples)."""
        estimates: Estimates = self._whole(mixture)
        return estimates

    def graph_parts(self, mixture: Tensor, prefix: str = "") -> tuple[Member, list[GraphPart]]:
        """Those of its members, each with what it hears of the mixture."""
        described, parts = {}, []
        for name, heard in self._whole.share(mixture).items():
            member, own = self.members[name].graph_parts(heard, f"{prefix}{name}_")
            described[name] = member
            parts += own
        return Member(self.architecture, with_members(self.config, described)), parts
