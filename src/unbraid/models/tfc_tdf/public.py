"""Public settings of TFC-TDF v3, as the sections of a YAML give them. Weights keep their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unbraid.errors import SettingsError

_NORMS = {"InstanceNorm": "instance", "BatchNorm": "batch", "none": "none", "None": "none"}

ARGUMENTS = (
    "act", "norm", "num_subbands", "num_scales", "scale", "num_blocks_per_scale", "num_channels",
    "growth", "bottleneck_factor",
)  # fmt: skip


def to_config(audio: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, Any]:
    """Our settings for the public sections `audio` and `model`, all except stems and segment.

    Raises:
        SettingsError: for a norm or an activation that is not known.
        KeyError: if a section lacks a setting.
    """
    scale_time, scale_frequency = model["scale"]
    return {
        "audio_channels": audio["num_channels"],
        "n_fft": audio["n_fft"],
        "hop": audio["hop_length"],
        "used_bins": audio["dim_f"],
        "subbands": model["num_subbands"],
        "width": model["num_channels"],
        "growth": model["growth"],
        "scales": model["num_scales"],
        "scale_time": scale_time,
        "scale_frequency": scale_frequency,
        "blocks": model["num_blocks_per_scale"],
        "bottleneck": model["bottleneck_factor"],
        **_norm(str(model["norm"])),
        **_activation(str(model["act"])),
    }


def _norm(text: str) -> dict[str, Any]:
    if text in _NORMS:
        return {"norm": _NORMS[text]}
    if text.startswith("GroupNorm") and text.removeprefix("GroupNorm").isdecimal():
        return {"norm": "group", "norm_groups": int(text.removeprefix("GroupNorm"))}
    raise SettingsError(f"norm {text!r:.40} is not known; known are InstanceNorm, GroupNorm4, ...")


def _activation(text: str) -> dict[str, Any]:
    if text in ("gelu", "relu"):
        return {"activation": text}
    try:
        if text.startswith("elu"):
            return {"activation": "elu", "elu_alpha": float(text.removeprefix("elu"))}
    except ValueError:
        pass
    raise SettingsError(f"activation {text!r:.40} is not known; known are gelu, relu, elu1.0, ...")
