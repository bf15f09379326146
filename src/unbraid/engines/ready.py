"""A caller's own model made a `SeparationModel`, and answers questions about it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from unbraid.engines.around import Around
from unbraid.engines.shared_passes import alone
from unbraid.errors import ModelError
from unbraid.models.base import SeparationModel
from unbraid.models.compose.bag import Bag
from unbraid.models.compose.namespace import namespace


def as_model(model: Any, precision: str = "auto") -> SeparationModel:
    """What unbraid runs: the model itself if it keeps the whole contract, else one of torch around
    it; a bag with its members so.

    Args:
        model: a `SeparationModel`, a `TensorModel` on its device, or a `Bag` of such.
        precision: of models of torch; see `engines.torch.run`.
    Raises:
        ModelError: if it is not a model at all.
    """
    if isinstance(model, Bag):
        return model.mapped(lambda member: as_model(member, precision))
    if isinstance(model, SeparationModel):
        return model
    if not callable(model):
        raise ModelError(f"a model is a name, a path or a model, got {type(model).__name__}")
    from unbraid.engines.torch.run import TorchModel

    return TorchModel(model, precision)


class OneByOne(Around):
    """A model that takes the items of a batch one after the other: no more memory than for one."""

    def __call__(self, mixture: Any) -> Any:
        """(b c t) -> (b s c t)."""
        parts: list[Any] = [self.model(mixture[index : index + 1]) for index in range(len(mixture))]
        return parts[0] if len(parts) == 1 else namespace(parts[0]).concatenate(parts)

    def at_once(self, samples: int) -> int:
        """One."""
        return 1

    def narrow(self, stems: Collection[str]) -> SeparationModel:
        """The narrowed model, one by one."""
        return OneByOne(self.model.narrow(stems))


def one_by_one(model: SeparationModel) -> SeparationModel:
    """The model, or each member of a bag, taking the items of a batch one after the other."""
    return model.mapped(OneByOne) if isinstance(model, Bag) else OneByOne(alone(model))
