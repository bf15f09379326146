"""Names of the weights in packages of `asteroid`."""

from __future__ import annotations

_PARTS = {
    "fc1": "layer_enc.{}.enc.0",
    "bn1": "layer_enc.{}.enc.1",
    "lstm": "layer_lstm.{}",
    "fc2": "layer_dec.{}.dec.0",
    "bn2": "layer_dec.{}.dec.1",
    "fc3": "layer_dec.{}.dec.3",
    "bn3": "layer_dec.{}.dec.4",
}


def public_name(name: str, stems: tuple[str, ...]) -> str:
    """The public name of a weight of ours.

    >>> public_name("nets.0.input_mean", ("bass", "drums"))
    'mean_scale.input_mean_bass'
    >>> public_name("nets.1.fc3.weight", ("bass", "drums"))
    'layer_dec.drums.dec.3.weight'
    """
    _, index, part, *rest = name.split(".")
    stem = stems[int(index)]
    if part not in _PARTS:
        return f"mean_scale.{part}_{stem}"
    return ".".join([_PARTS[part].format(stem), *rest])
