"""Names of the weights in checkpoints of kuielab/mdx-net, one file for each stem."""

from __future__ import annotations

from unbraid.models.names import rename

_RULES = [
    (r"nets[.]\d+[.]first[.]", "first_conv."),
    (r"nets[.]\d+[.]last[.]", "final_conv.0."),
    (r"nets[.]\d+[.]downs[.]", "ds."),
    (r"nets[.]\d+[.]ups[.]", "us."),
    (r"nets[.]\d+[.]middle[.]", "bottleneck_block."),
    (r"nets[.]\d+[.]encoders[.]", "encoding_blocks."),
    (r"nets[.]\d+[.]decoders[.]", "decoding_blocks."),
    (r"mixer[.]", "mixing_layer."),
]


def public_name(name: str) -> str:
    """The public name of a weight of ours, without the stem's network.

    >>> public_name("nets.2.encoders.0.tfc.1.0.weight")
    'encoding_blocks.0.tfc.H.1.0.weight'
    """
    return rename(name, _RULES).replace(".tfc.", ".tfc.H.")
