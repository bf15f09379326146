"""A batch that any network can learn at once."""

from __future__ import annotations

import torch

STEMS = ["drums", "vocals"]


def a_batch():
    """A low and a high tone with noise: (2, 2 stems, 2 channels, 4096)."""
    generator = torch.Generator().manual_seed(3)
    steps = torch.arange(4096) / 44100
    tones = torch.stack([torch.sin(2 * torch.pi * hertz * steps) for hertz in (300.0, 4000.0)])
    noise = torch.randn(2, 2, 2, 4096, generator=generator)
    return 0.3 * tones[None, :, None] + 0.05 * noise


def bf16_error(model):
    """RMS of what bf16 changes in a model's estimates of the batch, as a share of their RMS."""
    mixtures = a_batch().sum(1)
    model.eval()
    with torch.no_grad():
        full = model(mixtures)
    with torch.autocast("cpu", torch.bfloat16):
        short = model(mixtures)
    short.float().square().mean().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    return float(
        (short.detach().float() - full).square().mean().sqrt() / full.square().mean().sqrt()
    )
