"""`LocalAttention` in blocks of query steps: no steps x steps tensor, no pass over one."""

from __future__ import annotations

import math

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from unbraid.engines.torch.inference.layout import blocks
from unbraid.models.layers.attention import LocalAttention


def attend(layer: LocalAttention, x: Float[Tensor, "1 c t"]) -> Float[Tensor, "1 c t"]:
    """What `layer` gives for one item; it has no `periods`."""
    heads, steps = layer.heads, x.shape[-1]
    query = rearrange(layer.query(x), "1 (h c) s -> h s c", h=heads).contiguous()
    key = rearrange(layer.key(x), "1 (h c) t -> h c t", h=heads).contiguous()
    content = rearrange(layer.content(x), "1 (h c) t -> h t c", h=heads).contiguous()
    query /= math.sqrt(key.shape[1])
    decay = layer._decay(x)[0, :, :, None] if layer.decays else None  # (heads, steps, 1)
    position = torch.arange(steps, dtype=x.dtype)
    found = torch.empty_like(query)
    for start, stop in blocks(steps, 4 * heads * steps):
        scores = torch.bmm(query[:, start:stop], key)
        if decay is not None:
            distance = (position[start:stop, None] - position).abs_()
            scores.addcmul_(distance, decay[:, start:stop], value=-1)
        itself = torch.arange(start, stop)
        scores[:, itself - start, itself] = -100.0  # a step does not look at itself
        found[:, start:stop] = torch.bmm(scores.softmax(dim=2), content)
    out: Tensor = x + layer.proj(rearrange(found, "h s c -> 1 (h c) s"))
    return out
