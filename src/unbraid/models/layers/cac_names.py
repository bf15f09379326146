"""Public names of the weights in a CaC U-Net; without torch, for opening files."""

from __future__ import annotations


def public_rules(prefix: str = "") -> list[tuple[str, str]]:
    """How the authors' repositories name what this file holds, as rules of `names.rename`."""
    return [
        (rf"{prefix}first[.]", "first_conv."),
        (rf"{prefix}downs[.]", "downsamplings."),
        (rf"{prefix}ups[.]", "upsamplings."),
        (rf"{prefix}last[.]", "last_conv.0."),
        (rf"{prefix}middle[.]tfc[.]layers[.]", "mid_block.tfc.H."),
        (rf"{prefix}(encoders|decoders)[.](\d+)[.]tfc[.]layers[.]", r"\1.\2.tfc.H."),
        (rf"{prefix}middle[.]", "mid_block."),
        (rf"{prefix}", ""),
    ]
