"""Names and shapes of the weights of an SCNet, computed from a config, without torch.

They are those of the model's `state_dict()`, in its order; the tests compare one with the other.
"""

from __future__ import annotations

from collections.abc import Iterator

from unbraid.models.layers.level_weights import Weight, affine, both_ways
from unbraid.models.scnet.config import SCNetConfig

_MASK_WIDTH = 64


def weight_shapes(config: SCNetConfig) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every weight, in the order of the model's `state_dict()`."""
    return dict(_model(config))


def _model(config: SCNetConfig) -> Iterator[Weight]:
    parts, widths = 2 * config.audio_channels, config.widths
    made = parts * len(config.stems)
    if config.masks:
        yield "pos_embed_f", (1, parts, config.n_fft // 2 + 1, 1)
        yield from affine("mask_layer.0", (_MASK_WIDTH, made, 3, 3))
        yield from affine("mask_layer.2", (made, _MASK_WIDTH, 1, 1))
    levels = len(widths) - 1
    for level in range(levels):
        yield from _encoder(f"encoder.{level}", config, widths[level], widths[level + 1])
    for number in range(config.dual_paths):
        width = widths[-1] * (1 + number % 2)
        yield from _dual_path(f"separation_net.dp_modules.{number}", width, config.expansion)
    outer = [made, *widths[1:-1]]
    for number, level in enumerate(reversed(range(levels))):
        name, width = f"decoder.{number}", widths[level + 1]
        yield from affine(f"{name}.0.conv", (2 * width, 2 * width, 3, 3))
        for band, kernel in enumerate(config.band_kernels):
            yield f"{name}.1.convtrs.{band}.weight", (width, outer[level], kernel, 1)
            yield f"{name}.1.convtrs.{band}.bias", (outer[level],)


def _encoder(name: str, config: SCNetConfig, outer: int, width: int) -> Iterator[Weight]:
    for band, kernel in enumerate(config.band_kernels):
        yield from affine(f"{name}.SDlayer.convs.{band}", (width, outer, kernel, 1))
    hidden, kernel = int(width / config.compression), config.conv_kernel
    for band, depth in enumerate(config.band_depths):
        for layer in range(depth):
            module = f"{name}.conv_modules.{band}.layers.{layer}"
            yield from affine(f"{module}.0", (width,))
            yield from affine(f"{module}.1", (2 * hidden, width, kernel))
            yield from affine(f"{module}.3", (hidden, 1, kernel))
            yield from affine(f"{module}.4", (hidden,))
            yield from affine(f"{module}.6", (width, hidden, 1))
    yield from affine(f"{name}.globalconv", (width, width, 3, 3))


def _dual_path(name: str, width: int, expansion: int) -> Iterator[Weight]:
    hidden = width * expansion
    for path in range(2):
        yield from both_ways(f"{name}.lstm_layers.{path}", 0, width, hidden)
    for path in range(2):
        yield from affine(f"{name}.linear_layers.{path}", (width, 2 * hidden))
    for path in range(2):
        yield from affine(f"{name}.norm_layers.{path}", (width,))
