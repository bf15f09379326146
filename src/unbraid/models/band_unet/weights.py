"""Names and shapes of the weights of a `BandUNet`, without torch."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from unbraid.models.band_unet.config import BandUNetConfig

Shapes = Iterator[tuple[str, tuple[int, ...]]]


def weight_shapes(config: BandUNetConfig) -> dict[str, tuple[int, ...]]:
    """Name -> shape, in the order of the network's `state_dict()`."""
    return dict(_all(config))


def _all(config: BandUNetConfig) -> Shapes:
    channels, bands = config.channels, config.bands
    features = config.audio_channels + 2 + (config.audio_channels == 2)
    yield "scale", (features, bands, 1)
    yield "shift", (features, bands, 1)
    yield from _normed("enter", (channels[0], features, 3, 3), channels[0])
    for part in ("encoder", "decoder"):
        for level, width in enumerate(channels):
            yield from _level(f"{part}.{level}", width, bands >> level, config.dense)
    pairs = list(enumerate(pairwise(channels)))
    for level, (upper, lower) in pairs:
        yield from _normed(f"down.{level}", (lower, upper, 2, 1), lower)
    for level, (upper, lower) in pairs:
        yield from _normed(f"up.{level}", (lower, upper, 2, 1), upper)
    inner, hidden = channels[-1] * (bands >> 3), config.hidden
    yield from _linear("memory.read", inner, hidden)
    for way in ("", "_reverse"):
        for side in ("ih", "hh"):
            yield f"memory.gru.weight_{side}_l0{way}", (3 * hidden, hidden)
        for side in ("ih", "hh"):
            yield f"memory.gru.bias_{side}_l0{way}", (3 * hidden,)
    yield from _linear("memory.write", 2 * hidden, inner)
    outs = len(config.stems) * config.audio_channels
    yield "leave.weight", (outs, channels[0], 1, 1)
    yield "leave.bias", (outs,)


def _level(name: str, width: int, bands: int, dense: int) -> Shapes:
    units = max(4, bands // dense)
    for part in ("first", "second"):
        yield from _normed(f"{name}.{part}", (width, width, 3, 3), width)
    yield from _linear(f"{name}.narrow", bands, units)
    yield from _linear(f"{name}.widen", units, bands)


def _normed(name: str, shape: tuple[int, ...], width: int) -> Shapes:
    yield f"{name}.0.weight", shape
    for kind in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.1.{kind}", (width,)
    yield f"{name}.1.num_batches_tracked", ()


def _linear(name: str, inner: int, outer: int) -> Shapes:
    yield f"{name}.weight", (outer, inner)
    yield f"{name}.bias", (outer,)
