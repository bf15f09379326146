"""Which models a server offers: those that are on this machine, and the one it was started with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from unbraid.engines.load import load_model
from unbraid.web.choices import Model
from unbraid.zoo.open import licence_of, list_models


class Offers(Mapping[str, Model]):
    """Name to model, the default first.

    A public model that has not been fetched is not offered, as the first song would wait for it.

    Args:
        default: name or path of the model that is taken when a client names none.
    Raises:
        ModelError: if no model has that name, or its file is refused.
    """

    def __init__(self, default: str) -> None:
        known = {card.name for card in list_models()}
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
            if card.local or card.name == self._default
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
