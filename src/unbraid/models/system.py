"""The base of networks that have no form as an exported graph yet."""

from __future__ import annotations

from torch import Tensor

from unbraid.models.network import GraphEnds, Network, no_graph


class System(Network):
    """A network that torch runs; `graph_ends` refuses an export."""

    def graph_ends(self, mixture: Tensor) -> GraphEnds:
        """Refuse: the exported graph of this network is untested.

        Raises:
            ModelError: always.
        """
        raise no_graph(f"{type(self).__name__} has no tested form as a graph")
