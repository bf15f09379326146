"""Names of the weights in checkpoints of ws-choi/Conditioned-Source-Separation-LaSAFT."""

from __future__ import annotations

import re

from unbraid.models.layers.cac_names import public_rules
from unbraid.models.names import rename


def public_name(name: str) -> str:
    """The public name of a weight of ours.

    Steps of the control network are numbered with its activations: linear layers are 0, 2, 6, ...
    and norms 5, 9, ...

    >>> public_name("control.dense.2.bias")
    'condition_generator.dense_control_block.linear.6.bias'
    >>> public_name("net.middle.lasaft.query.bias")
    'mid_block.linear_query.bias'
    """
    if found := re.match(r"control[.](dense|norms)[.](\d+)[.](\w+)", name):
        index = int(found[2])
        step = 4 * index + 5 if found[1] == "norms" else max(0, 4 * index - 2)
        return f"condition_generator.dense_control_block.linear.{step}.{found[3]}"
    if found := re.match(r"control[.](gamma|beta)[.](\d)[.](\w+)", name):
        step = 2 * int(found[2])
        return f"condition_generator.linear_{found[1]}.{step}.{found[3]}"
    name = rename(name, public_rules(r"net[.]")) if name.startswith("net.") else name
    for ours, theirs in (
        (".lasaft.tdf.", ".tdfs.tdf."),
        (".lasaft.query.", ".linear_query."),
        (".lasaft.keys", ".keys"),
    ):
        name = name.replace(ours, theirs)
    return name
