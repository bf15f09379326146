"""Names and shapes of the weights of a `MaskUNet`, without torch."""

from __future__ import annotations

from collections.abc import Iterator

from unbraid.models.mask_unet.config import MaskUNetConfig

KERNEL = (5, 5)
HEAD = (4, 4)

Shapes = Iterator[tuple[str, tuple[int, ...]]]


def weight_shapes(config: MaskUNetConfig) -> dict[str, tuple[int, ...]]:
    """Name -> shape, in the order of the network's `state_dict()`."""
    own = list(_of_stem(config))
    stems = range(len(config.stems))
    return {f"networks.{stem}.{name}": shape for stem in stems for name, shape in own}


def _of_stem(config: MaskUNetConfig) -> Shapes:
    spleeter, last = config.layout == "spleeter", config.depth - 1
    ins = (config.audio_channels, *config.widths[:-1])
    for level, (inner, outer) in enumerate(zip(ins, config.widths, strict=True)):
        normed = not spleeter or level < last
        yield from _layer(f"encoder.{level}", (outer, inner), outer, normed)
    for level, (inner, outer) in enumerate(config.decoder_widths):
        normed = spleeter or level < last
        yield from _layer(f"decoder.{level}", (inner, outer), outer, normed)
    if spleeter:
        yield "head.weight", (config.audio_channels, 1, *HEAD)
        yield "head.bias", (config.audio_channels,)


def _layer(name: str, sides: tuple[int, int], width: int, normed: bool) -> Shapes:
    yield f"{name}.conv.weight", (*sides, *KERNEL)
    yield f"{name}.conv.bias", (width,)
    if normed:
        for kind in ("weight", "bias", "running_mean", "running_var"):
            yield f"{name}.norm.{kind}", (width,)
