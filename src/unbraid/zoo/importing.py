"""Convert a public model to unbraid's format, with its licence and origin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unbraid.errors import CheckpointError, SettingsError
from unbraid.zoo.catalog import load_catalog
from unbraid.zoo.checkpoint import CheckpointInfo, read_info, save_arrays
from unbraid.zoo.joined import join_models
from unbraid.zoo.open import find_model, licence_of, open_model, open_part
from unbraid.zoo.stored import StoredModel


def import_model(
    source: str | Path | Sequence[str | Path], target: str | Path, *, licence: str | None = None
) -> CheckpointInfo:
    """Write a public model, from a file or a downloaded single model, in unbraid's format.

    Several files, or a folder of them, are models of different stems, and become one.

    Weights stay float16 if the file holds float16, else they are stored as float32.

    Args:
        source: the file, or the name; or several.
        target: a .safetensors file.
        licence: of the weights; None: from the catalog or the file.
    Raises:
        CheckpointError: if the file is refused, or is a bag.
        SettingsError: if `target` is not a .safetensors file.
    """
    target = Path(target)
    if target.suffix != ".safetensors":
        raise SettingsError(f"a model is imported into a .safetensors file, got {target}")
    several = [source] if isinstance(source, (str, Path)) else list(source)
    paths = [find_model(one) for one in several]
    for path in paths:
        if path.suffix in (".yaml", ".yml"):
            raise CheckpointError(f"{path}: a bag of files; import its members one by one")
    if len(paths) == 1:
        model = open_model(paths[0])
    else:
        model = join_models(target, [open_part(path) for path in paths])
    halves = {weight.kind for weight in model.weights.values()} == {"F16"}
    save_arrays(
        target,
        model,
        np.float16 if halves else np.float32,
        licence=_licence(model) if licence is None else licence,
        provenance=_provenance(model),
    )
    return read_info(target)


def _licence(model: StoredModel) -> str:
    """Those of its files."""
    found = (licence_of(path) for path in model.digest.paths)
    return "; ".join(dict.fromkeys(licence for licence in found if licence))


def _provenance(model: StoredModel) -> dict[str, Any]:
    if model.provenance:
        return dict(model.provenance)
    paths, catalog = model.digest.paths, load_catalog()
    facts: dict[str, Any] = {
        "imported_from": ", ".join(path.name for path in paths),
        "sha256": model.fingerprint(),
    }
    if model.public_class:
        facts["public_class"] = model.public_class
    known = [entry for path in paths if (entry := catalog.by_file(path.name)) is not None]
    if known and len(known) == len(paths):
        facts["trained_on"] = "; ".join(dict.fromkeys(entry.trained_on for entry in known))
        seen = {entry.musdb_test_seen for entry in known}
        facts["musdb_test_seen"] = True if True in seen else None if None in seen else False
        facts["address"] = ", ".join(entry.address for entry in known)
    return facts
