"""The public class HTDemucs: its arguments, and the names of its weights."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from unbraid.errors import SettingsError

DEFAULTS: dict[str, Any] = {
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
    "depth": 4,
    "rewrite": True,
    "multi_freqs": None,
    "multi_freqs_depth": 3,
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
    "dconv_comp": 8,
    "dconv_init": 1e-3,
    "bottom_channels": 0,
    "t_layers": 5,
    "t_emb": "sin",
    "t_hidden_scale": 4.0,
    "t_heads": 8,
    "t_dropout": 0.0,
    "t_max_positions": 10000,
    "t_norm_in": True,
    "t_norm_in_group": False,
    "t_group_norm": False,
    "t_norm_first": True,
    "t_norm_out": True,
    "t_max_period": 10000.0,
    "t_weight_decay": 0.0,
    "t_lr": None,
    "t_layer_scale": True,
    "t_gelu": True,
    "t_weight_pos_embed": 1.0,
    "t_sin_random_shift": 0,
    "t_cape_mean_normalize": True,
    "t_cape_augment": True,
    "t_cape_glob_loc_scale": [5000.0, 1.0, 1.4],
    "t_sparse_self_attn": False,
    "t_sparse_cross_attn": False,
    "t_mask_type": "diag",
    "t_mask_random_seed": 42,
    "t_sparse_attn_window": 500,
    "t_global_window": 100,
    "t_sparsity": 0.95,
    "t_auto_sparsity": False,
    "t_cross_first": False,
    "rescale": 0.1,
    "samplerate": 44100,
    "segment": 10,
    "use_train_segment": True,
}

_SAME: dict[str, str] = {
    "audio_channels": "audio_channels",
    "channels": "width",
    "channels_time": "time_width",
    "growth": "growth",
    "nfft": "n_fft",
    "depth": "depth",
    "rewrite": "gate",
    "emb_scale": "embedding_scale",
    "emb_smooth": "embedding_smooth",
    "kernel_size": "kernel",
    "stride": "stride",
    "context": "decoder_context",
    "context_enc": "encoder_context",
    "norm_starts": "norm_from",
    "norm_groups": "norm_groups",
    "dconv_depth": "residual_depth",
    "dconv_comp": "residual_compression",
    "dconv_init": "residual_scale",
    "t_layers": "transformer_layers",
    "t_emb": "position",
    "t_hidden_scale": "hidden_scale",
    "t_heads": "heads",
    "t_dropout": "dropout",
    "t_max_positions": "max_positions",
    "t_norm_in": "norm_in",
    "t_norm_first": "norm_first",
    "t_norm_out": "norm_out",
    "t_max_period": "max_period",
    "t_layer_scale": "layer_scale",
    "t_gelu": "gelu",
    "t_weight_pos_embed": "position_weight",
    "t_cross_first": "cross_first",
    "samplerate": "sample_rate",
    "segment": "segment_s",
    "use_train_segment": "pad_to_segment",
}
"""Public argument -> our setting of the same meaning."""

_ONLY: dict[str, tuple[Any, str]] = {
    "cac": (True, "magnitude spectrograms"),
    "multi_freqs": (None, "levels that are split into bands"),
    "t_sparse_self_attn": (False, "sparse attention"),
    "t_sparse_cross_attn": (False, "sparse attention"),
    "t_auto_sparsity": (False, "sparse attention"),
    "t_sin_random_shift": (0, "random shifts of positions"),
    "t_cape_mean_normalize": (True, "CAPE positions that are not centred"),
}
"""Argument -> the one value that is supported, and what others ask for. No public weights do."""


def to_ours(given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Architecture and config for a complete set of public arguments.

    Raises:
        SettingsError: naming an option that unbraid does not have.
    """
    for name, (supported, what) in _ONLY.items():
        if given[name] != supported and given[name] not in ([], ()):
            raise SettingsError(f"HTDemucs with {what} ({name}) is not supported by unbraid")
    config = {ours: given[public] for public, ours in _SAME.items()}
    return "htdemucs", config | {
        "stems": tuple(given["sources"]),
        "embedding_weight": given["freq_emb"] or 0.0,
        "residual_encoder": bool(given["dconv_mode"] & 1),
        "residual_decoder": bool(given["dconv_mode"] & 2),
        "init_reference": given["rescale"] or 0.0,
        "bottleneck": given["bottom_channels"] or 0,
        "norm_in_groups": int(given["t_norm_in_group"] or 0),
        "norm_inner_groups": int(given["t_group_norm"] or 0),
    }


_LISTS = {
    "spec_encoder": "encoder",
    "spec_decoder": "decoder",
    "time_encoder": "tencoder",
    "time_decoder": "tdecoder",
}
_ENCODER_PARTS = {"conv": "conv", "norm": "norm1", "gate.conv": "rewrite", "gate.norm": "norm2"}
_DECODER_PARTS = {"conv": "conv_tr", "norm": "norm2", "gate.conv": "rewrite", "gate.norm": "norm1"}
_RESIDUAL_STEPS = {
    "squeeze": "0", "squeeze_norm": "1", "expand": "3", "expand_norm": "4", "scale": "6",
}  # fmt: skip


def public_names(weights: Collection[str], config: Any) -> dict[str, str]:
    """Our name -> public name of every weight; those of the transformer are the same."""
    return {own: _public_name(own) for own in weights}


def _public_name(own: str) -> str:
    group, *path = own.split(".")
    if group not in _LISTS:
        return own
    number, *part = path
    if part[0] == "embedding":
        return ".".join(["freq_emb", *part[1:]])
    layer = f"{_LISTS[group]}.{number}"
    if part[0] == "residual":
        _, _, branch, step, *rest = part
        return ".".join([layer, "dconv.layers", branch, _RESIDUAL_STEPS[step], *rest])
    parts = _ENCODER_PARTS if group.endswith("encoder") else _DECODER_PARTS
    return ".".join([layer, parts[".".join(part[:-1])], part[-1]])
