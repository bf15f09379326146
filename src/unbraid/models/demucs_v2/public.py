"""Names of the weights in files of PyPI `demucs` 2.0.3 and of its version 1."""

from __future__ import annotations

from unbraid.models.names import rename

_RULES = [
    (r"core[.]", "lstm."),
    (r"encoder[.](\d+)[.]conv", r"encoder.\1.0"),
    (r"encoder[.](\d+)[.]rewrite", r"encoder.\1.2"),
    (r"decoder[.](\d+)[.]rewrite", r"decoder.\1.0"),
    (r"decoder[.](\d+)[.]conv", r"decoder.\1.2"),
]


def public_name(name: str) -> str:
    """The public name of a weight of ours.

    >>> public_name("decoder.5.conv.bias")
    'decoder.5.2.bias'
    """
    return rename(name, _RULES)
