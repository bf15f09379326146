"""Classic systems, recognized by their weights alone; settings are read from the shapes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from unbraid.models.cac_unet import public as cac_names
from unbraid.models.conv_tasnet import public as tasnet_names
from unbraid.models.demucs_v2 import public as demucs_names
from unbraid.models.lasaft import public as lasaft_names
from unbraid.models.mdx_net import public as mdx_names
from unbraid.models.open_unmix import public as unmix_names
from unbraid.models.res_u_net import public as resunet_names

Shapes = Mapping[str, tuple[int, ...]]
"""Name of a weight -> its shape."""


@dataclass(frozen=True)
class System:
    """One of our networks, found in a file.

    Attributes:
        architecture, settings: as `models.registry.make_config` takes them.
        name: our name of a weight, and the config -> its name in the file.
    """

    architecture: str
    settings: Mapping[str, Any]
    name: Callable[[str, Any], str]


def _open_unmix(shapes: Shapes, stem: str) -> System:
    bins, all_bins = shapes["input_mean"][0], shapes["output_mean"][0]
    hidden, inputs = shapes["fc1.weight"]
    settings = {
        "stems": (stem,),
        "n_fft": 2 * (all_bins - 1),
        "hop": (all_bins - 1) // 2,
        "bins": bins,
        "hidden": hidden,
        "audio_channels": max(1, inputs // max(1, bins)),
        "both_ways": "lstm.weight_ih_l0_reverse" in shapes,
        "lstm_layers": _count(shapes, "lstm.weight_ih_l{}"),
        "sample_rate": 16000 if all_bins == 513 else 44100,
        "wiener_iterations": 0,
    }
    return System("open_unmix", settings, lambda own, c: unmix_names.public_name(own, c.stems)[1])


def _demucs_v2(shapes: Shapes, stem: str) -> System:
    width, channels, kernel = shapes["encoder.0.0.weight"]
    depth = _count(shapes, "encoder.{}.0.weight")
    last = shapes[f"decoder.{depth - 1}.2.weight"]
    rewrite = shapes["decoder.0.0.weight"]
    stems: tuple[str, ...] = ("drums", "bass", "other", "vocals")
    if last[1] != channels * len(stems):
        stems = _numbered(last[1] // max(1, channels))
    settings = {
        "stems": stems,
        "audio_channels": channels,
        "width": width,
        "depth": depth,
        "kernel": kernel,
        "context": rewrite[2],
        "normalize_songs": True,
        "gated": rewrite[0] == 2 * rewrite[1],
        "lstm_layers": _count(shapes, "lstm.lstm.weight_ih_l{}"),
    }
    return System("demucs_v2", settings, lambda own, c: demucs_names.public_name(own))


def _music_tasnet(shapes: Shapes, stem: str) -> System:
    basis, channels, kernel = shapes["encoder.conv1d_U.weight"]
    settings = {
        "audio_channels": channels,
        "normalize_songs": True,
        "basis": basis,
        "kernel": kernel,
        "stride": kernel // 2,
        "width": shapes["separator.network.1.weight"][0],
        "hidden": shapes["separator.network.2.0.0.net.0.weight"][0],
        "repeats": _count(shapes, "separator.network.2.{}.0.net.0.weight"),
        "blocks": _count(shapes, "separator.network.2.0.{}.net.0.weight"),
    }
    return System("conv_tasnet", settings, tasnet_names.public_name)


def _res_u_net(shapes: Shapes, stem: str) -> System:
    maps = shapes["after_conv2.weight"][0]
    channels = shapes["encoder_block1.conv_block1.conv1.weight"][1]
    settings = {"stems": (stem,), "audio_channels": channels}
    if maps != 4 * channels:
        settings = {**settings, "stems": _numbered(maps // max(1, 4 * channels))}
    settings["joint"] = True
    return System("res_u_net", settings, lambda own, c: resunet_names.public_name(own))


def _lasaft(shapes: Shapes, stem: str) -> System:
    control = "condition_generator."
    dense = f"{control}dense_control_block.linear."
    width, channels = shapes["first_conv.0.weight"][:2]
    levels = _count(shapes, "encoders.{}.tfc.H.0.0.weight")
    stems, embedding = shapes["embedding.weight"]
    blocks = shapes[f"{control}linear_beta.0.weight"][0] // max(1, width)
    known: tuple[str, ...] = ("vocals", "drums", "bass", "other")
    settings = {
        "stems": known if stems == len(known) else _numbered(stems),
        "audio_channels": channels // 2,
        "n_fft": 2 * shapes["encoders.0.tdfs.tdf.0.weight"][1],
        "width": width,
        "levels": levels,
        "layers": _count(shapes, "encoders.0.tfc.H.{}.0.weight"),
        "kernel": shapes["encoders.0.tfc.H.0.0.weight"][2],
        "bias": "encoders.0.tdfs.tdf.0.bias" in shapes,
        "embedding": embedding,
        "control_layers": 2
        + _count(
            [key for key in shapes if key.startswith(dense)], dense + "{}.weight", first=2, step=4
        ),
        "conditioned": "decoder" if blocks == levels else "full",
        "control_norm": f"{control}linear_gamma.2.running_mean" in shapes,
        "latent_sources": shapes["encoders.0.keys"][1],
        "key_width": shapes["encoders.0.keys"][0],
    }
    return System("lasaft", settings, lambda own, c: lasaft_names.public_name(own))


def _mdx_net(shapes: Shapes, stem: str) -> System:
    width, channels = shapes["first_conv.0.weight"][:2]
    tdf = shapes.get("encoding_blocks.0.tdf.0.weight")
    settings = {
        "stems": (stem,),
        "audio_channels": channels // 2,
        "n_ffts": (shapes["window"][0],),
        "width": width,
        "levels": _count(shapes, "encoding_blocks.{}.tfc.H.0.0.weight"),
        "layers": _count(shapes, "encoding_blocks.0.tfc.H.{}.0.weight"),
        "kernel": shapes["encoding_blocks.0.tfc.H.0.0.weight"][2],
        "bottleneck_factor": 0 if tdf is None else max(1, tdf[1] // max(1, tdf[0])),
        "bias": "encoding_blocks.0.tdf.0.bias" in shapes,
        "mixer": False,
    }
    if tdf is not None:
        settings["bins"] = tdf[1]
    return System("mdx_net", settings, lambda own, c: mdx_names.public_name(own))


def _cac_unet(shapes: Shapes, stem: str) -> System:
    width, channels = shapes["first_conv.0.weight"][:2]
    settings = {
        "stems": (stem,),
        "audio_channels": channels // 2,
        "n_fft": 2 * shapes["encoders.0.tif.tif.0.weight"][1],
        "width": width,
        "levels": _count(shapes, "encoders.{}.tfc.H.0.0.weight"),
        "layers": _count(shapes, "encoders.0.tfc.H.{}.0.weight"),
        "kernel": shapes["encoders.0.tfc.H.0.0.weight"][2],
        "bias": "encoders.0.tif.tif.0.bias" in shapes,
    }
    return System("cac_unet", settings, lambda own, c: cac_names.public_name(own))


BY_KEY: dict[str, Callable[[Shapes, str], System]] = {
    "output_mean": _open_unmix,
    "encoder.0.0.weight": _demucs_v2,
    "encoder.conv1d_U.weight": _music_tasnet,
    "after_conv2.weight": _res_u_net,
    "encoders.0.tif.tif.0.weight": _cac_unet,
    "encoders.0.tdfs.tdf.0.weight": _lasaft,
    "encoding_blocks.0.tfc.H.0.0.weight": _mdx_net,
}
"""A weight that only one system has -> function that reads the settings from the weights."""


def _count(names: Collection[str], pattern: str, first: int = 0, step: int = 1) -> int:
    """How many names exist for {} = 0, 1, 2, ... (or from `first` on by `step`); 1000 at most."""
    numbers = (first + step * i for i in range(1000))
    return next((i for i, n in enumerate(numbers) if pattern.format(n) not in names), 1000)


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"stem {index + 1}" for index in range(count))
