"""The public class Demucs: its arguments, and the names and order of its weights.

Each of its layers is a sequence whose steps are numbered, with numbers for steps without weights
too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from unbraid.models.demucs.config import DemucsConfig
from unbraid.models.hybrid_demucs.public import residual_name

DEFAULTS: dict[str, Any] = {
    "sources": ("drums", "bass", "other", "vocals"),
    "audio_channels": 2,
    "channels": 64,
    "growth": 2.0,
    "depth": 6,
    "rewrite": True,
    "lstm_layers": 0,
    "kernel_size": 8,
    "stride": 4,
    "context": 1,
    "gelu": True,
    "glu": True,
    "norm_starts": 4,
    "norm_groups": 4,
    "dconv_mode": 1,
    "dconv_depth": 2,
    "dconv_comp": 4,
    "dconv_attn": 4,
    "dconv_lstm": 4,
    "dconv_init": 1e-4,
    "normalize": True,
    "resample": True,
    "rescale": 0.1,
    "samplerate": 44100,
    "segment": 40,
}

_SAME: dict[str, str] = {
    "samplerate": "sample_rate",
    "audio_channels": "audio_channels",
    "segment": "segment_s",
    "channels": "width",
    "growth": "growth",
    "depth": "depth",
    "kernel_size": "kernel",
    "stride": "stride",
    "rewrite": "rewrite",
    "context": "context",
    "glu": "gated",
    "gelu": "smooth",
    "lstm_layers": "lstm_layers",
    "norm_starts": "norm_from",
    "norm_groups": "norm_groups",
    "dconv_depth": "residual_depth",
    "dconv_comp": "residual_compression",
    "dconv_init": "residual_scale",
    "dconv_lstm": "lstm_from",
    "dconv_attn": "attention_from",
    "normalize": "normalize",
    "resample": "resample",
}


def to_ours(given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Architecture and config for a complete set of public arguments."""
    config = {ours: given[public] for public, ours in _SAME.items()}
    return "demucs", config | {
        "stems": tuple(given["sources"]),
        "lstm_layers": given["lstm_layers"] or 0,
        "residual_encoder": bool(given["dconv_mode"] & 1),
        "residual_decoder": bool(given["dconv_mode"] & 2),
        "init_reference": given["rescale"] or 0.0,
    }


def public_names(weights: Collection[str], config: Any) -> dict[str, str]:
    """Our name -> public name of every weight, in the public order, which is ours."""
    return {own: _name(own, config) for own in weights}


def _name(own: str, config: DemucsConfig) -> str:
    group, *path = own.split(".")
    if group == "core":
        return ".".join(["lstm", *path])
    index = int(path.pop(0))
    level = index if group == "encoder" else config.depth - 1 - index
    steps = _steps(group, config)
    if path[0] == "residual":
        inner = residual_name(path, level, config.lstm_from, config.attention_from)
        return ".".join([group, str(index), str(steps.index("residual")), *inner])
    return ".".join([group, str(index), str(steps.index(".".join(path[:-1]))), path[-1]])


def _steps(group: str, config: DemucsConfig) -> list[str]:
    """Our part names of a layer, in the order of the public Sequential."""
    rewrite = ["rewrite.conv", "rewrite.norm", "rewrite.gate"] * config.rewrite
    if group == "encoder":
        residual = ["residual"] * config.residual_encoder
        return ["conv", "norm", "activation", *residual, *rewrite]
    return [*rewrite, *["residual"] * config.residual_decoder, "conv", "norm", "activation"]


def mend_old_names(state: Mapping[str, Any]) -> dict[str, Any]:
    """Weights of models from before layers had a step for the norm, under today's names.

    >>> mend_old_names({"encoder.0.2.weight": 1})
    {'encoder.0.3.weight': 1}
    """
    mended = {}
    for key, value in state.items():
        parts = str(key).split(".")
        if len(parts) == 4 and parts[0] in ("encoder", "decoder") and parts[2] == "2":
            newer = ".".join([parts[0], parts[1], "3", parts[3]])
            if newer not in state:
                key = newer
        mended[key] = value
    return mended
