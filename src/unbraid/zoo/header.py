"""What one of our checkpoints says, and its weights as arrays: read without torch.

The format is described in `checkpoint.py`, where models of torch are written and read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from unbraid.errors import CheckpointError, SettingsError
from unbraid.models.configs import make_config
from unbraid.models.configs.hybrid_demucs import HybridDemucsConfig
from unbraid.models.configs.weights import weight_shapes
from unbraid.zoo.stored import KINDS, StoredTensor, values_of

FORMAT_VERSION = 1

_TYPES = frozenset({"F16", "F32", "F64"})


@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint says of itself.

    Attributes:
        architecture, config: as `models.build.build_model` takes them.
        stems, sample_rate: of the model.
        licence: of the weights, as an SPDX name or a sentence.
        provenance: how the weights came about; plain JSON.
    """

    architecture: str
    config: dict[str, Any]
    stems: tuple[str, ...]
    sample_rate: int
    licence: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)


def read_info(path: str | Path) -> CheckpointInfo:
    """What the file at `path` says of itself, without reading the weights.

    Raises:
        CheckpointError: if it is not a checkpoint of ours, or of a later format.
    """
    with open_file(path) as file:
        return _parse(path, file.metadata())


def read_metadata(path: Path) -> dict[str, str]:
    """What a safetensors file says of itself.

    Raises:
        CheckpointError: if it is none.
    """
    try:
        with safe_open(path, framework="np") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path}: not a readable safetensors file ({error!s:.200}); it may be cut short, "
            "get it again"
        ) from error


def hybrid_config(path: str | Path) -> HybridDemucsConfig | None:
    """The config of the model in the file at `path`, looked over as building it would.

    None if it is no Hybrid Demucs, at one rate or two, or what makes no model: building it in torch
    says why.
    """
    info = read_info(path)
    if info.architecture not in ("hybrid_demucs", "two_rate_demucs"):
        return None
    try:
        config: HybridDemucsConfig = make_config(info.architecture, info.config)
        weight_shapes(config)
    except (TypeError, ValueError, ArithmeticError, SettingsError, CheckpointError):
        return None
    return config


def read_weights(path: str | Path, config: HybridDemucsConfig) -> Iterator[tuple[str, np.ndarray]]:
    """Names and weights as the file stores them, in the network's order.

    All shapes are compared with the config first. The weights are views of the file, read when they
    are looked at: copy what is to last.

    Raises:
        CheckpointError: if they do not fit, or are of a type that numpy has not (`has_arrays`).
    """
    wanted = weight_shapes(config)
    with open_file(path) as file:
        check_shapes(path, wanted, shapes_in(file))
    stored = stored_tensors(path)
    for name in wanted:
        yield name, stored[name].read()


def stored_tensors(path: str | Path) -> dict[str, StoredTensor]:
    """All weights of a safetensors file by name, to be read where they lie.

    Raises:
        CheckpointError: if it is no such file, or holds weights of an unknown kind.
    """
    with open_file(path):
        pass  # which looks whether all weights lie within the file, and apart
    with Path(path).open("rb") as raw:
        header_bytes = int.from_bytes(raw.read(8), "little")
        entries = json.loads(raw.read(header_bytes))
    found = {}
    for name, entry in entries.items():
        if name == "__metadata__":
            continue
        shape, kind = tuple(entry["shape"]), entry["dtype"]
        if kind not in KINDS:
            raise CheckpointError(f"{path}: weight {name:.100} of type {kind}")
        start, stop = entry["data_offsets"]
        read = partial(_read, path, header_bytes + 8 + start, stop - start, shape, kind)
        found[name] = StoredTensor(shape, kind, read)
    return found


def _read(path: str | Path, start: int, size: int, shape: tuple[int, ...], kind: str) -> np.ndarray:
    if size == 0:
        return np.zeros(shape, KINDS[kind])
    content = np.memmap(path, np.uint8, "r", offset=start, shape=(size,))
    return values_of(np.asarray(content), kind).reshape(shape)


def has_arrays(path: str | Path) -> bool:
    """Whether numpy has the types of all weights in the file."""
    with open_file(path, "np") as file:
        return all(file.get_slice(key).get_dtype() in _TYPES for key in file.keys())  # noqa: SIM118


def shapes_in(file: Any) -> dict[str, tuple[int, ...]]:
    """Shapes of all weights in an open file."""
    return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118


def open_file(path: str | Path, framework: str = "np") -> Any:
    """A safetensors file, whose weights come as arrays ("np") or tensors ("pt").

    Raises:
        CheckpointError: if it is none.
    """
    try:
        return safe_open(path, framework=framework)
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
        return CheckpointInfo(
            architecture=str(header["architecture"]),
            config=dict(header["config"]),
            stems=tuple(header["stems"]),
            sample_rate=int(header["sample_rate"]),
            licence=str(header.get("licence", "")),
            provenance=dict(header.get("provenance", {})),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{path}: its unbraid header is damaged ({error!r})") from error


def check_shapes(
    path: str | Path, wanted: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]
) -> None:
    """Raise `CheckpointError` unless the file holds just what the model takes."""
    wrong = sorted(k for k in wanted.keys() | found.keys() if wanted.get(k) != found.get(k))
    if wrong:
        key = wrong[0]
        raise CheckpointError(
            f"{path}: {len(wrong)} weights do not fit the config, such as {key}: the file has "
            f"{found.get(key)}, the model {wanted.get(key)}"
        )
