"""From a name or a path to a model or a bag.

name     bundled ("mini"), or public ("mdx", "e51eebcc"): fetched once into the cache
file     unbraid's own, a public .th or .safetensors, the YAML of a bag: told by its content;
         FILE.onnx, as `unbraid export` writes it
folder   with one model or bag; FOLDER/NAME picks one of several
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unbraid.errors import CheckpointError, ModelError, UnknownModel
from unbraid.models.bag import Bag
from unbraid.models.base import SeparationModel
from unbraid.models.configs import did_you_mean
from unbraid.runtimes.cpu_engine import why_torch
from unbraid.runtimes.onnx_runtime import SUFFIX, OnnxModel
from unbraid.zoo.bags import BagRecipe, FileBag, find_in_folder, only_in_folder, read_bag
from unbraid.zoo.cards import ModelCard, bundled_card, bundled_files, public_card
from unbraid.zoo.catalog import load_catalog
from unbraid.zoo.download import CannotFetch, OnDownload, cache_dir, fetch
from unbraid.zoo.files import ModelFile, open_model
from unbraid.zoo.hashes import sha256_of
from unbraid.zoo.header import read_info

__all__ = [
    "ModelCard",
    "find_model",
    "licence_of",
    "list_models",
    "load_model",
    "load_to_run",
    "pull",
]

_log = logging.getLogger("unbraid")


def list_models() -> list[ModelCard]:
    """Cards of all models that `load_model` knows by name: bundled, public bags, public singles."""
    catalog = load_catalog()
    return [bundled_card(path) for path in bundled_files().values()] + [
        public_card(name) for name in (*catalog.bags, *catalog.models)
    ]


def load_model(
    name: str | Path = "mini", device: str = "cpu", *, on_download: OnDownload | None = None
) -> SeparationModel:
    """Load a model by name or path, without ever executing code from a file.

    A public model that is not in the cache is fetched first; a note of it goes to the log
    "unbraid", and `on_download` is told of the progress.

    Args:
        name: a name that `list_models` knows; or a file, a folder, or a name in a folder.
        device: where to put it, as torch names devices.
    Returns:
        the model, float32, in evaluation mode; or a `Bag`, whose members are loaded one at a time,
        when their turn comes. (b c t) -> (b s c t).
    Raises:
        UnknownModel: if there is no such model.
        ModelError: if it is a public one that cannot be fetched; says what to fetch from where.
        CheckpointError: if its file is damaged, altered or refused.
    """
    return _load(name, _Place(device), on_download)


def load_to_run(
    name: str | Path,
    device: str = "cpu",
    precision: str = "auto",
    *,
    on_download: OnDownload | None = None,
) -> SeparationModel:
    """As `load_model`, but whatever runs the model fastest there: it may be one of arrays.

    Raises:
        SettingsError: if UNBRAID_RUNTIME asks for an engine that cannot run here.
    """
    place = _Place(device, native=why_torch(device, precision) is None, by_hash=True)
    return _load(name, place, on_download)


@dataclass(frozen=True)
class _Place:
    """Where a model goes.

    Attributes:
        device: of torch's.
        native: into kernels of our own, where they run it.
        by_hash: it is known by its file's hash, as nobody will change its weights.
    """

    device: str
    native: bool = False
    by_hash: bool = False

    def open(self, file: ModelFile) -> SeparationModel:
        """The model in the file, there."""
        if not self.by_hash:
            return self._placed(file)
        # Beside the packing, which reads the same bytes.
        with ThreadPoolExecutor(1, "unbraid-hash") as helper:
            digest = helper.submit(sha256_of, file.path)
            model: Any = self._placed(file)
        model.fingerprint = digest.result()
        placed: SeparationModel = model
        return placed

    def _placed(self, file: ModelFile) -> SeparationModel:
        native = file.native() if self.native else None
        if native is not None:
            return native
        placed: SeparationModel = file.load().to(self.device)
        return placed


def _load(name: str | Path, place: _Place, on_download: OnDownload | None) -> SeparationModel:
    path = _local_path(name)
    if path is None:
        return _load_public(str(name), place, on_download)
    if path.suffix == SUFFIX:
        return OnnxModel(path, place.device)
    if path.suffix in (".yaml", ".yml"):
        recipe = read_bag(path)
        members = [find_in_folder(path.parent, member) for member in recipe.models]
        return _open_bag(path, recipe, members, place)
    return place.open(open_model(path))


def find_model(name: str | Path) -> Path:
    """The file of weights (or of a bag) for a name or a path; a public one may not be there yet.

    Raises:
        UnknownModel: if it is neither; names what is known.
    """
    path = _local_path(name)
    if path is not None:
        return path
    members = load_catalog().members(str(name))
    if len(members) != 1:
        raise UnknownModel(_unknown(str(name)) if not members else f"{name} is a bag of files")
    return cache_dir() / members[0].file_name


def licence_of(name: str | Path) -> str:
    """The licence of a model's weights, as far as it is known; "" if not."""
    path = _local_path(name)
    members = load_catalog().members(str(name)) if path is None else []
    if members:
        return members[0].licence
    known = {model.file_name: model for model in load_catalog().models.values()}
    if path is None or path.suffix in (".yaml", ".yml", SUFFIX):
        return ""
    if path.name in known:
        return known[path.name].licence
    try:
        return read_info(path).licence
    except ModelError:
        return ""  # a foreign file, which does not say


