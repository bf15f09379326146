"""Names of the weights in checkpoints of ws-choi/ISMIR2020_U_Nets_SVS, one file for each stem."""

from __future__ import annotations

from unbraid.models.layers.cac_names import public_rules
from unbraid.models.names import rename


def public_name(name: str) -> str:
    """The public name of a weight of ours, without the stem's network.

    >>> public_name("nets.0.encoders.1.tdf.3.weight")
    'encoders.1.tif.tif.3.weight'
    """
    return rename(name, public_rules(r"nets[.]\d+[.]")).replace(".tdf.", ".tif.tif.")
