"""unbraid's checkpoint format: written here, read by `header.py`.

One safetensors file: the weights under our own names (any float type), and in its metadata, under
`unbraid`, JSON that says what they are: format version, architecture, config, stems, sample rate,
licence and where the weights come from. A model made of models is one file, too: its config nests,
and weights are named MEMBER.WEIGHT. Nothing in a file is executed: the architecture is looked up by
name in `models.registry`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unbraid.atomic import replacing
from unbraid.models.registry import (
    architecture_of,
    describe_model,
    make_config,
    plain_config,
)
from unbraid.zoo.header import FORMAT_VERSION, CheckpointInfo, read_info
from unbraid.zoo.stored import StoredModel

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["CheckpointInfo", "read_info", "save_arrays", "save_checkpoint"]


def save_checkpoint(
    path: str | Path,
    model: nn.Module,
    *,
    licence: str = "",
    provenance: Mapping[str, Any] | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Write a torch network to `path`; an incomplete file never appears under that name.

    Args:
        path: file to write.
        model: a network of one of unbraid's architectures.
        licence: of the weights.
        provenance: origin of the weights; plain JSON.
        dtype: type the weights are stored in, e.g. `torch.float16`; None keeps theirs.
    """
    from safetensors.torch import save_file

    architecture, config = describe_model(model)
    header = _header(make_config(architecture, config), licence, provenance or {})
    state = {
        key: value.detach().to("cpu", dtype).contiguous()
        for key, value in model.state_dict().items()
    }
    _write(Path(path), lambda target: save_file(state, target, metadata=header))


def save_arrays(
    path: str | Path,
    model: StoredModel,
    dtype: Any = np.float32,
    *,
    licence: str = "",
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Write a stored model to `path` in unbraid's format; needs no torch.

    Args:
        path: file to write.
        model: the stored model; its weights are read now.
        dtype: type the weights are stored in.
        licence: of the weights.
        provenance: origin of the weights; plain JSON.
    """
    from safetensors.numpy import save_file

    header = _header(model.config, licence, provenance or {})
    state = {
        name: np.ascontiguousarray(weight.read(), dtype) for name, weight in model.weights.items()
    }
    _write(Path(path), lambda target: save_file(state, target, metadata=header))


def _header(config: Any, licence: str, provenance: Mapping[str, Any]) -> dict[str, str]:
    header = {
        "format": FORMAT_VERSION,
        "architecture": architecture_of(config),
        "config": plain_config(config),
        "stems": config.spec.stems,
        "sample_rate": config.spec.sample_rate,
        "licence": licence,
        "provenance": dict(provenance),
    }
    return {"unbraid": json.dumps(header)}


def _write(path: Path, write: Callable[[Path], None]) -> None:
    with replacing(path) as temporary:
        temporary.touch()
        mode = temporary.stat().st_mode
        write(temporary)
        temporary.chmod(mode)  # safetensors lets only the owner read it
