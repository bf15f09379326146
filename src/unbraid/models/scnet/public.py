"""Public settings of SCNet, as the `model` section of a YAML gives them. Weights keep names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SAME: dict[str, tuple[str, Any]] = {
    "audio_channels": ("audio_channels", 2),
    "dims": ("widths", [4, 32, 64, 128]),
    "nfft": ("n_fft", 4096),
    "hop_size": ("hop", 1024),
    "win_size": ("window", 4096),
    "normalized": ("normalized", True),
    "band_SR": ("band_shares", [0.175, 0.392, 0.433]),
    "band_stride": ("band_strides", [1, 4, 16]),
    "band_kernel": ("band_kernels", [3, 4, 16]),
    "conv_depths": ("band_depths", [3, 2, 1]),
    "compress": ("compression", 4),
    "conv_kernel": ("conv_kernel", 3),
    "num_dplayer": ("dual_paths", 6),
    "expand": ("expansion", 1),
}
"""Public argument -> our setting of the same meaning, and its default."""

ARGUMENTS = (*_SAME, "sources")


def to_config(given: Mapping[str, Any], masks: bool = False) -> dict[str, Any]:
    """Our settings for the public arguments, all except stems, sample rate and segment.

    Args:
        masks: whether it is the variant that makes masks.
    """
    values = {ours: given.get(public, default) for public, (ours, default) in _SAME.items()}
    plain = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
    return plain | {"masks": masks}
