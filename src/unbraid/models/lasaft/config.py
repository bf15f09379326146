"""Settings of LaSAFT with GPoCM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from unbraid.models.cac_unet.config import CAC_RANGES, CacUNetConfig
from unbraid.models.checks import Range


@dataclass(frozen=True)
class LaSAFTConfig(CacUNetConfig):
    """Settings of one TFC-TDF U-Net for all stems, conditioned on the stem.

    The published large model has `n_fft=4096, levels=4, embedding=64`.

    Attributes:
        n_fft ... bias: as in `CacUNetConfig`.
        embedding: numbers that stand for a stem.
        control_layers: widths of the network that turns them into conditions, each twice the
            one before.
        conditioned: blocks that the stem modulates: "encoder", "decoder" or "full".
        control_norm: whether the conditions pass a batch norm.
        latent_sources: layers along frequency in each block, among which the stem chooses.
        key_width: size of the attention keys.
    """

    embedding: int = 32
    control_layers: int = 4
    conditioned: str = "decoder"
    control_norm: bool = True
    latent_sources: int = 6
    key_width: int = 32

    RANGES: ClassVar[Mapping[str, Range]] = {
        **CAC_RANGES,
        "embedding": (1, 4096),
        "control_layers": (2, 12),
        "latent_sources": (1, 256),
        "key_width": (1, 4096),
    }
    WORDS: ClassVar[Mapping[str, tuple[str, ...]]] = {"conditioned": ("encoder", "decoder", "full")}

    @property
    def conditioned_blocks(self) -> range:
        """Which blocks the stem modulates, counted along the way through."""
        levels = self.levels
        return {
            "encoder": range(levels),
            "decoder": range(levels + 1, 2 * levels + 1),
            "full": range(2 * levels + 1),
        }[self.conditioned]
