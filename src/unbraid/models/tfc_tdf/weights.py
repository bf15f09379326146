"""Names and shapes of the weights of a TFC-TDF v3, computed from a config, without torch.

They are those of the model's `state_dict()`, in its order; the tests compare one with the other.
"""

from __future__ import annotations

from collections.abc import Iterator

from unbraid.models.tfc_tdf.config import TFCTDFConfig

Weight = tuple[str, tuple[int, ...]]


def weight_shapes(config: TFCTDFConfig) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every weight, in the order of the model's `state_dict()`."""
    return dict(_model(config))


def _model(config: TFCTDFConfig) -> Iterator[Weight]:
    parts, width = 2 * config.audio_channels * config.subbands, config.width
    scale = config.scale_time, config.scale_frequency
    yield "first_conv.weight", (width, parts, 1, 1)
    for level in range(config.scales):
        name, own = f"encoder_blocks.{level}", config.level_width(level)
        wider = own + config.growth
        yield from _blocks(f"{name}.tfc_tdf", config, own, level)
        yield from _behind_norm(f"{name}.downscale.conv", config, own, (wider, own, *scale))
    lowest = config.level_width(config.scales)
    yield from _blocks("bottleneck_block", config, lowest, config.scales)
    for number, level in enumerate(reversed(range(config.scales))):
        name, own = f"decoder_blocks.{number}", config.level_width(level)
        wider = own + config.growth
        yield from _behind_norm(f"{name}.upscale.conv", config, wider, (wider, own, *scale))
        yield from _blocks(f"{name}.tfc_tdf", config, 2 * own, level, out=own)
    yield "final_conv.0.weight", (width, parts + width, 1, 1)
    yield "final_conv.2.weight", (parts * len(config.stems), width, 1, 1)


def _blocks(
    name: str, config: TFCTDFConfig, width: int, level: int, out: int | None = None
) -> Iterator[Weight]:
    out = out or width
    rows = config.level_rows(level)
    inner = rows // config.bottleneck
    for number in range(config.blocks):
        block, ins = f"{name}.blocks.{number}", out if number else width
        yield from _behind_norm(f"{block}.tfc1", config, ins, (out, ins, 3, 3))
        yield from _behind_norm(f"{block}.tdf", config, out, (inner, rows))
        yield from _behind_norm(f"{block}.tdf", config, out, (rows, inner), first=3)
        yield from _behind_norm(f"{block}.tfc2", config, out, (out, out, 3, 3))
        yield f"{block}.shortcut.weight", (out, ins, 1, 1)


def _behind_norm(
    name: str, config: TFCTDFConfig, width: int, shape: tuple[int, ...], first: int = 0
) -> Iterator[Weight]:
    """A norm, which is module number `first` of a sequence, and the layer after its activation."""
    if config.norm != "none":
        for part in ("weight", "bias"):
            yield f"{name}.{first}.{part}", (width,)
    if config.norm == "batch":
        for part in ("running_mean", "running_var"):
            yield f"{name}.{first}.{part}", (width,)
        yield f"{name}.{first}.num_batches_tracked", ()
    yield f"{name}.{first + 2}.weight", shape
