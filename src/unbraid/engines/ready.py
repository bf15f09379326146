"""A caller's own model made a `SeparationModel`, and answers questions about it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from unbraid.engines.shared_passes import alone
from unbraid.models.base import ModelSpec, SeparationModel
from unbraid.models.compose.bag import Bag
from unbraid.models.compose.namespace import namespace


def as_model(model: Any, precision: str = "auto") -> SeparationModel:
    """What unbraid runs: the model itself if it keeps the whole contract, else one of torch around
    it; a bag with its members so.

    Args:
        model: a `SeparationModel`, a `TensorModel` on its device, or a `Bag` of such.
        precision: of models of torch; see `engines.torch.run`.
    """
    if isinstance(model, Bag):
        return model.mapped(lambda member: as_model(member, precision))
    if isinstance(model, SeparationModel):
        return model
    from unbraid.engines.torch.run import TorchModel

    return TorchModel(model, precision)


class OneByOne:
    """A model that takes the items of a batch one after the other: no more memory than for one."""

    def __init__(self, model: SeparationModel) -> None:
        self._model = model

    @property
    def spec(self) -> ModelSpec:
        """That of the model."""
        return self._model.spec

    @property
    def device(self) -> str:
        """That of the model."""
        return self._model.device

    @property
    def engine(self) -> str:
        """That of the model."""
        return self._model.engine

    def __call__(self, mixture: Any) -> Any:
        """(b c t) -> (b s c t)."""
        parts: list[Any] = [
            self._model(mixture[index : index + 1]) for index in range(len(mixture))
        ]
        return parts[0] if len(parts) == 1 else namespace(parts[0]).concatenate(parts)

    def valid_samples(self, samples: int) -> int:
        """That of the model."""
        return self._model.valid_samples(samples)

    def take_back(self, estimates: Any) -> None:
        """Handed to the model."""
        self._model.take_back(estimates)

    def pass_bytes(self, samples: int) -> int:
        """That of the model."""
        return self._model.pass_bytes(samples)

    def fingerprint(self) -> str:
        """That of the model."""
        return self._model.fingerprint()

    def narrow(self, stems: Collection[str]) -> SeparationModel:
        """The narrowed model, one by one."""
        return OneByOne(self._model.narrow(stems))


def one_by_one(model: SeparationModel) -> SeparationModel:
    """The model, or each member of a bag, taking the items of a batch one after the other."""
    return model.mapped(OneByOne) if isinstance(model, Bag) else OneByOne(alone(model))
