"""Which models a server offers: the one it was started with, and those on this machine that run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from unbraid.engines.choose import torch_is_missing
from unbraid.engines.load import load_model
from unbraid.errors import ModelError
from unbraid.web.choices import Model
from unbraid.zoo.open import licence_of, list_models


class Offers(Mapping[str, Model]):
    """Name to model, the default first.

    A public model that has not been fetched is not offered, as the first song would wait for it;
    nor is a model that needs torch where torch is not installed.

    Args:
        default: name or path of the model that is taken when a client names none.
    Raises:
        ModelError: if no model has that name, its file is refused, or it needs torch, which is not
            installed.
    """

    def __init__(self, default: str) -> None:
        known = {card.name: card for card in list_models()}
        if default in known and (lacking := torch_is_missing(known[default].architectures)):
            raise ModelError(f"no engine runs {default} here: {lacking}")
        self._own = None if default in known else _own_model(default)
        self._default = default
        self._models: dict[str, Model] = {}
        self.refresh()

    def refresh(self) -> None:
        """Look again what is on this machine."""
        models = {
            card.name: Model(
                *(card.name, card.name, card.stems, card.licence, card.summary),
                default=card.name == self._default,
            )
            for card in list_models()
            if card.name == self._default
            or (card.local and torch_is_missing(card.architectures) is None)
        }
        if self._own is not None:
            models[self._own.name] = self._own
        self._models = dict(sorted(models.items(), key=lambda item: not item[1].default))

    def __getitem__(self, name: str) -> Model:
        return self._models[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)


def _own_model(source: str) -> Model:
    spec = load_model(source).spec
    path = Path(source).absolute()
    name = path.stem if path.is_file() else path.name
    return Model(name, str(path), spec.stems, licence_of(source), "A model of your own.", True)
