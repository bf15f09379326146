"""Packages of `asteroid`: their class and arguments, converted to our settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unbraid.errors import CheckpointError

_NORMS = {"gLN": "global", "cLN": "frame", "cgLN": "cumulative", "BN": "batch"}
_MASKS = ("relu", "sigmoid", "softmax")


def asteroid_settings(
    name: str, given: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
) -> tuple[str, dict[str, Any]] | None:
    """Our architecture and settings; None for an unknown class.

    Raises:
        CheckpointError: for arguments that our network does not have.
    """
    if name == "ConvTasNet":
        return "conv_tasnet", _conv_tasnet(_over(_CONV_TASNET, given))
    if name == "DPRNNTasNet":
        return "dprnn", _dprnn(_over(_DPRNN, given))
    if name in ("XUMX", "BrokenXUMX"):
        return "x_umx", _x_umx(_over(_X_UMX, given), shapes)
    return None


_CONV_TASNET: dict[str, Any] = {
    "n_src": 2, "n_filters": 512, "kernel_size": 16, "stride": 8, "bn_chan": 128, "hid_chan": 512,
    "skip_chan": 128, "conv_kernel_size": 3, "n_blocks": 8, "n_repeats": 3, "norm_type": "gLN",
    "mask_act": "sigmoid", "causal": False, "encoder_activation": None, "sample_rate": 8000,
}  # fmt: skip
_DPRNN: dict[str, Any] = {
    "n_src": 2, "n_filters": 64, "kernel_size": 16, "stride": 8, "bn_chan": 128, "hid_size": 128,
    "chunk_size": 100, "hop_size": None, "n_repeats": 6, "norm_type": "gLN", "mask_act": "sigmoid",
    "bidirectional": True, "rnn_type": "LSTM", "num_layers": 1, "dropout": 0, "use_mulcat": False,
    "sample_rate": 8000,
}  # fmt: skip
_X_UMX: dict[str, Any] = {
    "sources": (), "in_chan": 4096, "n_hop": 1024, "hidden_size": 512, "nb_channels": 2,
    "nb_layers": 3, "bidirectional": True, "spec_power": 1, "sample_rate": 44100,
}  # fmt: skip


def _over(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    return {**defaults, **{key: value for key, value in given.items() if key in defaults}}


def _stems(count: Any) -> tuple[str, ...]:
    if not isinstance(count, int) or not 1 <= count <= 256:
        raise CheckpointError(f"a package of {count!r:.80} sources")
    return tuple(f"source {index + 1}" for index in range(count))


def _one_of(what: str, value: Any, known: Mapping[str, str] | tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in known:
        raise CheckpointError(f"{what} is one of {', '.join(known)}, got {value!r:.80}")
    return known[value] if isinstance(known, Mapping) else value


def _on_a_basis(given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of any network that masks a learnt basis."""
    return {
        "stems": _stems(given["n_src"]),
        "audio_channels": 1,
        "sample_rate": _rate(given),
        "basis": given["n_filters"],
        "kernel": given["kernel_size"],
        "stride": given["stride"],
        "width": given["bn_chan"],
        "mask": _one_of("mask_act", given["mask_act"], _MASKS),
    }


def _conv_tasnet(given: Mapping[str, Any]) -> dict[str, Any]:
    norm = _one_of("norm_type", given["norm_type"], _NORMS)
    return {
        **_on_a_basis(given),
        "hidden": given["hid_chan"],
        "skip_width": given["skip_chan"] or 0,
        "conv_kernel": given["conv_kernel_size"],
        "blocks": given["n_blocks"],
        "repeats": given["n_repeats"],
        "norm": norm,
        "input_norm": norm,
        "causal": bool(given["causal"]),
        "bias": True,
        "rectified": given["encoder_activation"] == "relu",
        "mask_slope": True,
    }


def _dprnn(given: Mapping[str, Any]) -> dict[str, Any]:
    if given["norm_type"] != "gLN":
        raise CheckpointError(f"DPRNN with a norm other than gLN, {given['norm_type']!r:.80}")
    rnns = {"LSTM": "lstm", "GRU": "gru", "RNN": "rnn"}
    return {
        **_on_a_basis(given),
        "hidden": given["hid_size"],
        "chunk": given["chunk_size"],
        "hop": given["hop_size"] or given["chunk_size"] // 2,
        "repeats": given["n_repeats"],
        "rnn": _one_of("rnn_type", given["rnn_type"], rnns),
        "layers": given["num_layers"],
        "dropout": given["dropout"],
        "both_ways": bool(given["bidirectional"]),
        "multiply": bool(given["use_mulcat"]),
    }


def _x_umx(given: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    stems = given["sources"]
    if not isinstance(stems, (list, tuple)) or not all(isinstance(stem, str) for stem in stems):
        raise CheckpointError(f"a package of sources {stems!r:.80}")
    if not stems or given["spec_power"] != 1:
        raise CheckpointError("X-UMX has sources, and reads magnitudes (spec_power 1)")
    bins = shapes.get(f"mean_scale.input_mean_{stems[0]}", (0,))[0]
    return {
        "stems": tuple(stems),
        "audio_channels": given["nb_channels"],
        "sample_rate": _rate(given),
        "n_fft": given["in_chan"],
        "hop": given["n_hop"],
        "bins": bins,
        "hidden": given["hidden_size"],
        "lstm_layers": given["nb_layers"],
        "both_ways": bool(given["bidirectional"]),
    }


def _rate(given: Mapping[str, Any]) -> int:
    rate = given["sample_rate"]
    if not isinstance(rate, (int, float)) or not 1 <= rate <= 1_000_000:
        raise CheckpointError(f"a sample rate of {rate!r:.80}")
    return int(rate)
