"""The settings files of community models: the YAML of Music-Source-Separation-Training (MSST).

Sections: `audio` (chunk_size, sample_rate), `model` (arguments of the network), `training`
(instruments, target_instrument), `inference` (chunk_size, normalize; its num_overlap, bigshifts and
use_tta are left to `--overlap`, `--bigshifts` and `--tta`). Most files do not name the network; it
is recognized by the arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from unbraid.errors import CheckpointError
from unbraid.models.htdemucs import public as htdemucs
from unbraid.models.roformer import public as roformer
from unbraid.models.scnet import public as scnet
from unbraid.models.tfc_tdf import public as tfc_tdf
from unbraid.words import counted


@dataclass(frozen=True)
class Settings:
    """The contents of a settings file.

    Attributes:
        architecture, config: as `models.registry.make_config` takes them.
        complement: name of the residual, if the model estimates one stem of two; "" else.
    """

    architecture: str
    config: dict[str, Any]
    complement: str


def read_settings(content: Mapping[str, Any]) -> Settings:
    """The settings in a YAML of MSST.

    Raises:
        CheckpointError: naming a section or setting that is missing, wrong, or not supported.
    """
    audio, model, training = (_table(content, name) for name in ("audio", "model", "training"))
    inference = _table(content, "inference", needed=False)
    kind = _kind(content, model, training)
    instruments = _names(training.get("instruments"), "training.instruments")
    target = training.get("target_instrument")
    stems = _names([target], "training.target_instrument") if target else instruments
    try:
        architecture, config = _READERS[kind](content, audio, model)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"its settings of a {kind} are not complete: {error!s:.200}"
        ) from error
    rate = audio.get("sample_rate", config.get("sample_rate", 44100))
    chunk = inference.get("chunk_size") or audio.get("chunk_size")
    config = {**config, "stems": stems, "sample_rate": rate}
    if kind != "htdemucs":
        config["normalize"] = inference.get("normalize") is True
    if "segment_s" not in config:
        config["segment_s"] = _number(chunk, "audio.chunk_size") / _number(rate, "sample_rate")
    heads = (
        model.get("num_stems", len(stems)) if kind in ("bs_roformer", "mel_band_roformer") else None
    )
    if heads is not None and heads != len(stems):
        raise CheckpointError(
            f"its network makes {counted(heads, 'stem')}, but training names {len(stems)}: "
            f"{', '.join(stems)}"
        )
    rest = [name for name in instruments if name not in stems]
    return Settings(architecture, config, complement=_complement(stems, rest))


def _kind(content: Mapping[str, Any], model: Mapping[str, Any], training: Mapping[str, Any]) -> str:
    """Which network the settings are of."""
    said = str(training.get("model_type") or content.get("model_type") or "")
    if said in _READERS:
        return said
    if said:
        raise CheckpointError(
            f"its model_type {said!r:.40} is not supported by unbraid; known are "
            f"{', '.join(_READERS)}"
        )
    for name, feature in _UNSUPPORTED.items():
        if model.get(name):
            raise CheckpointError(f"it needs {feature} (model.{name}), which unbraid does not have")
    if "freqs_per_bands" in model:
        return "bs_roformer"
    if "num_bands" in model:
        return "mel_band_roformer"
    if {"num_subbands", "num_scales"} <= model.keys():
        return "mdx23c"
    if {"dims", "band_SR"} <= model.keys():
        return "scnet"
    if str(content["model"]) in _READERS:
        return str(content["model"])
    raise CheckpointError(
        "it does not name its network, and its settings fit none of unbraid's: "
        f"{', '.join(_READERS)}; if it is one of these, say so: training.model_type"
    )


_UNSUPPORTED = {
    "use_shared_bias": "biases shared by all layers",
    "use_value_residual_learning": "value residuals",
    "add_value_residual": "value residuals",
    "num_residual_streams": "hyper-connections",
    "use_hyper_ace": "HyperACE",
    "linear_attn": "linear attention",
}
"""Setting of an unsupported variant -> its name. Its weights would not fit our networks."""


def _roformer(
    arguments: tuple[str, ...], to_config: Callable[[Mapping[str, Any]], dict[str, Any]], name: str
) -> Callable[..., tuple[str, dict[str, Any]]]:
    def read(
        content: Mapping[str, Any], audio: Mapping[str, Any], model: Mapping[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        _only(model, (*arguments, *roformer.IGNORED), name)
        return name, to_config(model)

    return read


def _scnet(masks: bool) -> Callable[..., tuple[str, dict[str, Any]]]:
    def read(
        content: Mapping[str, Any], audio: Mapping[str, Any], model: Mapping[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        _only(model, scnet.ARGUMENTS, "scnet")
        return "scnet", scnet.to_config(model, masks)

    return read


def _tfc_tdf(
    content: Mapping[str, Any], audio: Mapping[str, Any], model: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    _only(model, tfc_tdf.ARGUMENTS, "mdx23c")
    return "tfc_tdf", tfc_tdf.to_config(audio, model)


def _htdemucs(
    content: Mapping[str, Any], audio: Mapping[str, Any], model: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    training, given = _table(content, "training"), _table(content, "htdemucs")
    public = {
        **htdemucs.DEFAULTS,
        **{key: value for key, value in given.items() if key != "sources"},
        "audio_channels": training.get("channels", 2),
        "segment": training.get("segment", 11),
        "samplerate": training.get("samplerate", 44100),
    }
    _only(public, tuple(htdemucs.DEFAULTS), "htdemucs")
    architecture, config = htdemucs.to_ours(public)
    del config["stems"]
    return architecture, config


_READERS: dict[str, Callable[..., tuple[str, dict[str, Any]]]] = {
    "bs_roformer": _roformer(roformer.BS_ARGUMENTS, roformer.bs_config, "bs_roformer"),
    "mel_band_roformer": _roformer(
        roformer.MEL_ARGUMENTS, roformer.mel_config, "mel_band_roformer"
    ),
    "scnet": _scnet(masks=False),
    "scnet_masked": _scnet(masks=True),
    "mdx23c": _tfc_tdf,
    "htdemucs": _htdemucs,
}
"""Name of a network in MSST -> function that reads its settings."""


def _only(given: Mapping[str, Any], known: tuple[str, ...], kind: str) -> None:
    """Refuse unknown settings: they may change what the network computes."""
    for name in given:
        if name not in known:
            what = _UNSUPPORTED.get(str(name), "a setting that unbraid does not have")
            raise CheckpointError(f"its {kind} needs {what}: {name!s:.80}")


def _table(content: Mapping[str, Any], name: str, needed: bool = True) -> Mapping[str, Any]:
    section = content.get(name)
    if name == "model" and isinstance(section, str):
        return {}  # the name of a Demucs; its settings are in a section of that name
    if section is None and not needed:
        return {}
    if not isinstance(section, Mapping):
        raise CheckpointError(f"it has no section {name!r}")
    return section


def _names(value: Any, what: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
        raise CheckpointError(f"{what} names no stems, got {value!r:.80}")
    return tuple(name.strip().lower() for name in value)


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
        raise CheckpointError(f"{what} is a number above 0, got {value!r:.80}")
    return float(value)


def _complement(stems: tuple[str, ...], rest: list[str]) -> str:
    """Name of the mixture without the only stem."""
    if len(stems) != 1:
        return ""
    if len(rest) == 1 and rest[0] != "other":
        return rest[0]
    return "instrumental" if stems[0] == "vocals" else f"no_{stems[0]}"
