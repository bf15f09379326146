"""Open a model by name or path as plain data; nothing is run, and torch is not loaded.

name     bundled ("mini"), or public ("mdx", "e51eebcc"): downloaded once into the cache
file     unbraid's own, a public .th, .ckpt or .safetensors, or the YAML of a bag, recognized by
         content; plain weights need the YAML of their settings next to them or as `config`;
         FILE.onnx, as `unbraid export` or the authors of KUIELAB-MDX-Net write it
folder   with one model or bag, or with a model of one stem in each file, named after it;
         FOLDER/NAME picks one of several
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from unbraid.cache_root import is_there
from unbraid.errors import CheckpointError, ModelError, SettingsError, UnknownModel
from unbraid.models.compose.bag import BagConfig
from unbraid.models.compose.chain import ChainConfig
from unbraid.models.compose.ensemble import EnsembleConfig
from unbraid.models.registry import Member, did_you_mean
from unbraid.zoo.bags import (
    BagRecipe,
    find_in_folder,
    names_in_folder,
    only_in_folder,
    read_recipe,
    stem_files,
)
from unbraid.zoo.cards import ModelCard, bundled_card, bundled_files, bundled_licence, public_card
from unbraid.zoo.catalog import load_catalog
from unbraid.zoo.chains import ChainRecipe
from unbraid.zoo.download import CannotFetch, cache_dir, fetch
from unbraid.zoo.files import open_file, open_part
from unbraid.zoo.hashes import Digest
from unbraid.zoo.header import read_info
from unbraid.zoo.joined import JoinedRecipe, join_models
from unbraid.zoo.public.onnx_graph import is_exported
from unbraid.zoo.public.tf_systems import bundle_index
from unbraid.zoo.stored import StoredModel

if TYPE_CHECKING:
    from unbraid.zoo.transfer import OnDownload

__all__ = [
    "ModelCard",
    "cards_to_download",
    "find_model",
    "licence_of",
    "list_models",
    "missing_mb",
    "open_file",
    "open_model",
    "open_part",
    "pull",
]

_YAML = (".yaml", ".yml")
_MOST_NESTED = 2
_log = logging.getLogger("unbraid")


def list_models() -> list[ModelCard]:
    """Cards of all named models: bundled, public bags, public single models."""
    catalog = load_catalog()
    models = [name for name, model in catalog.models.items() if model.stems]  # a mixer has none
    return [bundled_card(path) for path in bundled_files().values()] + [
        public_card(name) for name in (*catalog.bags, *models)
    ]


def open_model(
    name: str | Path, *, config: str | Path | None = None, on_download: OnDownload | None = None
) -> StoredModel:
    """A model by name or path, as plain data. Code in a file is never executed.

    A public model that is not in the cache is downloaded first; the log "unbraid" says so, and
    `on_download` is called with the progress.

    Args:
        name: a name from `list_models`; or a file, a folder, or a name in a folder.
        config: the YAML for a file of plain weights, if it is not next to the file.
        on_download: called as `(file, bytes received, total bytes or None)`.
    Raises:
        UnknownModel: if no model has that name.
        ModelError: if a public model cannot be downloaded; names the files and addresses.
        CheckpointError: if its file is damaged, altered or refused.
    """
    if config is not None and not Path(config).is_file():
        raise CheckpointError(f"{str(config)!r}, the settings of the model, is not a file")
    path = _local_path(name)
    if path is None:
        return _open_public(str(name), on_download)
    if path.is_dir():
        return join_models(path, [open_part(file) for file in stem_files(path)])
    if is_exported(path):
        return StoredModel("exported", None, {}, path, Digest([path]))
    if path.suffix in _YAML:
        return _open_yaml(path, _MOST_NESTED, on_download)
    return open_file(path, None if config is None else Path(config))


def _open_public(name: str, on_download: OnDownload | None) -> StoredModel:
    catalog = load_catalog()
    pull(name, on_download=on_download)
    if name in catalog.bags:
        recipe = catalog.bags[name].recipe
        if isinstance(recipe, ChainRecipe):
            links = [_open_public(link, on_download) for link in recipe.models]
            return _open_chain(name, recipe, links)
        files = [cache_dir() / catalog.models[member].file_name for member in recipe.models]
        if isinstance(recipe, JoinedRecipe):
            return join_models(name, [open_part(file) for file in files], recipe.wiener)
        return _open_bag(name, recipe, files)
    return open_file(cache_dir() / catalog.models[name].file_name)


def _open_bag(where: str | Path, recipe: BagRecipe, paths: Sequence[Path]) -> StoredModel:
    """A bag of files: the headers are read now, the weights when a member runs."""
    opened = {path: open_file(path) for path in dict.fromkeys(paths)}
    members = {str(number): opened[path] for number, path in enumerate(paths)}
    kinds = tuple(Member(model.architecture, model.config) for model in members.values())
    try:
        if recipe.ensemble:
            combined = EnsembleConfig(kinds, recipe.ensemble, recipe.weights)
            digest = Digest(paths, (recipe.ensemble, recipe.weights))
            return StoredModel("ensemble", combined, {}, Path(where), digest, members=members)
        config = BagConfig(kinds, recipe.weights, recipe.segment_s)
    except (ModelError, SettingsError) as error:
        raise CheckpointError(f"{where}: {error}") from error
    digest = Digest(paths, config.facts)
    return StoredModel("bag", config, {}, Path(where), digest, members=members)


def _open_yaml(path: Path, left: int, on_download: OnDownload | None) -> StoredModel:
    """The bag or chain in a YAML; `left` limits how deep they may be nested."""
    recipe = read_recipe(path)
    if isinstance(recipe, BagRecipe):
        members = [find_in_folder(path.parent, member) for member in recipe.models]
        return _open_bag(path, recipe, members)
    if isinstance(recipe, JoinedRecipe):
        models = [open_part(find_in_folder(path.parent, name)) for name in recipe.models]
        return join_models(path, models, recipe.wiener)
    if left == 0:
        raise CheckpointError(
            f"{path}: chains are nested in a circle, or more than {_MOST_NESTED} deep"
        )

    def link(name: str) -> StoredModel:
        if name not in names_in_folder(path.parent):
            if name in bundled_files() or load_catalog().members(name):
                return open_model(name, on_download=on_download)
            raise CheckpointError(
                f"{path}: no model {name!r} in its folder, nor known by that name"
            )
        there = find_in_folder(path.parent, name)
        return (
            _open_yaml(there, left - 1, on_download) if there.suffix in _YAML else open_file(there)
        )

    return _open_chain(path, recipe, [link(name) for name in recipe.models])


def _open_chain(
    where: str | Path, recipe: ChainRecipe, links: Sequence[StoredModel]
) -> StoredModel:
    for name, model in zip(recipe.models, links, strict=True):
        if model.config is None:
            raise CheckpointError(
                f"{where}: {name} is an exported model, which a chain does not run"
            )
    kinds = tuple(Member(model.architecture, model.config) for model in links)
    try:
        config = ChainConfig(kinds, recipe.stems)
    except ModelError as error:
        raise CheckpointError(f"{where}: {error}") from error
    paths = tuple(dict.fromkeys(file for model in links for file in model.digest.paths))
    digest = Digest(paths, (config.given, config))
    members = {str(number): model for number, model in enumerate(links)}
    return StoredModel("chain", config, {}, Path(where), digest, members=members)


def find_model(name: str | Path) -> Path:
    """The weight file (or bag file) for a name or path; a public one may not be downloaded yet.

    Raises:
        UnknownModel: if it is neither; lists the known names.
    """
    path = _local_path(name)
    if path is not None:
        return path
    members = load_catalog().members(str(name))
    if len(members) != 1:
        raise UnknownModel(_unknown(str(name)) if not members else f"{name} is a bag of files")
    return cache_dir() / members[0].file_name


def licence_of(name: str | Path) -> str:
    """The licence of a model's weights; "" if unknown."""
    path = _local_path(name)
    members = load_catalog().members(str(name)) if path is None else []
    if members:
        return public_card(str(name)).licence
    if path is not None and path in bundled_files().values():
        return bundled_licence(path)
    if path is None or path.suffix in _YAML:
        return ""
    if (known := load_catalog().by_file(path.name)) is not None:
        return known.licence
    try:
        return read_info(path).licence
    except ModelError:
        return ""  # a foreign file, which does not say


