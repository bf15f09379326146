"""Public settings of RoFormers, as the `model` section of a YAML gives them. Weights keep names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SAME: dict[str, str] = {
    "dim": "width",
    "depth": "depth",
    "time_transformer_depth": "time_layers",
    "freq_transformer_depth": "frequency_layers",
    "linear_transformer_depth": "joint_layers",
    "dim_head": "head_width",
    "heads": "heads",
    "attn_dropout": "attention_dropout",
    "ff_dropout": "dropout",
    "stft_n_fft": "n_fft",
    "stft_hop_length": "hop",
    "stft_win_length": "window",
    "stft_normalized": "normalized",
    "zero_dc": "silence_dc",
    "mlp_expansion_factor": "mask_growth",
    "skip_connection": "skips",
    "use_pope": "polar",
}
"""Public argument -> our setting of the same meaning."""

_DEFAULTS: dict[str, Any] = {
    "time_transformer_depth": 2,
    "freq_transformer_depth": 2,
    "linear_transformer_depth": 0,
    "dim_head": 64,
    "heads": 8,
    "attn_dropout": 0.0,
    "ff_dropout": 0.0,
    "stft_n_fft": 2048,
    "stft_hop_length": 512,
    "stft_win_length": 2048,
    "stft_normalized": False,
    "zero_dc": True,
    "mlp_expansion_factor": 4,
    "skip_connection": False,
    "use_pope": False,
    "stereo": False,
    "num_stems": 1,
}

IGNORED = (
    "flash_attn",
    "dim_freqs_in",
    "stft_window_fn",
    "use_torch_checkpoint",
    "sage_attention",
    "match_input_audio_length",
    "multi_stft_resolution_loss_weight",
    "multi_stft_resolutions_window_sizes",
    "multi_stft_hop_size",
    "multi_stft_normalized",
    "multi_stft_window_fn",
)
"""Arguments that say how to train or how to compute, not what."""

BS_ARGUMENTS = (*_SAME, "stereo", "num_stems", "freqs_per_bands", "mask_estimator_depth")
MEL_ARGUMENTS = (
    *_SAME, "stereo", "num_stems", "num_bands", "sample_rate", "mask_estimator_depth",
)  # fmt: skip


def bs_config(given: Mapping[str, Any]) -> dict[str, Any]:
    """Our settings for the arguments of a BS-RoFormer, all except stems and segment."""
    config = _common(given)
    # Here the depth counts linear layers, in Mel-Band RoFormer the hidden ones.
    config["mask_hidden_layers"] = int(given.get("mask_estimator_depth", 2)) - 1
    if given.get("freqs_per_bands") is not None:
        config["bands"] = tuple(given["freqs_per_bands"])
    return config


def mel_config(given: Mapping[str, Any]) -> dict[str, Any]:
    """Our settings for the arguments of a Mel-Band RoFormer, all except stems and segment."""
    config = _common(given)
    config["mask_hidden_layers"] = given.get("mask_estimator_depth", 1)
    config["mel_bands"] = given.get("num_bands", 60)
    config["sample_rate"] = given.get("sample_rate", 44100)
    return config


def _common(given: Mapping[str, Any]) -> dict[str, Any]:
    filled = {**_DEFAULTS, **given}
    config = {ours: filled[public] for public, ours in _SAME.items()}
    return config | {"audio_channels": 2 if filled["stereo"] else 1}
