"""Convert a public model to unbraid's format, with its licence and origin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from unbraid.errors import CheckpointError, SettingsError
from unbraid.zoo.catalog import load_catalog
from unbraid.zoo.checkpoint import CheckpointInfo, read_info, save_arrays
from unbraid.zoo.open import find_model, licence_of, open_file
from unbraid.zoo.stored import StoredModel


def import_model(
    source: str | Path, target: str | Path, *, licence: str | None = None
) -> CheckpointInfo:
    """Write a public model, from a file or a downloaded single model, in unbraid's format.

    Weights stay float16 if the file holds float16, else they are stored as float32.

    Args:
        source: the file, or the name.
        target: a .safetensors file.
        licence: of the weights; None: from the catalog or the file.
    Raises:
        CheckpointError: if the file is refused, or is a bag.
        SettingsError: if `target` is not a .safetensors file.
    """
    target = Path(target)
    if target.suffix != ".safetensors":
        raise SettingsError(f"a model is imported into a .safetensors file, got {target}")
    path = find_model(source)
    if path.suffix in (".yaml", ".yml"):
        raise CheckpointError(f"{path}: a bag of files; import its members one by one")
    model = open_file(path)
    halves = {weight.kind for weight in model.weights.values()} == {"F16"}
    save_arrays(
        target,
        model,
        np.float16 if halves else np.float32,
        licence=licence_of(path) if licence is None else licence,
        provenance=_provenance(model),
    )
    return read_info(target)


def _provenance(model: StoredModel) -> dict[str, Any]:
    if not model.public_class:
        return dict(model.provenance)
    catalog = {known.file_name: known for known in load_catalog().models.values()}
    known = catalog.get(model.path.name)
    trained = {} if known is None else {
        "trained_on": known.trained_on, "musdb_test_seen": known.musdb_test_seen,
        "address": known.address,
    }  # fmt: skip
    return {
        "imported_from": model.path.name,
        "sha256": model.fingerprint(),
        "public_class": model.public_class,
        **trained,
    }
