"""The catalog of public models: names, addresses, hashes, licences.

`catalog.toml` has those of Demucs, `community.toml` newer ones, `classic.toml` the classic systems.
"""

from __future__ import annotations

import functools
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unbraid.zoo.bags import BagRecipe
from unbraid.zoo.chains import ChainRecipe, chain_recipe
from unbraid.zoo.joined import JoinedRecipe
from unbraid.zoo.public.msst import Settings

if sys.version_info >= (3, 11):
    import tomllib
else:  # the package that became the standard library's tomllib
    import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]

_FILE = Path(__file__).with_name("catalog.toml")
_COMMUNITY = Path(__file__).with_name("community.toml")
_CLASSIC = Path(__file__).with_name("classic.toml")


@dataclass(frozen=True)
class CatalogModel:
    """A public model: one file.

    Attributes:
        name: its signature, or our name for it.
        file: its address, or the part after the root address.
        kind: what it is, in words.
        trained_on, musdb_test_seen: its training data, and whether MUSDB18's test set was part of
            them; None if unknown.
        stems, licence: of the model and its weights.
        size_mb: of the file, in 10^6 bytes, perhaps estimated from its number of parameters; None
            if unknown.
        size_bytes: exact size of the file; None if unknown.
        sha256: of the file; "" if it is unknown or part of the file name.
        settings: of the network, for a file of weights alone.
        scores: published figures, each with the name of its benchmark.
        use: what it is recommended for.
        work: computation for a second of audio, relative to one Hybrid Demucs; 0 if unknown.
        saved_as: name of the file in the cache; "": as in its address.
        architecture: of its network, a name of `models.registry`.
    """

    name: str
    file: str
    kind: str
    trained_on: str
    musdb_test_seen: bool | None
    stems: tuple[str, ...]
    licence: str
    size_mb: float | None
    size_bytes: int | None = None
    sha256: str = ""
    settings: Settings | None = None
    scores: tuple[str, ...] = ()
    use: str = ""
    work: float = 0.0
    saved_as: str = ""
    architecture: str = ""

    @property
    def file_name(self) -> str:
        """Name of the file in the cache."""
        return self.saved_as or self.file.rpartition("/")[2]

    @property
    def known_hash(self) -> str:
        """The known first digits of the file's SHA-256."""
        named = "" if "://" in self.file else self.file_name.partition("-")[2].partition(".")[0]
        return self.sha256 or named

    @property
    def address(self) -> str:
        """The address of the file; `UNBRAID_MIRROR` sets another root."""
        mirror = os.environ.get("UNBRAID_MIRROR")
        if "://" in self.file:
            return f"{mirror.rstrip('/')}/{self.file_name}" if mirror else self.file
        return (mirror or load_catalog().root).rstrip("/") + "/" + self.file


@dataclass(frozen=True)
class CatalogBag:
    """Several public models under one name: a bag (perhaps of one), a chain, or one a stem.

    Attributes:
        name: ours, or its well-known name.
        recipe: its members or links.
        summary: one line.
        use: what it is recommended for.
        work: computation for a second of audio, relative to one Hybrid Demucs; 0 if unknown.
        stems: of all together, in the order of the spec; () for a bag, whose members have them.
        scores: published figures of the whole, each with the name of its benchmark.
    """

    name: str
    recipe: BagRecipe | ChainRecipe | JoinedRecipe
    summary: str
    use: str = ""
    work: float = 0.0
    stems: tuple[str, ...] = ()
    scores: tuple[str, ...] = ()

    @property
    def segment_s(self) -> float | None:
        """Seconds of one pass, where the recipe sets it; None: the members' own."""
        return self.recipe.segment_s if isinstance(self.recipe, BagRecipe) else None


@dataclass(frozen=True)
class Catalog:
    """All public models and bags.

    Attributes:
        root: common start of the addresses of Demucs's own models.
        models: by name.
        bags: bags and chains, by name.
        doubtful: size of a file of doubtful origin -> the warning given when it is opened.
    """

    root: str
    models: dict[str, CatalogModel]
    bags: dict[str, CatalogBag]
    doubtful: dict[int, str]

    def members(self, name: str) -> list[CatalogModel]:
        """The files of a model, bag or chain, each once; empty for an unknown name."""
        if name not in self.bags:
            return [self.models[name]] if name in self.models else []
        parts = self.bags[name].recipe.models
        files = {file.name: file for part in parts for file in self.members(part)}
        return list(files.values())

    def by_file(self, file_name: str) -> CatalogModel | None:
        """The model whose file has this name, if any."""
        found = (model for model in self.models.values() if model.file_name == file_name)
        return next(found, None)


