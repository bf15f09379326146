"""Names and shapes of the weights of Hybrid Demucs, computed from a config.

They are those of the model's `state_dict()`, in its order; the tests compare one with the
other. With them a file can be compared with its config, and a model be known by its weights, where
no network of torch is built.
"""

from __future__ import annotations

from collections.abc import Iterator

from unbraid.errors import SettingsError
from unbraid.models.hybrid_demucs.config import HybridDemucsConfig
from unbraid.models.layers.levels import LayerShape

Weight = tuple[str, tuple[int, ...]]

_LSTM_LAYERS, _HEADS, _DECAYS = 2, 4, 4


def weight_shapes(config: HybridDemucsConfig) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every weight, in the order of the model's `state_dict()`.

    Raises:
        SettingsError: if this makes no model.
        NotImplementedError: if levels are split into bands, whose weights only the network knows.
    """
    if config.split_levels:
        raise NotImplementedError
    return dict(_model(config))


def _model(config: HybridDemucsConfig) -> Iterator[Weight]:
    spec, time, shared = config.plan()
    *spec_outer, spec_meeting = spec
    *time_outer, time_meeting = time
    for number, level in enumerate(spec_outer):
        name = f"spec_encoder.{number}"
        yield from _encoder(name, level.encoder, dims=2)
        if number == 0 and config.embedding_weight:
            rows = config.n_fft // 2 // config.stride
            yield f"{name}.embedding.embedding.weight", (rows, config.width)
    for number, level in enumerate(time_outer):
        yield from _encoder(f"time_encoder.{number}", level.encoder, dims=1)
    yield from _encoder("meeting", spec_meeting.encoder, dims=2)
    yield from _conv("meeting.time_conv", time_meeting.encoder, dims=1)
    for number, level in enumerate(shared):
        yield from _encoder(f"shared_encoder.{number}", level.encoder, dims=1)
    for number, level in enumerate(reversed(shared)):
        yield from _decoder(f"shared_decoder.{number}", level.decoder, dims=1)
    yield from _decoder("parting", spec_meeting.decoder, dims=2)
    parting = time_meeting.decoder
    yield from _transposed("parting.time_conv", parting, dims=1)
    yield from _norm("parting.time_norm", parting.norm_groups, parting.outer)
    for number, level in enumerate(reversed(spec_outer)):
        yield from _decoder(f"spec_decoder.{number}", level.decoder, dims=2)
    for number, level in enumerate(reversed(time_outer)):
        yield from _decoder(f"time_decoder.{number}", level.decoder, dims=1)


def _encoder(name: str, shape: LayerShape, dims: int) -> Iterator[Weight]:
    yield from _conv(f"{name}.conv", shape, dims)
    yield from _norm(f"{name}.norm", shape.norm_groups, shape.width)
    yield from _residual(f"{name}.residual", shape)
    yield from _gate(f"{name}.gate", shape, dims)


def _decoder(name: str, shape: LayerShape, dims: int) -> Iterator[Weight]:
    yield from _gate(f"{name}.gate", shape, dims)
    yield from _residual(f"{name}.residual", shape)
    yield from _transposed(f"{name}.conv", shape, dims)
    yield from _norm(f"{name}.norm", shape.norm_groups, shape.outer)


def _conv(name: str, shape: LayerShape, dims: int) -> Iterator[Weight]:
    kernel = (shape.kernel, 1)[:dims]
    yield from _affine(name, (shape.width, shape.outer, *kernel))


def _transposed(name: str, shape: LayerShape, dims: int) -> Iterator[Weight]:
    kernel = (shape.kernel, 1)[:dims]
    yield f"{name}.weight", (shape.width, shape.outer, *kernel)
    yield f"{name}.bias", (shape.outer,)


def _gate(name: str, shape: LayerShape, dims: int) -> Iterator[Weight]:
    if shape.gate:
        span = (1 + 2 * shape.context,) * dims
        yield from _affine(f"{name}.conv", (2 * shape.width, shape.width, *span))
        yield from _norm(f"{name}.norm", shape.norm_groups, 2 * shape.width)


def _norm(name: str, groups: int | None, width: int) -> Iterator[Weight]:
    if groups is not None:
        if width % groups:
            raise SettingsError(f"{width} features do not divide into {groups} groups")
        yield from _affine(name, (width,))


def _residual(name: str, layer: LayerShape) -> Iterator[Weight]:
    shape, width = layer.residual, layer.width
    for number in range(0 if shape is None else shape.depth):
        assert shape is not None
        branch, hidden = f"{name}.branches.{number}", int(width / shape.compression)
        if hidden < 1:
            raise SettingsError(f"a residual branch of {width} / {shape.compression:g} features")
        yield from _affine(f"{branch}.squeeze", (hidden, width, 3))
        yield from _affine(f"{branch}.squeeze_norm", (hidden,))
        if shape.lstm:
            yield from _lstm(f"{branch}.lstm", hidden)
        if shape.attention:
            yield from _attention(f"{branch}.attention", hidden)
        yield from _affine(f"{branch}.expand", (2 * width, hidden, 1))
        yield from _affine(f"{branch}.expand_norm", (2 * width,))
        yield f"{branch}.scale.scale", (width,)


def _lstm(name: str, width: int) -> Iterator[Weight]:
    for layer in range(_LSTM_LAYERS):
        entering = 2 * width if layer else width
        for way in ("", "_reverse"):
            yield f"{name}.lstm.weight_ih_l{layer}{way}", (4 * width, entering)
            yield f"{name}.lstm.weight_hh_l{layer}{way}", (4 * width, width)
            yield f"{name}.lstm.bias_ih_l{layer}{way}", (4 * width,)
            yield f"{name}.lstm.bias_hh_l{layer}{way}", (4 * width,)
    yield from _affine(f"{name}.linear", (width, 2 * width))


def _attention(name: str, width: int) -> Iterator[Weight]:
    if width % _HEADS:
        raise SettingsError(f"{width} features do not divide into {_HEADS} heads")
    for part, made in (("content", width), ("query", width), ("key", width)):
        yield from _affine(f"{name}.{part}", (made, width, 1))
    yield from _affine(f"{name}.query_decay", (_HEADS * _DECAYS, width, 1))
    yield from _affine(f"{name}.proj", (width, width, 1))


def _affine(name: str, shape: tuple[int, ...]) -> Iterator[Weight]:
    yield f"{name}.weight", shape
    yield f"{name}.bias", shape[:1]
