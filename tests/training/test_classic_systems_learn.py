"""Each of the classic architectures learns by the loss of its recipe."""

from __future__ import annotations

import pytest
import torch

from training.tones import STEMS, a_batch, bf16_error
from unbraid.models.registry import build_model
from unbraid.training.config import LossRecipe
from unbraid.training.domain_losses import training_losses
from unbraid.training.recipes import read_recipe

UNMIX = {"n_fft": 512, "hop": 128, "bins": 200, "hidden": 16, "lstm_layers": 1}
CAC = {"n_fft": 256, "hop": 64, "width": 4, "levels": 2, "layers": 2}
TINY = {
    "demucs-v2": {"width": 8, "depth": 2, "segment_s": 0.1},
    "wave-u-net": {"width": 4, "levels": 3, "sample_rate": 44100},
    "wavenet": {
        "width": 8, "skip_width": 8, "final_widths": [16, 16], "doublings": 4, "stacks": 1,
        "sample_rate": 44100, "audio_channels": 2,
    },
    "conv-tasnet": {"basis": 16, "kernel": 8, "stride": 4, "width": 8, "hidden": 12, "blocks": 2,
                    "repeats": 1},
    "dprnn": {"basis": 16, "kernel": 32, "stride": 16, "width": 8, "hidden": 6, "chunk": 20,
              "hop": 10, "repeats": 1, "audio_channels": 2, "sample_rate": 44100},
    "open-unmix": UNMIX,
    "x-umx": UNMIX,
    "cac-unet": CAC,
    "lasaft": {**CAC, "latent_sources": 2, "key_width": 4, "embedding": 4, "control_layers": 2},
    "res-u-net": {"n_fft": 256, "hop": 64, "widths": [4, 8], "blocks": 1, "middle": 1,
                  "time_levels": 2},
    "d3net": {
        "n_fft": 256, "hop": 128, "bins": 48, "split": 16, "final_growth": 4, "final_depth": 2,
        "low_width": 4, "low_growths": [2, 2, 2], "low_depths": [1, 1, 1], "low_stages": 1,
        "rest_width": 4, "rest_growths": [2, 2, 2], "rest_depths": [1, 1, 1],
        "full_width": 4, "full_growths": [2, 2, 2], "full_depths": [1, 1, 1], "full_stages": 1,
    },
    "mdx-net": {"n_ffts": [256, 512], "hop": 64, "bins": 128, "width": 4, "levels": 2, "layers": 1,
                "bottleneck_factor": 4},
}  # fmt: skip


@pytest.mark.parametrize("name", TINY)
def test_the_loss_of_its_recipe_falls_on_one_batch(name):
    recipe = read_recipe(f"systems/{name}")
    torch.manual_seed(0)
    settings = {"stems": STEMS, **TINY[name]}
    model = build_model(recipe.model.architecture, settings).train()
    sources = a_batch()
    loss = LossRecipe(
        kind=recipe.loss.kind, combine=recipe.loss.combine, angle=recipe.loss.angle,
        n_fft=512, hop=128,
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    losses = []
    for _ in range(20):
        value = training_losses(model(sources.sum(1)), sources, loss).mean()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(float(value.detach()))
        if losses[-1] < 0.95 * losses[0]:
            break
    assert losses[-1] < 0.95 * losses[0]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_conditions_of_lasaft_differ_by_stem_in_training():
    """Its batch norms would make equal rows nothing: all stems pass through them together."""
    torch.manual_seed(0)
    model = build_model("lasaft", {"stems": STEMS, **TINY["lasaft"]}).train()
    model.control.dropout.p = 0.0
    seen = []
    model.control.register_forward_hook(lambda _, inputs, output: seen.append(output[0].gamma))
    model(a_batch()[:1].sum(1))  # one song is enough
    (gamma,) = seen
    assert len(gamma) == len(STEMS) and not torch.allclose(gamma[0], gamma[1], atol=1e-3)


@pytest.mark.parametrize("name", TINY)
def test_bf16_changes_estimates_little(name):
    torch.manual_seed(0)
    model = build_model(
        read_recipe(f"systems/{name}").model.architecture, {"stems": STEMS, **TINY[name]}
    )
    assert bf16_error(model) < 0.1
