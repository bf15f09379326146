"""The public class HDemucs: its arguments, and the names and order of its weights.

Its layers stand on four lists, `encoder`, `decoder`, `tencoder`, `tdecoder` (time), numbered
through, the shared ones among the spectral ones. Ours are named by what they are. The tables below
say which is which.
"""

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

_SAME: dict[str, str] = {
    "samplerate": "sample_rate",
    "audio_channels": "audio_channels",
    "segment": "segment_s",
    "channels": "width",
    "growth": "growth",
    "nfft": "n_fft",
    "depth": "depth",
    "kernel_size": "kernel",
    "stride": "stride",
    "time_stride": "shared_stride",
    "rewrite": "gate",
    "context_enc": "encoder_context",
    "context": "decoder_context",
    "norm_starts": "norm_from",
    "norm_groups": "norm_groups",
    "emb_scale": "embedding_scale",
    "emb_smooth": "embedding_smooth",
    "dconv_depth": "residual_depth",
    "dconv_comp": "residual_compression",
    "dconv_init": "residual_scale",
    "dconv_lstm": "lstm_from",
    "dconv_attn": "attention_from",
    "wiener_iters": "wiener_iterations",
    "end_iters": "wiener_training_iterations",
    "wiener_residual": "wiener_residual",
}
"""Public argument -> our setting of the same meaning."""


def to_ours(given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Architecture and config for a complete set of public arguments.

    >>> to_ours({**DEFAULTS, "hybrid": False})[0]
    'spectrogram_demucs'
    """
    config = {ours: given[public] for public, ours in _SAME.items()}
    config |= {
        "stems": tuple(given["sources"]),
        "magnitude": not given["cac"],
        "band_splits": tuple(given["multi_freqs"] or ()),
        "band_split_levels": given["multi_freqs_depth"],
        "embedding_weight": given["freq_emb"] or 0.0,
        "residual_encoder": bool(given["dconv_mode"] & 1),
        "residual_decoder": bool(given["dconv_mode"] & 2),
        "init_reference": given["rescale"] or 0.0,
    }
    if given["hybrid"]:
        hybrid = {"time_width": given["channels_time"], "delayed_stft": bool(given["hybrid_old"])}
        return "hybrid_demucs", config | hybrid
    if given["hybrid_old"]:
        raise SettingsError("hybrid_old goes with hybrid")
    return "spectrogram_demucs", config


_LISTS = ["encoder", "decoder", "tencoder", "tdecoder", "freq_emb"]
_ENCODER_PARTS = {"conv": "conv", "norm1": "norm", "rewrite": "gate.conv", "norm2": "gate.norm"}
_DECODER_PARTS = {"conv_tr": "conv", "norm2": "norm", "rewrite": "gate.conv", "norm1": "gate.norm"}
"""Public part of a layer -> ours, in the public order; residual branches come last in both."""


def public_names(weights: Collection[str], config: Any) -> dict[str, str]:
    """Our name -> public name of every weight of a model, in the public order."""
    namer = _Namer(weights, config)
    names = {own: namer.name(own) for own in weights}
    return dict(sorted(names.items(), key=lambda pair: _rank(pair[1])))


def _rank(public: str) -> tuple[int, ...]:
    """Where a weight stands; inside a part, our order is the public one already."""
    place, *path = public.split(".")
    if place == "freq_emb":
        return (_LISTS.index(place),)
    parts = [*(_ENCODER_PARTS if place.endswith("encoder") else _DECODER_PARTS), "dconv"]
    band = int(path[2]) if path[1] == "layers" else 0
    part = path[3] if path[1] == "layers" else path[1]
    return _LISTS.index(place), int(path[0]), band, parts.index(part)


class _Namer:
    """Public names of the weights of one model."""

    def __init__(self, weights: Collection[str], config: Any) -> None:
        self.config = config
        self.depth = self.config.depth
        self.outer = self.config.outer_levels
        split = (own.split(".") for own in weights)
        # Levels on the spectral lists.
        self.spectral = len({path[1] for path in split if path[0] == "spec_encoder"})

    def name(self, own: str) -> str:
        group, *path = own.split(".")
        if group == "meeting" and path[0] == "time_conv":
            return ".".join([f"tencoder.{self.outer}.conv", *path[1:]])
        if group == "parting" and path[0] in ("time_conv", "time_norm"):
            part = {"time_conv": "conv_tr", "time_norm": "norm2"}[path[0]]
            return ".".join(["tdecoder.0", part, *path[1:]])
        index = 0 if group in ("meeting", "parting") else int(path.pop(0))
        if path[0] == "embedding":
            return ".".join(["freq_emb", *path[1:]])
        place, level = self._place(group, index)
        if path[0] == "bands":
            place, path = f"{place}.layers.{path[1]}", path[2:]
        parts = _ENCODER_PARTS if "encoder" in place else _DECODER_PARTS
        return ".".join([place, *self._part(path, parts, level)])

    def _place(self, group: str, index: int) -> tuple[str, int]:
        """Public list and number of a layer, and its level, 0 being outermost."""
        outer, depth, spectral = self.outer, self.depth, self.spectral
        places = {
            "spec_encoder": (f"encoder.{index}", index),
            "time_encoder": (f"tencoder.{index}", index),
            "meeting": (f"encoder.{outer}", outer),
            "shared_encoder": (f"encoder.{outer + 1 + index}", outer + 1 + index),
            "shared_decoder": (f"decoder.{index}", depth - 1 - index),
            "parting": (f"decoder.{depth - 1 - outer}", outer),
            "spec_decoder": (f"decoder.{depth - spectral + index}", spectral - 1 - index),
            "time_decoder": (f"tdecoder.{1 + index}", outer - 1 - index),
        }
        return places[group]

    def _part(self, path: list[str], parts: dict[str, str], level: int) -> list[str]:
        if path[0] == "residual":
            config = self.config
            return ["dconv", *residual_name(path, level, config.lstm_from, config.attention_from)]
        own = ".".join(path[:-1])
        return [next(public for public, ours in parts.items() if ours == own), path[-1]]


def residual_name(path: list[str], level: int, lstm_from: int, attention_from: int) -> list[str]:
    """Public path of `residual.branches.N.part...` inside the public residual module."""
    _, _, branch, part, *rest = path
    steps = residual_steps(level >= lstm_from, level >= attention_from)
    return ["layers", branch, str(steps.index(part)), *rest]


def residual_steps(lstm: bool, attention: bool) -> list[str]:
    """Our part names of a residual branch, in the order of the public Sequential."""
    middle = ["lstm"] * lstm + ["attention"] * attention
    return [
        "squeeze", "squeeze_norm", "activation", *middle, "expand", "expand_norm", "gate", "scale",
    ]  # fmt: skip
