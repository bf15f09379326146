"""The model in one file, recognized by what is in it; nothing is run, and torch is not loaded."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unbraid.errors import CheckpointError, ModelError, SettingsError
from unbraid.models.registry import make_config
from unbraid.zoo.catalog import load_catalog
from unbraid.zoo.hashes import Digest
from unbraid.zoo.header import read_info, read_metadata, stored_tensors
from unbraid.zoo.public.hdf5 import SIGNATURE
from unbraid.zoo.public.onnx_graph import ONNX_SUFFIX
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

_log = logging.getLogger("unbraid")


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
        from unbraid.zoo.public.mdx_onnx import open_graph

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
        from unbraid.zoo.public.keras_wavenet import open_keras

        return open_keras(path)
    if start.startswith(b"\x80"):
        raise CheckpointError(f"{path}: a bare pickle, which is not a model file; it was not read")
    raise CheckpointError(
        f"{path}: {'an empty file' if not start else 'not a model'}; known are unbraid's "
        "safetensors, Demucs's safetensors, .th and .th.gz, the .ckpt and .safetensors of "
        "community models, KUIELAB's .onnx, Keras's HDF5 of the WaveNet, TensorFlow's checkpoints"
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
