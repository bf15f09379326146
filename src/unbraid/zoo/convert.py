"""Foreign checkpoints into ours and back, key by key.

Public Hybrid Demucs weights name every layer by its number, on four lists: `encoder`, `tencoder` (time),
`decoder`, `tdecoder`. Ours are named by what they are. The tables below say which is which.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from unbraid.errors import CheckpointError, SettingsError
from unbraid.models.hybrid_demucs import HybridDemucs, HybridDemucsConfig

_ENCODER_PARTS = {"conv": "conv", "norm1": "norm", "rewrite": "gate.conv", "norm2": "gate.norm"}
_DECODER_PARTS = {"conv_tr": "conv", "norm2": "norm", "rewrite": "gate.conv", "norm1": "gate.norm"}

_PUBLIC_DEFAULTS: dict[str, Any] = {
    "sources": ("drums", "bass", "other", "vocals"),
    "audio_channels": 2,
    "channels": 48,
    "channels_time": None,
    "growth": 2,
    "nfft": 4096,
    "wiener_iters": 0,
    "end_iters": 0,
    "wiener_residual": False,
    "cac": True,
    "depth": 6,
    "rewrite": True,
    "hybrid": True,
    "hybrid_old": False,
    "multi_freqs": None,
    "multi_freqs_depth": 2,
    "freq_emb": 0.2,
    "emb_scale": 10,
    "emb_smooth": True,
    "kernel_size": 8,
    "time_stride": 2,
    "stride": 4,
    "context": 1,
    "context_enc": 0,
    "norm_starts": 4,
    "norm_groups": 4,
    "dconv_mode": 1,
    "dconv_depth": 2,
    "dconv_comp": 4,
    "dconv_attn": 4,
    "dconv_lstm": 4,
    "dconv_init": 1e-4,
    "rescale": 0.1,
    "samplerate": 44100,
    "segment": 40,
}


def from_official(
    name: str, kwargs: Mapping[str, Any], state_dict: Mapping[str, Tensor] | None = None
) -> nn.Module:
    """Build a model from the constructor arguments and weights of a public Demucs class.

    Args:
        name: public class name, `"HDemucs"`.
        kwargs: its keyword arguments, under the public names. Unknown ones are dropped with a warning.
        state_dict: its weights under the public keys, any float type; None leaves start weights.
    Returns:
        our model in evaluation mode, float32.
    Raises:
        CheckpointError: for another class, a variant not supported, or weights that do not fit.
    """
    if name != "HDemucs":
        raise CheckpointError(f"unknown public model class {name!r}; known is HDemucs")
    model = HybridDemucs(_hybrid_config(kwargs))
    if state_dict is not None:
        load_official_state(model, state_dict)
    return model.eval()


def load_official_state(model: HybridDemucs, state_dict: Mapping[str, Tensor]) -> None:
    """Copy weights under public names into `model`.

    Raises:
        CheckpointError: naming keys that are missing, unexpected or of the wrong shape.
    """
    ours = model.state_dict()
    names = {official_key(key, model.config): key for key in ours}
    missing, foreign = names.keys() - state_dict.keys(), state_dict.keys() - names.keys()
    if missing or foreign:
        raise CheckpointError(
            f"the weights do not fit the model: {_some('missing', missing)}{_some('unexpected', foreign)}"
        )
    for public, own in names.items():
        if state_dict[public].shape != ours[own].shape:
            raise CheckpointError(
                f"weight {public} has shape {tuple(state_dict[public].shape)}, the model takes "
                f"{tuple(ours[own].shape)}"
            )
        with torch.no_grad():
            ours[own].copy_(state_dict[public])


def to_official_state(model: HybridDemucs) -> dict[str, Tensor]:
    """The weights of `model` under their public names."""
    return {official_key(key, model.config): value for key, value in model.state_dict().items()}


def official_key(key: str, config: HybridDemucsConfig) -> str:
    """The public name of one of our parameters."""
    group, *path = key.split(".")
    outer, depth = config.outer_levels, config.depth
    if group == "meeting":
        if path[0] == "time_conv":
            return ".".join([f"tencoder.{outer}.conv", *path[1:]])
        return _layer(f"encoder.{outer}", path, _ENCODER_PARTS, outer, config)
    if group == "parting":
        if path[0] in ("time_conv", "time_norm"):
            part = {"time_conv": "conv_tr", "time_norm": "norm2"}[path[0]]
            return ".".join(["tdecoder.0", part, *path[1:]])
        return _layer(f"decoder.{depth - 1 - outer}", path, _DECODER_PARTS, outer, config)
    index = int(path.pop(0))
    if path[0] == "embedding":
        return ".".join(["freq_emb", *path[1:]])
    place, parts, level = _PLACES[group](index, outer, depth)
    return _layer(place, path, parts, level, config)


# Our list -> (public list and index, its part names, level), given index, outer levels and depth.
_Place = Callable[[int, int, int], tuple[str, dict[str, str], int]]
_PLACES: dict[str, _Place] = {
    "spec_encoder": lambda i, outer, depth: (f"encoder.{i}", _ENCODER_PARTS, i),
    "time_encoder": lambda i, outer, depth: (f"tencoder.{i}", _ENCODER_PARTS, i),
    "shared_encoder": lambda i, outer, depth: (
        f"encoder.{outer + 1 + i}",
        _ENCODER_PARTS,
        outer + 1 + i,
    ),
    "shared_decoder": lambda i, outer, depth: (f"decoder.{i}", _DECODER_PARTS, depth - 1 - i),
    "spec_decoder": lambda i, outer, depth: (
        f"decoder.{depth - outer + i}",
        _DECODER_PARTS,
        outer - 1 - i,
    ),
    "time_decoder": lambda i, outer, depth: (f"tdecoder.{1 + i}", _DECODER_PARTS, outer - 1 - i),
}


def _layer(
    place: str, path: list[str], parts: dict[str, str], level: int, config: HybridDemucsConfig
) -> str:
    if path[0] == "residual":
        _, _, branch, part, *rest = path
        steps = residual_steps(level >= config.lstm_from, level >= config.attention_from)
        return ".".join([place, "dconv.layers", branch, str(steps.index(part)), *rest])
    own = ".".join(path[:-1])
    public = next(p for p, ours in parts.items() if ours == own)
    return f"{place}.{public}.{path[-1]}"


def residual_steps(lstm: bool, attention: bool) -> list[str]:
    """Our part names of a residual branch, in the order of the public Sequential."""
    middle = ["lstm"] * lstm + ["attention"] * attention
    return [
        "squeeze", "squeeze_norm", "activation", *middle, "expand", "expand_norm", "gate", "scale",
    ]  # fmt: skip


def _hybrid_config(kwargs: Mapping[str, Any]) -> HybridDemucsConfig:
    given = _known_arguments("HDemucs", kwargs, _PUBLIC_DEFAULTS)
    _refuse_variants(given)
    try:
        config = HybridDemucsConfig(
            stems=tuple(given["sources"]),
            sample_rate=given["samplerate"],
            audio_channels=given["audio_channels"],
            segment_s=float(given["segment"]),
            width=given["channels"],
            time_width=given["channels_time"],
            growth=given["growth"],
            n_fft=given["nfft"],
            depth=given["depth"],
            kernel=given["kernel_size"],
            stride=given["stride"],
            shared_stride=given["time_stride"],
            gate=given["rewrite"],
            encoder_context=given["context_enc"],
            decoder_context=given["context"],
            norm_from=given["norm_starts"],
            norm_groups=given["norm_groups"],
            embedding_weight=given["freq_emb"] or 0.0,
            embedding_scale=given["emb_scale"],
            embedding_smooth=given["emb_smooth"],
            residual_encoder=bool(given["dconv_mode"] & 1),
            residual_decoder=bool(given["dconv_mode"] & 2),
            residual_depth=given["dconv_depth"],
            residual_compression=given["dconv_comp"],
            residual_scale=given["dconv_init"],
            lstm_from=given["dconv_lstm"],
            attention_from=given["dconv_attn"],
            init_reference=given["rescale"] or 0.0,
        )
        config.check()
    except (TypeError, ValueError, SettingsError) as error:
        raise CheckpointError(f"HDemucs arguments that make no model: {error}") from error
    return config


def _known_arguments(
    name: str, kwargs: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    unknown = [key for key in kwargs if key not in defaults]
    if unknown:
        warnings.warn(f"{name} arguments dropped: {', '.join(sorted(unknown))}", stacklevel=3)
    return {**defaults, **{key: value for key, value in kwargs.items() if key in defaults}}


def _refuse_variants(given: Mapping[str, Any]) -> None:
    unusual = {"cac": True, "hybrid": True, "hybrid_old": False}
    for key, usual in unusual.items():
        if bool(given[key]) != usual:
            raise CheckpointError(f"HDemucs with {key}={given[key]!r} is not supported yet")
    if given["multi_freqs"]:
        raise CheckpointError("HDemucs with multi_freqs is not supported yet")


def _some(what: str, keys: set[str]) -> str:
    if not keys:
        return ""
    shown = ", ".join(sorted(keys)[:3])
    return f"{what} {len(keys)} ({shown}{', ...' if len(keys) > 3 else ''}) "
