"""The shapes of levels and their layers, as a config plans them and layers are built by them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from unbraid.errors import SettingsError


@dataclass(frozen=True)
class ResidualShape:
    """How residual branches are built.

    Attributes:
        depth: number of branches, applied one after another; branch d has dilation 2 ** d.
        compression: the branch is this many times narrower than its layer.
        scale_init: start value of the learnt factor per channel at the end of a branch.
        lstm, attention: whether the branch looks further with a `SpanLSTM` and `LocalAttention`.
        dilated: False keeps every dilation at 1.
    """

    depth: int = 2
    compression: float = 4
    scale_init: float = 1e-4
    lstm: bool = False
    attention: bool = False
    dilated: bool = True


@dataclass(frozen=True)
class LayerShape:
    """One level of the U-Net, the same for its encoder and its decoder layer.

    Attributes:
        outer, width: channels on the outside (towards the audio) and inside of the level.
        kernel, stride: of the convolution that changes the resolution.
        norm_groups: groups of the GroupNorms; None for no norm.
        gate: whether a convolution with gated output (GLU) follows; its half-width is `context`.
        residual: shape of the residual branches; None for none.
        padded: False for a level that sees its outermost rows only once: the last frequency level,
            and bands of a split one.
    """

    outer: int
    width: int
    kernel: int
    stride: int
    norm_groups: int | None = None
    gate: bool = True
    context: int = 0
    residual: ResidualShape | None = None
    padded: bool = True

    @property
    def padding(self) -> int:
        """Centres a kernel of twice the stride on the middle of its hop."""
        return self.kernel // 4 if self.padded else 0

    def unpadded(self) -> LayerShape:
        """The same level without padding."""
        return replace(self, padded=False)


@dataclass(frozen=True)
class Level:
    """One level of a U-Net: its encoder and its decoder layer."""

    encoder: LayerShape
    decoder: LayerShape

    def unpadded(self) -> Level:
        """The same without padding."""
        return Level(self.encoder.unpadded(), self.decoder.unpadded())


@runtime_checkable
class ResidualSettings(Protocol):
    """What every config says of its residual branches; see `SpectralConfig`."""

    @property
    def residual_depth(self) -> int: ...
    @property
    def residual_compression(self) -> float: ...
    @property
    def residual_scale(self) -> float: ...
    @property
    def lstm_from(self) -> int: ...
    @property
    def attention_from(self) -> int: ...


def residual_shape(config: ResidualSettings, level: int) -> ResidualShape:
    """The residual branches of a level."""
    return ResidualShape(
        depth=abs(config.residual_depth),
        compression=config.residual_compression,
        scale_init=config.residual_scale,
        lstm=level >= config.lstm_from,
        attention=level >= config.attention_from,
        dilated=config.residual_depth > 0,
    )


def check_norms(levels: Iterable[Level]) -> None:
    """Raise `SettingsError` if a norm's groups do not divide what it norms."""
    for level in levels:
        groups, inside, outside = (
            level.encoder.norm_groups,
            level.encoder.width,
            level.decoder.outer,
        )
        if groups is None:
            continue
        for width in (inside, outside):
            if width % groups:
                raise SettingsError(
                    f"norm_groups divides the width of every level with a norm, got {groups} for a "
                    f"width of {width}; take another width, fewer groups, or a later norm_from"
                )


def grow(width: int, growth: float, levels: int) -> list[int]:
    """Features level by level: each `growth` times the one before, rounded down."""
    widths = [width]
    while len(widths) < levels:
        widths.append(int(growth * widths[-1]))
    return widths
