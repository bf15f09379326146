"""Small models made of models, for tests."""

from __future__ import annotations

from typing import Any

import torch

from unbraid.models.network import Network
from unbraid.models.registry import build_network, make_config
from unbraid.zoo.header import mend_v1

TASNET = {
    "basis": 16,
    "kernel": 8,
    "stride": 4,
    "width": 8,
    "hidden": 12,
    "blocks": 2,
    "repeats": 1,
}
"""A Conv-TasNet of few weights, but for its stems."""

MASK_UNET = {
    "n_fft": 64,
    "hop": 16,
    "frames": 16,
    "bins": 32,
    "width": 2,
    "depth": 2,
    "above": "average",
}
"""A U-Net of few weights, but for its stems."""


def two_rate_config(**flat: Any) -> Any:
    """Two networks of Hybrid Demucs, by the settings of one and `low_width`."""
    return make_config(*mend_v1("two_rate_demucs", flat)[:2])


def two_rate(**flat: Any) -> Network:
    """The network, with the same weights each time."""
    torch.manual_seed(0)
    return build_network("two_rate", two_rate_config(**flat)).eval()


def masked(architecture: str, **settings: Any) -> Network:
    """A network with ratio masks."""
    torch.manual_seed(0)
    plain = {"model": {"architecture": architecture, "config": settings}}
    return build_network("ratio_masks", make_config("ratio_masks", plain)).eval()


def chain(unet: dict[str, Any], hybrid: dict[str, Any]) -> Network:
    """Vocals by a U-Net that masks, the rest by a Hybrid Demucs."""
    links = [
        {"architecture": "mask_unet", "config": unet},
        {"architecture": "hybrid_demucs", "config": {**hybrid, "stems": ["drums", "other"]}},
    ]
    torch.manual_seed(0)
    plain = {"links": links, "stems": [["vocals"], []]}
    return build_network("chain", make_config("chain", plain)).eval()
