"""Names of the weights in files of PyPI `bytesep`, one file for each target."""

from __future__ import annotations

import re

from unbraid.models.names import rename


def public_name(name: str) -> str:
    """The public name of a weight of ours, without the stem's network.

    >>> public_name("nets.0.middle.2.0.bn2.bias")
    'conv_block7c.conv_block1.abn2.bias'
    >>> public_name("nets.0.up.5.blocks.3.conv1.weight")
    'decoder_block6.conv_block5.conv1.weight'
    """
    name = re.sub(r"^nets[.]\d+[.]", "", name).replace(".bn2.", ".abn2.")

    def more(match: re.Match[str], by: int) -> str:
        return f"conv_block{int(match[1]) + by}"

    if found := re.match(r"(down|up|middle)[.](\d+)[.]", name):
        index, rest = int(found[2]), name[found.end() :]
        if found[1] == "middle":
            block = f"conv_block7{'abcdefghijklmnopqrstuvwxyz'[index]}"
        else:
            block = f"{'encoder' if found[1] == 'down' else 'decoder'}_block{index + 1}"
        rest = re.sub(r"^blocks[.](\d+)", lambda match: more(match, 2), rest)
        return f"{block}.{re.sub(r'^([0-9]+)', lambda match: more(match, 1), rest)}"
    name = re.sub(r"^after[.](\d+)", lambda m: f"after_conv_block1.{more(m, 1)}", name)
    return rename(name, [(r"last[.]", "after_conv2.")])
