"""Our checkpoint format, read and written here alone.

One safetensors file: the weights under our own names (any float type), and in its metadata, under
`unbraid`, JSON that says what they are: format version, architecture, config, stems, sample rate,
licence and where the weights come from. Nothing in it is executed: the architecture is looked up in
`models.build.ARCHITECTURES`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from unbraid.atomic import publish
from unbraid.errors import CheckpointError, SettingsError
from unbraid.models.build import build_model, describe_model

FORMAT_VERSION = 1


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


def save_checkpoint(
    path: str | Path,
    model: nn.Module,
    *,
    licence: str = "",
    provenance: Mapping[str, Any] | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Write `model` to `path`, whole or not at all.

    Args:
        dtype: type the weights are stored in, e.g. `torch.float16`; None keeps theirs.
    """
    path = Path(path)
    architecture, config = describe_model(model)
    header = {
        "format": FORMAT_VERSION,
        "architecture": architecture,
        "config": config,
        "stems": config["stems"],
        "sample_rate": config["sample_rate"],
        "licence": licence,
        "provenance": dict(provenance or {}),
    }
    state = {
        key: value.detach().to("cpu", dtype).contiguous()
        for key, value in model.state_dict().items()
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.touch()
        mode = temporary.stat().st_mode
        save_file(state, temporary, metadata={"unbraid": json.dumps(header)})
        temporary.chmod(mode)  # safetensors shuts out everyone but the owner
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_info(path: str | Path) -> CheckpointInfo:
    """What the file at `path` says of itself, without reading the weights.

    Raises:
        CheckpointError: if it is not a checkpoint of ours, or of a later format.
    """
    with _open(path) as file:
        return _parse(path, file.metadata())


def load_checkpoint(path: str | Path) -> nn.Module:
    """The model in the file at `path`: on the CPU, float32, in evaluation mode.

    The shapes that the file holds are compared with those of the model before memory is taken.

    Raises:
        CheckpointError: if the file is damaged, not ours, or does not fit its own config.
    """
    model = read_layout(path)
    with _open(path) as file:
        _check_shapes(path, model, {k: tuple(file.get_slice(k).get_shape()) for k in file.keys()})  # noqa: SIM118
        state: dict[str, Tensor] = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
    model.load_state_dict(state, assign=True)
    return model.eval()


def read_layout(path: str | Path) -> nn.Module:
    """The model that the file at `path` describes, without memory for its weights.

    Raises:
        CheckpointError: if the file is damaged, not ours, or its config makes no model.
    """
    info = read_info(path)
    try:
        with torch.device("meta"):
            return build_model(info.architecture, info.config)
    except (TypeError, ValueError, ArithmeticError, SettingsError, RuntimeError) as error:
        raise CheckpointError(f"{path}: its config makes no model: {error!s:.300}") from error
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _open(path: str | Path) -> Any:
    try:
        return safe_open(path, framework="pt")
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


def _check_shapes(path: str | Path, model: nn.Module, found: Mapping[str, tuple[int, ...]]) -> None:
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    wrong = sorted(k for k in wanted.keys() | found.keys() if wanted.get(k) != found.get(k))
    if wrong:
        key = wrong[0]
        raise CheckpointError(
            f"{path}: {len(wrong)} weights do not fit the config, such as {key}: the file has "
            f"{found.get(key)}, the model {wanted.get(key)}"
        )
