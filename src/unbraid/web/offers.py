"""Which models a server offers: those that are on this machine, and the one it was started with."""

from __future__ import annotations

from pathlib import Path

from unbraid.engines.load import load_model
from unbraid.web.choices import Model
from unbraid.zoo.open import licence_of, list_models


def offered_models(default: str) -> dict[str, Model]:
    """Name to model, the default first.

    A public model that has not been fetched is not offered, as the first song would wait for it.

    Args:
        default: name or path of the model that is taken when a client names none.
    Raises:
        ModelError: if no model has that name, or its file is refused.
    """
    models = {
        card.name: Model(
            card.name, card.name, card.stems, card.licence, card.summary, card.name == default
        )
        for card in list_models()
        if card.local or card.name == default
    }
    if default not in models:
        own = _own_model(default)
        models.pop(own.name, None)
        models[own.name] = own
    return dict(sorted(models.items(), key=lambda item: not item[1].default))


def _own_model(source: str) -> Model:
    spec = load_model(source).spec
    path = Path(source).absolute()
    name = path.stem if path.is_file() else path.name
    return Model(name, str(path), spec.stems, licence_of(source), "A model of your own.", True)
