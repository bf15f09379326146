"""Names of the weights in public files: the music version of PyPI `demucs` 2, and `asteroid`."""

from __future__ import annotations

import re

from unbraid.models.conv_tasnet.config import ConvTasNetConfig
from unbraid.models.names import rename

_NORM = {"gain": "gamma", "offset": "beta"}

_SPEECH = [
    (r"basis[.]analysis[.]weight", "encoder.filterbank._filters"),
    (r"basis[.]synthesis[.]weight", "decoder.filterbank._filters"),
    (r"norm[.]", "masker.bottleneck.0."),
    (r"bottleneck[.]", "masker.bottleneck.1."),
    (r"blocks[.](\d+)[.]shared[.]", r"masker.TCN.\1.shared_block."),
    (r"blocks[.](\d+)[.]residual[.]", r"masker.TCN.\1.res_conv."),
    (r"blocks[.](\d+)[.]skip[.]", r"masker.TCN.\1.skip_conv."),
    (r"slope[.]", "masker.mask_net.0."),
    (r"scores[.]", "masker.mask_net.1."),
]

_MUSIC = [
    (r"basis[.]analysis[.]", "encoder.conv1d_U."),
    (r"basis[.]synthesis[.]", "decoder.basis_signals."),
    (r"norm[.]", "separator.network.0."),
    (r"bottleneck[.]", "separator.network.1."),
    (r"scores[.]", "separator.network.3."),
]


def public_name(name: str, config: ConvTasNetConfig) -> str:
    """The public name of a weight of ours: of the speech version if convolutions have biases.

    >>> public_name("blocks.11.shared.0.weight", ConvTasNetConfig())
    'separator.network.2.1.1.net.0.weight'
    >>> public_name("norm.gain", ConvTasNetConfig(bias=True))
    'masker.bottleneck.0.gamma'
    """
    *path, last = name.split(".")
    name = ".".join([*path, _NORM.get(last, last)])
    if config.bias:
        if config.causal:  # a wrapper around the convolution counts as a step of its own
            name = re.sub(r"shared[.]3[.]", "shared.3.0.", name)
        return rename(name, _SPEECH)
    block = re.match(r"blocks[.](\d+)[.](?:shared[.](\d)|residual)[.](.+)", name)
    if not block:
        return rename(name, _MUSIC)
    repeat, level = divmod(int(block[1]), config.blocks)
    step = 6 if block[2] is None else int(block[2])
    inner = f"net.{step}" if step < 3 else f"net.3.net.{step - 3 + (config.causal and step > 3)}"
    return f"separator.network.2.{repeat}.{level}.{inner}.{block[3]}"
