"""Names of the weights in public files: each stem's network has a file of its own."""

from __future__ import annotations


def public_name(name: str, stems: tuple[str, ...]) -> tuple[str, str]:
    """The stem whose file has a weight of ours, and its name there.

    >>> public_name("nets.1.lstm.bias_hh_l0", ("vocals", "drums"))
    ('drums', 'lstm.bias_hh_l0')
    """
    _, index, inner = name.split(".", 2)
    return stems[int(index)], inner
