"""Names of the weights in files of the PyTorch port of D3Net, one file for each stem."""

from __future__ import annotations

import re

from unbraid.models.names import rename

_BAND, _LAYER = r"(low|middle|full)[.]", r"(\d+)[.](\d+)[.](norm|conv)[.]"
_RULES = [
    (_BAND + r"first[.]", r"net.\1.conv2d."),
    (_BAND + rf"down[.](\d+)[.]{_LAYER}", r"net.\1.encoder.net.\2.d3block.net.\3.net.\4.\g<5>2d."),
    (_BAND + rf"middle[.]{_LAYER}", r"net.\1.bottleneck_conv2d.net.\2.net.\3.\g<4>2d."),
    (
        _BAND + rf"up[.](\d+)[.]block[.]{_LAYER}",
        r"net.\1.decoder.net.\2.d3block.net.\3.net.\4.\g<5>2d.",
    ),
    (_BAND + r"up[.](\d+)[.]norm[.]", r"net.\1.decoder.net.\2.norm2d."),
    (_BAND + r"up[.](\d+)[.]up[.]", r"net.\1.decoder.net.\2.upsample2d."),
    (_BAND + r"match[.]", r"net.\1.pointwise_conv2d."),
    (r"final[.](\d+)[.](norm|conv)[.]", r"d2block.net.\1.\g<2>2d."),
    (r"norm[.]", "norm2d."),
    (r"value[.]", "glu2d.map."),
    (r"gate[.]", "glu2d.map_gate."),
]


def public_name(name: str) -> str:
    """The public name of a weight of ours, without the stem's network.

    >>> public_name("nets.0.rest.up.1.block.0.2.conv.bias")
    'net.middle.decoder.net.1.d3block.net.0.net.2.conv2d.bias'
    """
    name = re.sub(r"^nets[.]\d+[.]", "", name)
    return rename(re.sub(r"^rest[.]", "middle.", name), _RULES)
