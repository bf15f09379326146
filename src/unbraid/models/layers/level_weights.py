"""Names and shapes of the weights of the levels that hybrids share, without torch."""

from __future__ import annotations

from collections.abc import Iterator

from unbraid.errors import SettingsError
from unbraid.models.layers.levels import LayerShape

Weight = tuple[str, tuple[int, ...]]

_LSTM_LAYERS, _HEADS, _DECAYS = 2, 4, 4


def encoder(name: str, shape: LayerShape, dims: int) -> Iterator[Weight]:
    """An encoder layer."""
    yield from conv(f"{name}.conv", shape, dims)
    yield from norm(f"{name}.norm", shape.norm_groups, shape.width)
    yield from _residual(f"{name}.residual", shape)
    yield from _gate(f"{name}.gate", shape, dims)


def decoder(name: str, shape: LayerShape, dims: int) -> Iterator[Weight]:
    """A decoder layer."""
    yield from _gate(f"{name}.gate", shape, dims)
    yield from _residual(f"{name}.residual", shape)
    yield from transposed(f"{name}.conv", shape, dims)
    yield from norm(f"{name}.norm", shape.norm_groups, shape.outer)


def conv(name: str, shape: LayerShape, dims: int) -> Iterator[Weight]:
    """Its strided convolution."""
    kernel = (shape.kernel, 1)[:dims]
    yield from affine(name, (shape.width, shape.outer, *kernel))


def transposed(name: str, shape: LayerShape, dims: int) -> Iterator[Weight]:
    """Its transposed convolution."""
    kernel = (shape.kernel, 1)[:dims]
    yield f"{name}.weight", (shape.width, shape.outer, *kernel)
    yield f"{name}.bias", (shape.outer,)


def _gate(name: str, shape: LayerShape, dims: int) -> Iterator[Weight]:
    if shape.gate:
        span = (1 + 2 * shape.context,) * dims
        yield from affine(f"{name}.conv", (2 * shape.width, shape.width, *span))
        yield from norm(f"{name}.norm", shape.norm_groups, 2 * shape.width)


def norm(name: str, groups: int | None, width: int) -> Iterator[Weight]:
    """A GroupNorm; none without groups."""
    if groups is not None:
        if width % groups:
            raise SettingsError(f"{width} features do not divide into {groups} groups")
        yield from affine(name, (width,))


def _residual(name: str, layer: LayerShape) -> Iterator[Weight]:
    shape, width = layer.residual, layer.width
    for number in range(0 if shape is None else shape.depth):
        assert shape is not None
        branch, hidden = f"{name}.branches.{number}", int(width / shape.compression)
        if hidden < 1:
            raise SettingsError(f"a residual branch of {width} / {shape.compression:g} features")
        yield from affine(f"{branch}.squeeze", (hidden, width, 3))
        yield from affine(f"{branch}.squeeze_norm", (hidden,))
        if shape.lstm:
            yield from _lstm(f"{branch}.lstm", hidden)
        if shape.attention:
            yield from _attention(f"{branch}.attention", hidden)
        yield from affine(f"{branch}.expand", (2 * width, hidden, 1))
        yield from affine(f"{branch}.expand_norm", (2 * width,))
        yield f"{branch}.scale.scale", (width,)


def _lstm(name: str, width: int) -> Iterator[Weight]:
    for layer in range(_LSTM_LAYERS):
        yield from both_ways(f"{name}.lstm", layer, 2 * width if layer else width, width)
    yield from affine(f"{name}.linear", (width, 2 * width))


def _attention(name: str, width: int) -> Iterator[Weight]:
    if width % _HEADS:
        raise SettingsError(f"{width} features do not divide into {_HEADS} heads")
    for part, made in (("content", width), ("query", width), ("key", width)):
        yield from affine(f"{name}.{part}", (made, width, 1))
    yield from affine(f"{name}.query_decay", (_HEADS * _DECAYS, width, 1))
    yield from affine(f"{name}.proj", (width, width, 1))


def both_ways(name: str, layer: int, entering: int, width: int) -> Iterator[Weight]:
    """A layer of an LSTM in both directions, each of `width` units."""
    for way in ("", "_reverse"):
        yield f"{name}.weight_ih_l{layer}{way}", (4 * width, entering)
        yield f"{name}.weight_hh_l{layer}{way}", (4 * width, width)
        yield f"{name}.bias_ih_l{layer}{way}", (4 * width,)
        yield f"{name}.bias_hh_l{layer}{way}", (4 * width,)


def affine(name: str, shape: tuple[int, ...]) -> Iterator[Weight]:
    """A weight of this shape, and a bias for its first axis."""
    yield f"{name}.weight", shape
    yield f"{name}.bias", shape[:1]