@functools.cache
def load_catalog() -> Catalog:
    """The catalog that ships with the package."""
    data = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    community = tomllib.loads(_COMMUNITY.read_text(encoding="utf-8"))
    classic = tomllib.loads(_CLASSIC.read_text(encoding="utf-8"))
    classic_models = {
        name: _classic_model(name, entry, classic["licences"])
        for name, entry in classic["models"].items()
    }
    return Catalog(
        root=data["root"],
        models={name: _model(name, entry, data) for name, entry in data["models"].items()}
        | {name: _community_model(name, entry) for name, entry in community["models"].items()}
        | classic_models,
        bags={name: _bag(name, entry) for name, entry in data["bags"].items()}
        | {name: _chain(name, entry) for name, entry in community["chains"].items()}
        | {name: _joined(name, entry, classic_models) for name, entry in classic["joined"].items()},
        doubtful={entry["bytes"]: entry["note"] for entry in community["doubtful"]},
    )


def _model(name: str, entry: dict[str, Any], data: dict[str, Any]) -> CatalogModel:
    training = data["training"][entry["training"]]
    parameters = entry.get("parameters", 0)
    return CatalogModel(
        name=name,
        file=entry["file"],
        kind=entry["kind"],
        architecture=entry["architecture"],
        trained_on=training["text"],
        musdb_test_seen=training["musdb_test_seen"],
        stems=tuple(entry.get("stems", data["stems"])),
        licence=data["licence"],
        size_mb=parameters * 2 / 1e6 or None,
        sha256=entry.get("sha256", ""),
        scores=tuple(entry.get("scores", ())),
        work=float(entry.get("work", 0)),
    )


def _published(name: str, entry: dict[str, Any], **own: Any) -> CatalogModel:
    """A file from elsewhere; `own` is what each of the catalogs says in its own way."""
    seen, size = entry["musdb_test_seen"], entry.get("bytes")
    return CatalogModel(
        name=name,
        file=entry["file"],
        kind=entry["summary"],
        architecture=entry["architecture"],
        trained_on=entry["trained_on"],
        musdb_test_seen=None if seen == "unknown" else seen,
        size_mb=None if size is None else size / 1e6,
        size_bytes=size,
        sha256=entry["sha256"],
        scores=tuple(entry.get("scores", ())),
        **own,
    )


def _community_model(name: str, entry: dict[str, Any]) -> CatalogModel:
    stems, complement = tuple(entry["stems"]), entry.get("complement", "")
    config = {
        **entry["settings"],
        "stems": stems,
        "segment_s": entry["segment"] / 44100,
        "normalize": entry.get("normalize", False),
    }
    return _published(
        name,
        entry,
        stems=(*stems, complement) if complement else stems,
        licence=entry["licence"],
        settings=Settings(entry["architecture"], config, complement),
        use=entry.get("use", ""),
        work=float(entry.get("work", 0)),
    )


def _bag(name: str, entry: dict[str, Any]) -> CatalogBag:
    weights = entry.get("weights")
    recipe = BagRecipe(
        models=tuple(entry["models"]),
        weights=None if weights is None else tuple(tuple(map(float, row)) for row in weights),
        segment_s=float(entry["segment_s"]) if "segment_s" in entry else None,
    )
    return CatalogBag(
        name, recipe, entry["summary"], entry.get("use", ""), float(entry.get("work", 0))
    )


def _chain(name: str, entry: dict[str, Any]) -> CatalogBag:
    return CatalogBag(
        name,
        chain_recipe({"chain": entry["chain"]}),
        entry["summary"],
        entry.get("use", ""),
        float(entry.get("work", 0)),
        tuple(entry["stems"]),
    )


def _classic_model(name: str, entry: dict[str, Any], licences: dict[str, str]) -> CatalogModel:
    return _published(
        name,
        entry,
        stems=tuple(entry["stems"]),
        licence=licences[entry["licence"]],
        saved_as=entry.get("saved_as", ""),
    )


def _joined(name: str, entry: dict[str, Any], models: dict[str, CatalogModel]) -> CatalogBag:
    members = tuple(entry["models"])
    return CatalogBag(
        name,
        JoinedRecipe(members),
        entry["summary"],
        stems=tuple(stem for member in members for stem in models[member].stems),
        scores=tuple(entry["scores"]),
    )
