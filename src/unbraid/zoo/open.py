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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from unbraid.errors import CheckpointError, ModelError, SettingsError, UnknownModel
from unbraid.models.compose.bag import BagConfig
from unbraid.models.compose.chain import ChainConfig
from unbraid.models.compose.ensemble import EnsembleConfig
from unbraid.models.registry import Member, did_you_mean, make_config
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
from unbraid.zoo.download import CannotFetch, OnDownload, cache_dir, fetch
from unbraid.zoo.hashes import Digest
from unbraid.zoo.header import read_info, read_metadata, stored_tensors
from unbraid.zoo.joined import JoinedRecipe, join_models
from unbraid.zoo.public.hdf5 import SIGNATURE
from unbraid.zoo.public.keras_wavenet import open_keras
from unbraid.zoo.public.mdx_onnx import open_graph
from unbraid.zoo.public.onnx_graph import ONNX_SUFFIX, is_exported
from unbraid.zoo.public.package import naming
from unbraid.zoo.public.quantized_demucs import is_compressed, open_compressed
from unbraid.zoo.public.safetensors import read_public_safetensors
from unbraid.zoo.public.systems import MIXER, stored_mixer, stored_system
from unbraid.zoo.public.tf_systems import bundle_index, open_bundle
from unbraid.zoo.public.th import is_package, package_of, read_torch_file
from unbraid.zoo.public.torch_legacy import LEGACY_START
from unbraid.zoo.public.unpacked import GZIP_START, unpack_gzip
from unbraid.zoo.public.weights import bare_weights, find_settings, stored_weights
from unbraid.zoo.stored import Renamed, StoredModel

__all__ = [
    "ModelCard",
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


def open_file(path: Path, config: Path | None = None) -> StoredModel:
    """The model in a file, recognized by its first bytes and not by its name (ONNX: its ending).

    Args:
        config: the YAML for a file of plain weights.
    Raises:
        CheckpointError: if it is damaged, refused, or not a model.
    """
    model = open_part(path, config)
    if model.architecture == MIXER:
        raise CheckpointError(
            f"{path}: the mixer of a KUIELAB-MDX-Net, which is not a model by itself; put it into "
            "one folder with the four networks and open the folder"
        )
    return model


def open_part(path: Path, config: Path | None = None) -> StoredModel:
    """As `open_file`; but the mixer of a KUIELAB-MDX-Net, too, for `join_models`."""
    if path.suffix == ONNX_SUFFIX:
        return open_graph(path, config)
    if (index := bundle_index(path)) is not None:
        return open_bundle(index)
    start, inside = _first_bytes(path), path
    if start.startswith(GZIP_START):
        inside = unpack_gzip(path)
        start = _first_bytes(inside)
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06", LEGACY_START)):
        with naming(path):
            content = read_torch_file(inside)
        if is_package(content):
            return package_of(path, content).stored()
        if is_compressed(content):
            return open_compressed(path, content)
        if (mixer := stored_mixer(path, content)) is not None:
            return mixer
        if config is None and (system := stored_system(path, content)) is not None:
            return system
        return _open_weights(path, _tensors(path, content), config)
    if start[8:9] == b"{":
        if "unbraid" in (metadata := read_metadata(path)):
            return _open_own(path)
        if "klass" in metadata:
            return read_public_safetensors(path).stored()
        return _open_weights(path, stored_tensors(path), config)
    if start.startswith(SIGNATURE):
        return open_keras(path)
    if start.startswith(b"\x80"):
        raise CheckpointError(f"{path}: a bare pickle, which is not a model file; it was not read")
    raise CheckpointError(
        f"{path}: not a model; known are unbraid's safetensors, Demucs's safetensors and .th, and "
        "the .ckpt and .safetensors of community models"
    )


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(32)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from error


def _tensors(path: Path, content: Any) -> Mapping[str, Any]:
    with naming(path):
        return bare_weights(content)


def _open_weights(path: Path, state: Mapping[str, Any], config: Path | None) -> StoredModel:
    """Plain weights; their settings come from a YAML or from the catalog."""
    catalog, size = load_catalog(), path.stat().st_size
    known = catalog.by_file(path.name)
    if note := catalog.doubtful.get(size):
        _log.warning("%s: %s", path, note)
    settings = None if known is None or known.size_bytes != size else known.settings
    if config is not None or settings is None:
        settings = find_settings(path, config)
    return stored_weights(path, state, settings, known.licence if known else "")


def _open_own(path: Path) -> StoredModel:
    info = read_info(path)
    try:
        config = make_config(info.architecture, info.config)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except (TypeError, ValueError, ArithmeticError, SettingsError, ModelError) as error:
        raise CheckpointError(f"{path}: its config makes no model: {error!s:.300}") from error
    weights = Renamed(stored_tensors(path), added=info.prefix)
    digest = Digest([path])
    return StoredModel(
        info.architecture, config, weights, path, digest, info.licence, info.provenance
    )


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
    """Download the missing files of a public model or bag into the cache.

    Raises:
        UnknownModel: if the catalog does not know the name.
        ModelError: if a download fails; names the files and addresses in one line.
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
            fetch(member.address, target, member.known_hash, on_download=on_download)
        except CannotFetch as error:
            missing = [m.address for m, t in zip(members, targets, strict=True) if not t.exists()]
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
        if not (folder / member.file_name).exists()
    }


def _local_path(name: str | Path) -> Path | None:
    """The local file; None for a name that may be public."""
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
