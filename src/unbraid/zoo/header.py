"""The header and the weights of unbraid's checkpoints, read without torch.

The format is described in `checkpoint.py`, which writes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from unbraid.errors import CheckpointError, SettingsError
from unbraid.models.registry import make_config, plain_config
from unbraid.words import counted
from unbraid.zoo.mapped import MappedFile
from unbraid.zoo.stored import KINDS, StoredTensor, values_of

FORMAT_VERSION = 2  # 1: ratio masks and a second rate were settings of a network; see `mend_v1`


@dataclass(frozen=True)
class CheckpointInfo:
    """The header of a checkpoint.

    Attributes:
        architecture, config: as `models.registry.make_config` takes them.
        prefix: added before the names of the weights in the file.
        stems, sample_rate: of the model.
        licence: of the weights, as an SPDX name or a sentence.
        provenance: origin of the weights; plain JSON.
    """

    architecture: str
    config: dict[str, Any]
    stems: tuple[str, ...]
    sample_rate: int
    licence: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)
    prefix: str = ""


def read_info(path: str | Path) -> CheckpointInfo:
    """The header of the file at `path`; the weights are not read.

    Raises:
        CheckpointError: if it is not one of unbraid's checkpoints, or has a newer format.
    """
    with open_file(path) as file:
        return _parse(path, file.metadata())


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file.

    Raises:
        CheckpointError: if it is not a safetensors file.
    """
    try:
        with safe_open(path, framework="np") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path}: not a readable safetensors file ({error!s:.200}); it may be cut short, "
            "get it again"
        ) from error


def mend_v1(architecture: str, config: Mapping[str, Any]) -> tuple[str, dict[str, Any], str]:
    """Convert architecture and config of format 1 to the current format.

    In format 1, ratio masks and a second rate were settings of one network; now they are models
    made of models.

    Returns:
        architecture, config, and the prefix for the names of the weights.
    """
    plain = dict(config)
    masks = plain.pop("ratio_masks", False)
    if architecture == "two_rate_demucs":
        architecture, plain = "two_rate", _two_rates(plain)
    if not masks:
        return architecture, plain, ""
    return "ratio_masks", {"model": {"architecture": architecture, "config": plain}}, "model."


def _two_rates(plain: dict[str, Any]) -> dict[str, Any]:
    """The second network had the settings of the first, except those that depend on the rate."""
    low_width = plain.pop("low_width", 48)
    full = make_config("hybrid_demucs", plain)
    if full.sample_rate % 4 or full.n_fft % 4:
        raise SettingsError(
            f"a two-rate model has a sample rate and an n_fft that 4 divides, got "
            f"{full.sample_rate} and {full.n_fft}"
        )
    low = replace(
        full,
        sample_rate=full.sample_rate // 4,
        n_fft=full.n_fft // 4,
        depth=full.depth - 1,
        width=low_width,
        time_width=None,
    )
    return {
        name: {"architecture": "hybrid_demucs", "config": plain_config(part)}
        for name, part in (("full", full), ("low", low))
    }


def stored_tensors(path: str | Path) -> dict[str, StoredTensor]:
    """All weights of a safetensors file by name; each is read on demand, in place.

    Raises:
        CheckpointError: if it is not a safetensors file, or holds weights of an unknown type.
    """
    with open_file(path):
        pass  # it checks that all weights are inside the file and do not overlap
    with Path(path).open("rb") as raw:
        header_bytes = int.from_bytes(raw.read(8), "little")
        entries = json.loads(raw.read(header_bytes))
    found, file = {}, MappedFile(path)
    for name, entry in entries.items():
        if name == "__metadata__":
            continue
        shape, kind = tuple(entry["shape"]), entry["dtype"]
        if kind not in KINDS:
            raise CheckpointError(f"{path}: weight {name:.100} of type {kind}")
        start, stop = entry["data_offsets"]
        read = partial(_read, file, header_bytes + 8 + start, stop - start, shape, kind)
        found[name] = StoredTensor(shape, kind, read)
    return found


def _read(file: MappedFile, start: int, size: int, shape: tuple[int, ...], kind: str) -> np.ndarray:
    if size == 0:
        return np.zeros(shape, KINDS[kind])
    return values_of(file.part(start, size), kind).reshape(shape)


def open_file(path: str | Path) -> Any:
    """Open a safetensors file; its weights are returned as arrays.

    Raises:
        CheckpointError: if it is not a safetensors file.
    """
    try:
        return safe_open(path, framework="np")
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file") from error
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: not a readable safetensors file ({error}); it may be cut short, get it again"
        ) from error


def _parse(path: str | Path, metadata: Mapping[str, str] | None) -> CheckpointInfo:
    text = (metadata or {}).get("unbraid")
    if text is None:
        raise CheckpointError(f"{path}: a safetensors file, but not one of unbraid's")
    try:
        header = json.loads(text)
        version = header["format"]
        if version > FORMAT_VERSION:
            raise CheckpointError(
                f"{path}: checkpoint format {version}, this unbraid reads up to {FORMAT_VERSION}; "
                "update unbraid"
            )
        architecture, config, prefix = str(header["architecture"]), dict(header["config"]), ""
        if version < 2:
            architecture, config, prefix = mend_v1(architecture, config)
        return CheckpointInfo(
            architecture=architecture,
            config=config,
            stems=tuple(header["stems"]),
            sample_rate=int(header["sample_rate"]),
            licence=str(header.get("licence", "")),
            provenance=dict(header.get("provenance", {})),
            prefix=prefix,
        )
    except (CheckpointError, SettingsError) as error:
        named = str(error) if str(error).startswith(str(path)) else f"{path}: {error}"
        raise CheckpointError(named) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{path}: its unbraid header is damaged ({error!r})") from error


def check_shapes(
    path: str | Path, wanted: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]
) -> None:
    """Raise `CheckpointError` unless the file holds exactly the model's weights."""
    wrong = sorted(k for k in wanted.keys() | found.keys() if wanted.get(k) != found.get(k))
    if wrong:
        key = wrong[0]
        raise CheckpointError(
            f"{path}: not fitting the config: {counted(len(wrong), 'weight')}, such as {key}: the "
            "file has "
            f"{found.get(key)}, the model {wanted.get(key)}"
        )
