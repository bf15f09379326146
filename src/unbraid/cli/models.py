"""Choose a model: list the known ones, show a card, download or import one.

unbraid models                   recommended models, then all names
unbraid models list              the same
unbraid models show NAME|PATH    a model's card: stems, training data, licence
unbraid models pull NAME         download a public model into the cache
unbraid models import FILE -o F  from a public .th, .pth, .ckpt or .safetensors
                                 file; several, each of one stem, become one
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from unbraid.errors import how_to_install

if TYPE_CHECKING:
    from unbraid.zoo.cards import ModelCard


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`unbraid models [list | show NAME|PATH | pull NAME | import FILE -o FILE]`."""
    actions = ("list", "show", "pull", "import")
    parser.add_argument(
        "action", choices=actions, nargs="?", default="list", help="what to do (list)"
    )
    parser.add_argument(
        "name",
        metavar="NAME",
        nargs="*",
        help="of the model, or its PATH; FILES or folder to import",
    )
    parser.add_argument("-o", "--out", metavar="FILE", help="file for an imported model")
    parser.add_argument("--licence", default=None, help="of an imported model's weights")
    parser.add_argument("--json", action="store_true", help="as JSON, one object for each model")


def run(options: argparse.Namespace) -> int:
    """Run the action; returns the exit code."""
    from unbraid.errors import SettingsError

    action, names = options.action, options.name
    if len(names) > 1 and action != "import":
        raise SettingsError(f"models {action} takes one name, got {', '.join(names)}")
    name: Any = names[0] if names else None
    if action == "list" and name is not None:
        raise SettingsError("models list takes no name; did you mean models show NAME?")
    if action != "list" and name is None:
        what = "a FILE" if action == "import" else "the NAME of a model; models list names them"
        raise SettingsError(f"models {action} needs {what}")
    if (action == "import") != (options.out is not None):
        raise SettingsError("-o FILE goes with models import FILE, and is required there")
    if action == "pull":
        return _pull(name)
    if action == "import":
        return _import(names, options.out, options.licence)
    return _show(name, options.json)


def _show(name: str | None, as_json: bool) -> int:
    from unbraid.cli.display import printable
    from unbraid.cli.model_file import card_of_file, facts_of_file, is_file_of_model
    from unbraid.errors import UnknownModel
    from unbraid.models.registry import did_you_mean
    from unbraid.zoo.open import list_models

    cards = {card.name: card for card in list_models()}
    if name is not None and is_file_of_model(name, cards):
        facts = facts_of_file(name)
        lines = [json.dumps(facts)] if as_json else card_of_file(facts).splitlines()
        print("\n".join(map(printable, lines)))
        return 0
    if name is not None and name not in cards:
        near = did_you_mean(name, set(cards))
        raise UnknownModel(f"no model of the name {name!r}{near}; unbraid models list has all")
    if name is None and not as_json:
        print(_which(cards.values()))
    for card in cards.values() if name is None else [cards[name]]:
        line = _facts(card) if as_json else _line(card)
        print(line if name is None or as_json else card.text or line)
    return 0


def _which(cards: Iterable[ModelCard]) -> str:
    """The recommended models, by use, with the time that they would take here."""
    from unbraid.costs.processor_rate import multiply_adds_per_s
    from unbraid.costs.recommended import recommended, song_seconds

    lines = ["Which model?", ""]
    rate = multiply_adds_per_s()
    lacking = []
    for card in recommended(cards):
        lacking += [card.name] * _lacks_torch(card)
        size = "" if card.size_mb is None else f"{card.size_mb:.0f} MB"
        seconds = song_seconds(card, rate)
        time_here = "" if seconds is None else _roughly(seconds)
        line = f"  {card.use:17} -m {card.name:15} {size:>7} {time_here:>7}  "
        lines.append(line + _short(card.licence or "not stated", _width() - len(line)))
    return "\n".join(
        [
            *lines,
            "",
            "Minutes: for a song of 4 minutes on this processor, roughly; a GPU is far faster.",
            "Licences are those of the weights. `unbraid models show NAME` has them in full,",
            "with scores and sources.",
            *_needs_torch(lacking),
            "",
        ]
    )


def _needs_torch(names: list[str]) -> list[str]:
    """
    >>> _needs_torch(["mdx"])[0]
    "Need torch, which is not installed: mdx (pip install 'unbraid[torch]', or in a"
    """
    text = f"Need torch, which is not installed: {', '.join(names)} ({how_to_install('torch')})."
    return textwrap.wrap(text, 80) if names else []


def _roughly(seconds: float) -> str:
    """
    >>> _roughly(16), _roughly(200), _roughly(5400)
    ('16 s', '3 min', '90 min')
    """
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _width() -> int:
    """Columns to fill: the terminal's, at least 60."""
    return max(60, shutil.get_terminal_size().columns)


def _short(text: str, columns: int) -> str:
    """The text, cut at a word to a number of columns, at least eight."""
    columns = max(8, columns)
    return text if len(text) <= columns else text[: columns - 1].rstrip(" ,;.") + "…"


def _pull(name: str) -> int:
    from unbraid.engines.choose import torch_is_missing
    from unbraid.zoo.open import cards_to_download, licence_of, pull

    for card in cards_to_download(name):
        if lacking := torch_is_missing(card.architectures):
            print(f"note: no engine would run {card.name} here: {lacking}", file=sys.stderr)
    for path in pull(name, on_download=_meter()):
        print(path)
    print(f"licence of the weights: {licence_of(name)}")
    return 0


def _import(source: list[str], target: str, licence: str | None) -> int:
    from unbraid.zoo.importing import import_model

    info = import_model(source, target, licence=licence)
    print(f"{target}: {info.architecture}, stems {', '.join(info.stems)}")
    print(f"licence of the weights: {info.licence or 'not stated; ask their author'}")
    return 0


def _meter() -> Callable[..., None]:
    """Writes the progress of a download to the terminal, if there is one."""
    last = [0.0]

    def show(file: str, there: int, total: int | None) -> None:
        done = there == total
        if sys.stderr.isatty() and (done or time.monotonic() - last[0] > 0.2):
            last[0] = time.monotonic()
            of = "" if total is None else f" of {total / 1e6:.0f} ({there / total:.0%})"
            print(f"\r{file}: {there / 1e6:.0f}{of} MB", end="\n" if done else "", file=sys.stderr)

    return show


def _facts(card: ModelCard) -> str:
    names = ("name", "kind", "stems", "licence", "size_mb", "local", "trained_on")
    more = ("musdb_test_seen", "segment_s", "summary", "scores", "use", "work")
    return json.dumps({name: getattr(card, name) for name in (*names, *more)})


def _lacks_torch(card: ModelCard) -> bool:
    from unbraid.engines.choose import torch_is_missing

    return torch_is_missing(card.architectures) is not None


def _line(card: ModelCard) -> str:
    size = "     ?" if card.size_mb is None else f"{card.size_mb:6.1f}"
    notes = [] if card.local else ["not downloaded yet"]
    notes += ["MUSDB test set in training"] * (card.musdb_test_seen is True)
    notes += ["needs torch, which is not installed"] * _lacks_torch(card)
    said = f" ({'; '.join(notes)})" if notes else ""
    indent = " " * 4
    licence = _short(f"Licence: {card.licence or 'not stated'}", _width() - len(indent))
    text = textwrap.fill(
        card.summary + said, _width(), initial_indent=indent, subsequent_indent=indent
    )
    return f"{card.name:25} {size} MB  {', '.join(card.stems)}\n{text}\n{indent}{licence}"
