"""Bags and ensembles in files: a YAML that names models and their weights; and folders of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from unbraid.errors import CheckpointError, ModelError
from unbraid.words import counted
from unbraid.zoo.chains import NAME, ChainRecipe, chain_recipe
from unbraid.zoo.joined import JoinedRecipe, joined_recipe
from unbraid.zoo.public.systems import stem_in

_MOST_BYTES = 64 << 10
_SUFFIXES = (".th", ".pth", ".safetensors")
_FURTHER = (".onnx", ".ckpt")
"""Of files that count where no other has the name: exports and checkpoints lie next to models."""


@dataclass(frozen=True)
class BagRecipe:
    """What a bag is made of.

    Attributes:
        models: names of its members, with repetitions.
        weights: models x stems; None for equal ones.
        segment_s: segment of every member in seconds; None: each uses its own.
        ensemble: how an ensemble combines its members, as `EnsembleConfig` names it; "" for a bag.
    """

    models: tuple[str, ...]
    weights: tuple[tuple[float, ...], ...] | None = None
    segment_s: float | None = None
    ensemble: str = ""


class _PlainLoader(yaml.SafeLoader):
    """Strings, lists and tables; no tags, no references."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  "0d19c1c6" and "12345678" are names

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise CheckpointError("it uses references; a bag needs none")
        if getattr(event, "tag", None):
            raise CheckpointError(f"it uses the tag {event.tag!r:.80}; a bag needs no tags")
        self.depth += 1
        if self.depth > 8:
            raise CheckpointError("it is nested too deeply for a bag")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def read_recipe(path: Path) -> BagRecipe | ChainRecipe | JoinedRecipe:
    """Read the YAML at `path`: a bag, a chain, or models of single stems.

    Raises:
        CheckpointError: if it is damaged, or holds anything else.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise CheckpointError(f"longer than {_MOST_BYTES} bytes, too long for a bag")
        content = yaml.load(data.decode("utf-8"), Loader=_PlainLoader)
        if isinstance(content, dict) and "chain" in content:
            return chain_recipe(content)
        if isinstance(content, dict) and "per_stem" in content:
            return joined_recipe(content)
        return _recipe(content)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except (yaml.YAMLError, ValueError, RecursionError, OSError, TypeError) as error:
        text = " ".join(str(error).split())
        raise CheckpointError(f"{path}: not a readable bag ({text:.200})") from error


def _recipe(content: Any) -> BagRecipe:
    if not isinstance(content, dict) or not isinstance(content.get("models"), list):
        raise CheckpointError("not a bag: it has no list of models")
    known = {"models", "weights", "ensemble" if "ensemble" in content else "segment"}
    if unknown := sorted(str(key) for key in content.keys() - known):
        raise CheckpointError(
            "a bag has models, weights and a segment, an ensemble has an algorithm (ensemble: "
            f"avg_wave), models and weights, not {unknown[0]!r:.80}"
        )
    names = content["models"]
    if not 1 <= len(names) <= 64:
        raise CheckpointError(f"a bag holds 1 to 64 models, got {len(names)}")
    for name in names:
        # Names, not paths: a bag cannot refer to files outside its folder.
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise CheckpointError(f"{name!r:.80} is not a model name")
    weights = content.get("weights")
    if weights in (None, "", "null", "~"):
        weights = None
    elif not isinstance(weights, list) or not all(isinstance(row, list) for row in weights):
        raise CheckpointError("the weights of a bag are one row for each model")
    segment = content.get("segment")
    return BagRecipe(
        models=tuple(names),
        weights=tuple(tuple(map(float, row)) for row in weights) if weights is not None else None,
        segment_s=None if segment in (None, "", "null", "~") else float(str(segment)),
        ensemble=str(content.get("ensemble", "")),
    )


def find_in_folder(folder: Path, name: str) -> Path:
    """The file of the model or bag `name` in a folder: NAME.ending or NAME-HASH.ending.

    Raises:
        CheckpointError: if no file or several files match.
    """
    if not NAME.fullmatch(name):
        raise CheckpointError(f"{folder}: {name!r:.80} is not a model name")
    named = sorted(
        path
        for path in _files(folder)
        if path.stem == name or re.fullmatch(rf"{re.escape(name)}-[0-9a-f]{{8}}", path.stem)
    )
    found = [path for path in named if path.suffix in _SUFFIXES]
    bags = [path for path in (folder / f"{name}.yaml", folder / f"{name}.yml") if path.is_file()]
    if not found and bags:
        return bags[0]
    found = found or [path for path in named if path.suffix in _FURTHER]
    if not found:
        raise CheckpointError(
            f"{folder}: no model {name!r} in it; there are "
            f"{', '.join(names_in_folder(folder)) or 'none'}"
        )
    if len(found) > 1:
        raise CheckpointError(
            f"{folder}: more than one file of model {name!r}: "
            f"{', '.join(path.name for path in found)}; keep one"
        )
    return found[0]


def names_in_folder(folder: Path) -> list[str]:
    """Names of the bags, then of the models, in a folder."""
    bags = sorted(path.stem for path in _bags_in(folder))
    models = sorted(
        re.sub(r"-[0-9a-f]{8}$", "", path.stem)
        for path in _files(folder)
        if path.suffix in _SUFFIXES
    )
    return bags + models


def _files(folder: Path) -> list[Path]:
    """What is a file in a folder, and no folder itself, nor a link to nowhere."""
    return [path for path in folder.iterdir() if path.is_file()]


def _bags_in(folder: Path) -> list[Path]:
    return [path for path in _files(folder) if path.suffix in (".yaml", ".yml")]


def stem_files(folder: Path) -> list[Path]:
    """The models in a folder, if each is of one stem and named after it, and no YAML joins them.

    Graphs in ONNX may have their mixer with them, mixer.ckpt.
    """
    if _bags_in(folder):
        return []
    files = sorted(_files(folder))
    found = [path for path in files if path.suffix in _SUFFIXES]
    mixer = []
    if not found:
        found = [path for path in files if path.suffix == ".onnx"]
        mixer = [path for path in files if path.name == "mixer.ckpt"]
    stems = [stem_in(path.name) for path in found]
    if len(found) < 2 or "stem" in stems or len(set(stems)) < len(stems):
        return []
    return found + mixer


def only_in_folder(folder: Path) -> str:
    """The name of the only bag in a folder, or of its only model.

    Raises:
        ModelError: if the folder holds no model, or several.
    """
    names = names_in_folder(folder)
    if len(_bags_in(folder)) == 1 or len(names) == 1:
        return names[0]
    raise ModelError(
        f"{folder}: a folder with {counted(len(names), 'model')}; say which, as {folder}/NAME: "
        f"{', '.join(names) or '(none found)'}"
    )
