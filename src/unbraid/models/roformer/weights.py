"""Names and shapes of the weights of RoFormers, computed from a config, without torch.

They are those of the model's `state_dict()`, in its order; the tests compare one with the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from unbraid.models.layers.level_weights import Weight, affine
from unbraid.models.roformer.config import MelBandRoformerConfig, RoformerConfig


def weight_shapes(config: RoformerConfig) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every weight, in the order of the model's `state_dict()`."""
    return dict(_model(config))


def _model(config: RoformerConfig) -> Iterator[Weight]:
    norm_each, parts = isinstance(config, MelBandRoformerConfig), 2 * config.audio_channels
    for number, (_, count) in enumerate(config.split):
        name = f"band_split.to_features.{number}"
        yield f"{name}.0.gamma", (parts * count,)
        yield from affine(f"{name}.1", (config.width, parts * count))
    for number in range(config.depth):
        yield from _block(f"layers.{number}", config, norm_each)
    if not norm_each:
        yield "final_norm.gamma", (config.width,)
    hidden = [config.mask_growth * config.width] * config.mask_hidden_layers
    for stem, (number, (_, count)) in itertools.product(
        range(len(config.stems)), enumerate(config.split)
    ):
        widths = [config.width, *hidden, 2 * parts * count]
        for layer, (old, new) in enumerate(itertools.pairwise(widths)):
            name = f"mask_estimators.{stem}.to_freqs.{number}.0.{2 * layer}"
            yield from affine(name, (new, old))


def _block(name: str, config: RoformerConfig, norm_each: bool) -> Iterator[Weight]:
    """Transformers along all tokens (if any), along time, along frequency."""
    joint = [config.joint_layers] if config.joint_layers else []
    counts = [*joint, config.time_layers, config.frequency_layers]
    for axis, count in enumerate(counts):
        for number in range(count):
            layer = f"{name}.{axis}.layers.{number}"
            attention = _feature_attention if len(counts) == 3 and axis == 0 else _gated_attention
            yield from attention(f"{layer}.0", config)
            yield f"{layer}.1.net.0.gamma", (config.width,)
            yield from affine(f"{layer}.1.net.1", (4 * config.width, config.width))
            yield from affine(f"{layer}.1.net.4", (config.width, 4 * config.width))
        if norm_each:
            yield f"{name}.{axis}.norm.gamma", (config.width,)


def _gated_attention(name: str, config: RoformerConfig) -> Iterator[Weight]:
    heads, depth = config.heads, config.head_width
    yield f"{name}.norm.gamma", (config.width,)
    yield f"{name}.to_qkv.weight", (3 * heads * depth, config.width)
    yield from affine(f"{name}.to_gates", (heads, config.width))
    yield f"{name}.to_out.0.weight", (config.width, heads * depth)
    if config.polar:
        yield f"{name}.pope_embed.bias", (heads, depth)
        yield f"{name}.pope_embed.inv_freqs", (depth,)
    else:
        yield f"{name}.rotary_embed.freqs", (depth // 2,)


def _feature_attention(name: str, config: RoformerConfig) -> Iterator[Weight]:
    inner = config.heads * config.head_width
    yield f"{name}.temperature", (config.heads, 1, 1)
    yield f"{name}.norm.gamma", (config.width,)
    yield f"{name}.to_qkv.0.weight", (3 * inner, config.width)
    yield f"{name}.to_out.1.weight", (config.width, inner)
