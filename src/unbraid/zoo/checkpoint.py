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
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from unbraid.atomic import publish
from unbraid.errors import CheckpointError, SettingsError
from unbraid.models.build import build_model, describe_model
from unbraid.zoo.header import (
    FORMAT_VERSION,
    CheckpointInfo,
    check_shapes,
    open_file,
    read_info,
    shapes_in,
)

__all__ = ["CheckpointInfo", "load_checkpoint", "read_info", "read_layout", "save_checkpoint"]


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


def load_checkpoint(path: str | Path) -> nn.Module:
    """The model in the file at `path`: on the CPU, float32, in evaluation mode.

    The shapes that the file holds are compared with those of the model before memory is taken.

    Raises:
        CheckpointError: if the file is damaged, not ours, or does not fit its own config.
    """
    model = read_layout(path)
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    with open_file(path, "pt") as file:
        check_shapes(path, wanted, shapes_in(file))
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
