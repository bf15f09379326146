"""Names and shapes of the weights of HT Demucs, computed from a config, without torch.

They are those of the model's `state_dict()`, in its order; the tests compare one with the other.
"""

from __future__ import annotations

from collections.abc import Iterator

from unbraid.models.htdemucs.config import HTDemucsConfig
from unbraid.models.layers.level_weights import Weight, affine, decoder, encoder


def weight_shapes(config: HTDemucsConfig) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every weight, in the order of the model's `state_dict()`."""
    return dict(_model(config))


def _model(config: HTDemucsConfig) -> Iterator[Weight]:
    spec, time = config.spec_levels, config.time_levels
    for number, level in enumerate(spec):
        yield from encoder(f"spec_encoder.{number}", level.encoder, dims=2)
        if number == 0 and config.embedding_weight:
            rows = config.n_fft // 2 // config.stride
            yield "spec_encoder.0.embedding.embedding.weight", (rows, config.width)
    for number, level in enumerate(reversed(spec)):
        yield from decoder(f"spec_decoder.{number}", level.decoder, dims=2)
    for number, level in enumerate(time):
        yield from encoder(f"time_encoder.{number}", level.encoder, dims=1)
    for number, level in enumerate(reversed(time)):
        yield from decoder(f"time_decoder.{number}", level.decoder, dims=1)
    inner = config.bottleneck
    if inner:
        for side, width in (("", config.spec_widths[-1]), ("_t", config.time_widths[-1])):
            yield from affine(f"channel_upsampler{side}", (inner, width, 1))
            yield from affine(f"channel_downsampler{side}", (width, inner, 1))
    if config.transformer_layers:
        yield from _transformer("crosstransformer", config)


def _transformer(name: str, config: HTDemucsConfig) -> Iterator[Weight]:
    width = config.inner_width
    if config.norm_in or config.norm_in_groups:
        yield from affine(f"{name}.norm_in", (width,))
        yield from affine(f"{name}.norm_in_t", (width,))
    for side in ("layers", "layers_t"):
        for number in range(config.transformer_layers):
            crosses = number % 2 != int(config.cross_first)
            yield from _layer(f"{name}.{side}.{number}", config, crosses)
    if config.position == "scaled":
        yield f"{name}.position_embeddings.embedding.weight", (config.max_positions, width)


def _layer(name: str, config: HTDemucsConfig, crosses: bool) -> Iterator[Weight]:
    width = config.inner_width
    hidden = int(width * config.hidden_scale)
    yield from affine(f"{name}.linear1", (hidden, width))
    yield from affine(f"{name}.linear2", (width, hidden))
    yield from affine(f"{name}.norm1", (width,))
    yield from affine(f"{name}.norm2", (width,))
    if config.norm_first and config.norm_out:
        yield from affine(f"{name}.norm_out", (width,))
    if config.layer_scale:
        yield f"{name}.gamma_1.scale", (width,)
        yield f"{name}.gamma_2.scale", (width,)
    attention = f"{name}.cross_attn" if crosses else f"{name}.self_attn"
    yield f"{attention}.in_proj_weight", (3 * width, width)
    yield f"{attention}.in_proj_bias", (3 * width,)
    yield from affine(f"{attention}.out_proj", (width, width))
    if crosses:
        yield from affine(f"{name}.norm3", (width,))
