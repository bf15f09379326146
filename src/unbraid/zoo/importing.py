"""A public model into a file of ours, with what is known of where it comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from unbraid.errors import CheckpointError, SettingsError
from unbraid.zoo.catalog import load_catalog
from unbraid.zoo.checkpoint import CheckpointInfo, read_info, save_checkpoint
from unbraid.zoo.files import ModelFile, open_model
from unbraid.zoo.hashes import sha256_of
from unbraid.zoo.load import find_model, licence_of
from unbraid.zoo.stored import kind_of


def import_model(
    source: str | Path, target: str | Path, *, licence: str | None = None
) -> CheckpointInfo:
    """Write the model in a public file, or of a single public name that was fetched, as ours.

    Weights are stored in float16 if the public file held them so, else in float32.

    Args:
        licence: of the weights; None: what the catalog or the file says.
    Raises:
        CheckpointError: if the file is refused, or is a bag.
        SettingsError: if `target` is no .safetensors file.
    """
    target = Path(target)
    if target.suffix != ".safetensors":
        raise SettingsError(f"a model is imported into a .safetensors file, got {target}")
    path = find_model(source)
    if path.suffix in (".yaml", ".yml"):
        raise CheckpointError(f"{path}: a bag of files; import its members one by one")
    file = open_model(path)
    save_checkpoint(
        target,
        file.load(),
        licence=licence_of(path) if licence is None else licence,
        provenance=_provenance(file),
        dtype=_stored_type(file),
    )
    return read_info(target)


def _provenance(file: ModelFile) -> dict[str, Any]:
    if file.foreign is None:
        return read_info(file.path).provenance
    known = {model.file_name: model for model in load_catalog().models.values()}
    model = known.get(file.path.name)
    trained = {} if model is None else {
        "trained_on": model.trained_on, "musdb_test_seen": model.musdb_test_seen,
        "address": model.address,
    }  # fmt: skip
    return {
        "imported_from": file.path.name,
        "sha256": sha256_of(file.path),
        "public_class": file.foreign.class_name,
        **trained,
    }


def _stored_type(file: ModelFile) -> torch.dtype | None:
    if file.foreign is None:
        return None
    kinds = {kind_of(value) for value in file.foreign.state.values()}
    return torch.float16 if kinds == {"F16"} else None