def pull(name: str, *, on_download: OnDownload | None = None) -> list[Path]:
    """Download the missing files of a public model or bag into the cache; a bundled one has none.

    Raises:
        UnknownModel: if the catalog does not know the name.
        ModelError: if a download fails; names the files and addresses in one line.
    """
    if name in bundled_files():
        return [bundled_files()[name]]
    members = load_catalog().members(name)
    if not members and Path(name).exists():
        raise UnknownModel(
            f"{name} is on this machine, there is nothing to download; pull takes names"
        )
    if not members:
        raise UnknownModel(_unknown(name))
    targets = [cache_dir() / member.file_name for member in members]
    for member, target in zip(members, targets, strict=True):
        if is_there(target):
            continue
        _log.warning("fetching %s for %s into %s", member.address, name, target.parent)
        try:
            fetch(member.address, target, member.known_hash, on_download=on_download)
        except CannotFetch as error:
            missing = [m.address for m, t in zip(members, targets, strict=True) if not is_there(t)]
            raise ModelError(
                f"{name} is not complete on this machine: {error}; fetch {' '.join(missing)} "
                f"by other means and put it into {target.parent}"
            ) from error
    return targets


def missing_mb(name: str) -> dict[str, float | None]:
    """The files of a public model that are not in the cache yet, with their sizes in 10^6 bytes."""
    folder = cache_dir()
    return {
        member.file_name: member.size_mb
        for member in load_catalog().members(name)
        if not is_there(folder / member.file_name)
    }


