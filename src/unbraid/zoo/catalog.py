"""What is known of public models, read from `catalog.toml`: names, addresses, hashes, licences."""

from __future__ import annotations

import functools
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unbraid.zoo.bags import BagRecipe

if sys.version_info >= (3, 11):
    import tomllib
else:  # the same reader, under the name it had before it joined the standard library
    import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]

_FILE = Path(__file__).with_name("catalog.toml")


@dataclass(frozen=True)
class CatalogModel:
    """A public model: one file.

    Attributes:
        name: its signature.
        file: below the root of all addresses.
        kind: what it is, in words.
        trained_on, musdb_test_seen: what it learnt from, and whether MUSDB18's test set was there.
        stems, licence: of the model and its weights.
        size_mb: of the file, in 10^6 bytes, from its number of parameters; None if not known.
    """

    name: str
    file: str
    kind: str
    trained_on: str
    musdb_test_seen: bool
    stems: tuple[str, ...]
    licence: str
    size_mb: float | None

    @property
    def file_name(self) -> str:
        return self.file.rpartition("/")[2]

    @property
    def hash8(self) -> str:
        """First 8 digits of the SHA-256 of the file."""
        return self.file_name.partition("-")[2].partition(".")[0]

    @property
    def address(self) -> str:
        """Where the file is; `UNBRAID_MIRROR` names another root."""
        root = os.environ.get("UNBRAID_MIRROR") or load_catalog().root
        return root.rstrip("/") + "/" + self.file


@dataclass(frozen=True)
class CatalogBag:
    """A public bag of models, which may hold one."""

    name: str
    recipe: BagRecipe
    summary: str


@dataclass(frozen=True)
class Catalog:
    """All public models and bags, and names of later ones that are not built yet."""

    root: str
    models: dict[str, CatalogModel]
    bags: dict[str, CatalogBag]
    later: frozenset[str]

    def members(self, name: str) -> list[CatalogModel]:
        """The files that a name stands for, each once; none for an unknown name."""
        names = self.bags[name].recipe.models if name in self.bags else (name,)
        return [self.models[member] for member in dict.fromkeys(names) if member in self.models]


@functools.cache
def load_catalog() -> Catalog:
    """The catalog that ships with the package."""
    data = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return Catalog(
        root=data["root"],
        models={name: _model(name, entry, data) for name, entry in data["models"].items()},
        bags={name: _bag(name, entry) for name, entry in data["bags"].items()},
        later=frozenset(data["later"]),
    )


def _model(name: str, entry: dict[str, Any], data: dict[str, Any]) -> CatalogModel:
    training = data["training"][entry["training"]]
    parameters = entry.get("parameters", 0)
    return CatalogModel(
        name=name,
        file=entry["file"],
        kind=entry["kind"],
        trained_on=training["text"],
        musdb_test_seen=training["musdb_test_seen"],
        stems=tuple(data["stems"]),
        licence=data["licence"],
        size_mb=parameters * 2 / 1e6 or None,
    )


def _bag(name: str, entry: dict[str, Any]) -> CatalogBag:
    weights = entry.get("weights")
    recipe = BagRecipe(
        models=tuple(entry["models"]),
        weights=None if weights is None else tuple(tuple(map(float, row)) for row in weights),
        segment_s=float(entry["segment_s"]),
    )
    return CatalogBag(name, recipe, entry["summary"])
