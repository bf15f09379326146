"""List the models that can be used by name, or show the card of one."""

from __future__ import annotations

import argparse
import json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`unbraid models [list | show NAME]`."""
    parser.add_argument("action", choices=("list", "show"), nargs="?", default="list")
    parser.add_argument("name", metavar="NAME", nargs="?", help="of the model to show")
    parser.add_argument("--json", action="store_true", help="as JSON, one object a model")


def run(options: argparse.Namespace) -> int:
    """Print; returns the exit code."""
    from unbraid.errors import SettingsError, UnknownModel
    from unbraid.zoo.load import ModelCard, list_models

    def facts(card: ModelCard) -> str:
        plain = {"name": card.name, "stems": card.stems, "licence": card.licence}
        return json.dumps({**plain, "size_mb": card.size_mb, "summary": card.summary})

    cards = {card.name: card for card in list_models()}
    if options.action == "list":
        if options.name is not None:
            raise SettingsError("models list takes no name; did you mean models show NAME?")
        for card in cards.values():
            print(facts(card) if options.json else _line(card))
        return 0
    if options.name is None:
        raise SettingsError("models show needs the NAME of a model; models list names them")
    if options.name not in cards:
        known = ", ".join(cards)
        raise UnknownModel(f"no model of the name {options.name!r}; known are {known}")
    card = cards[options.name]
    print(facts(card) if options.json else card.text or _line(card))
    return 0


def _line(card: object) -> str:
    name, stems = getattr(card, "name", ""), ", ".join(getattr(card, "stems", ()))
    size, licence = getattr(card, "size_mb", 0.0), getattr(card, "licence", "")
    return f"{name:12} {size:6.1f} MB  {licence:10} {stems}\n{'':12} {getattr(card, 'summary', '')}"