def pull(name: str, *, on_download: OnDownload | None = None) -> list[Path]:
    """Fetch the files of a public model or bag into the cache, those that are not there.

    Raises:
        UnknownModel: if the catalog has no such name.
        ModelError: if they cannot be had; says what to fetch from where, in one line.
    """
    members = load_catalog().members(name)
    if not members:
        raise UnknownModel(_unknown(name))
    targets = [cache_dir() / member.file_name for member in members]
    for member, target in zip(members, targets, strict=True):
        if target.exists():
            continue
        _log.warning("fetching %s for %s into %s", member.address, name, target.parent)
        try:
            fetch(member.address, target, member.hash8, on_download=on_download)
        except CannotFetch as error:
            missing = [m.address for m, t in zip(members, targets, strict=True) if not t.exists()]
            raise ModelError(
                f"{name} is not complete on this machine: {error}; fetch {' '.join(missing)} "
                f"by other means and put it into {target.parent}"
            ) from error
    return targets


def _load_public(name: str, place: _Place, on_download: OnDownload | None) -> SeparationModel:
    catalog = load_catalog()
    pull(name, on_download=on_download)
    if name in catalog.bags:
        recipe = catalog.bags[name].recipe
        files = [cache_dir() / catalog.models[member].file_name for member in recipe.models]
        return _open_bag(name, recipe, files, place)
    return place.open(open_model(cache_dir() / catalog.models[name].file_name))


def _open_bag(where: str | Path, recipe: BagRecipe, paths: Sequence[Path], place: _Place) -> Bag:
    """A bag of files: their headers are read now, their weights when their turn comes."""
    opened = {path: open_model(path) for path in dict.fromkeys(paths)}
    files = [opened[path] for path in paths]

    there = replace(place, by_hash=False)  # the bag is known by the hashes of all its files

    def load(index: int) -> SeparationModel:
        return there.open(files[index])

    def hashes() -> list[str]:
        return [sha256_of(path) for path in paths]

    try:
        return FileBag(recipe, [file.spec for file in files], load, hashes)
    except ModelError as error:
        raise CheckpointError(f"{where}: {error}") from error


def _local_path(name: str | Path) -> Path | None:
    """The file that is meant; None if it is a name that may be public."""
    path = Path(name)
    if path.is_file():
        return path
    if path.is_dir() and str(name) not in bundled_files():
        return find_in_folder(path, only_in_folder(path))
    if str(name) in bundled_files():
        return bundled_files()[str(name)]
    if load_catalog().members(str(name)):
        return None
    if path.parent.is_dir() and len(path.parts) > 1:
        return find_in_folder(path.parent, path.name)
    raise UnknownModel(_unknown(str(name)))


def _unknown(name: str) -> str:
    catalog = load_catalog()
    if name in catalog.later:
        return f"{name} is a model of the v4 family, which unbraid does not run yet"
    known = [*bundled_files(), *catalog.bags]
    near = did_you_mean(name, {*known, *catalog.models})
    return (
        f"no model of the name and no file at the path {name!r}{near}; known names: "
        f"{', '.join(sorted(known))}; unbraid models list has more"
    )
