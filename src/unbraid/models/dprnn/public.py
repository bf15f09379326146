"""Names of the weights in packages of `asteroid`."""

from __future__ import annotations

from unbraid.models.dprnn.config import DPRNNConfig
from unbraid.models.names import rename

_NORM = {"gain": "gamma", "offset": "beta"}

_PATHS = [
    (rf"{ours}[.](\d+)[.]{step}[.]", rf"masker.net.\1.{theirs}_{public}.")
    for ours, theirs in (("within", "intra"), ("across", "inter"))
    for step, public in (
        (r"rnns[.]0", "RNN.rnn1"), (r"rnns[.]1", "RNN.rnn2"), ("linear", "linear"),
        ("norm", "norm"),
    )
]  # fmt: skip

_RULES = [
    (r"basis[.]analysis[.]weight", "encoder.filterbank._filters"),
    (r"basis[.]synthesis[.]weight", "decoder.filterbank._filters"),
    (r"norm[.]", "masker.bottleneck.0."),
    (r"bottleneck[.]", "masker.bottleneck.1."),
    (r"slope[.]", "masker.first_out.0."),
    (r"split[.]", "masker.first_out.1."),
    (r"value[.]", "masker.net_out.0."),
    (r"gate[.]", "masker.net_gate.0."),
    (r"scores[.]", "masker.mask_net."),
    *_PATHS,
]


def public_name(name: str, config: DPRNNConfig) -> str:
    """The public name of a weight of ours.

    >>> public_name("across.3.rnns.0.bias_ih_l0_reverse", DPRNNConfig())
    'masker.net.3.inter_RNN.rnn.bias_ih_l0_reverse'
    """
    *path, last = name.split(".")
    renamed = rename(".".join([*path, _NORM.get(last, last)]), _RULES)
    return renamed if config.multiply else renamed.replace("RNN.rnn1.", "RNN.rnn.")