def cards_to_download(name: str | Path) -> list[ModelCard]:
    """The cards of public models that `open_model` would download: that model itself, or those that
    a chain in a file names.

    Raises:
        UnknownModel, CheckpointError: as `open_model`.
    """
    path = _local_path(name)
    if path is None:
        return [public_card(str(name))] if missing_mb(str(name)) else []
    return _cards_of_links(path, _MOST_NESTED) if path.suffix in _YAML else []


def _cards_of_links(path: Path, left: int) -> list[ModelCard]:
    """Those of the links of a chain; what cannot be opened is told when it is opened."""
    recipe = read_recipe(path)
    if not isinstance(recipe, ChainRecipe) or left == 0:
        return []
    cards, folder = [], names_in_folder(path.parent)
    for name in recipe.models:
        if name not in folder:
            cards += cards_to_download(name) if load_catalog().members(name) else []
        elif (there := find_in_folder(path.parent, name)).suffix in _YAML:
            cards += _cards_of_links(there, left - 1)
    return cards


def _local_path(name: str | Path) -> Path | None:
    """The local file; None for a name that may be public.

    Raises:
        UnknownModel: if it is neither.
        CheckpointError: if the system does not let it be looked up, as with a name too long.
    """
    try:
        return _looked_up(name)
    except OSError as error:
        raise CheckpointError(f"{name!s:.300}: cannot be read ({error.strerror})") from error


def _looked_up(name: str | Path) -> Path | None:
    path = Path(name)
    if path.is_file():
        return path
    if (index := bundle_index(path)) is not None:
        return index
    if path.is_dir() and str(name) not in bundled_files():
        return path if stem_files(path) else find_in_folder(path, only_in_folder(path))
    if str(name) in bundled_files():
        return bundled_files()[str(name)]
    if load_catalog().members(str(name)):
        return None
    if path.parent.is_dir() and len(path.parts) > 1:
        return find_in_folder(path.parent, path.name)
    raise UnknownModel(_unknown(str(name)))


def _unknown(name: str) -> str:
    catalog = load_catalog()
    known = [*bundled_files(), *catalog.bags]
    near = did_you_mean(name, {*known, *catalog.models})
    return (
        f"no model of the name and no file at the path {name!r}{near}; known names: "
        f"{', '.join(sorted(known))}; unbraid models list has more"
    )
