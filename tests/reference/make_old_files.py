"""Files as unbraid wrote them when ratio masks and a second rate were settings of one network.

Run with the code at commit cfbb587 on the path: `python make_old_files.py old`. `test_old_files.py`
opens what it writes.
"""

from __future__ import annotations

import json
import lzma
import sys
from pathlib import Path

import numpy as np
import torch

TINY = {
    "stems": ("a", "b"), "sample_rate": 8000, "audio_channels": 1, "segment_s": 0.1, "width": 2,
    "growth": 1, "n_fft": 64, "depth": 3, "norm_from": 2, "norm_groups": 1,
    "residual_encoder": False,
}  # fmt: skip
SAMPLES = 800


def mixture() -> torch.Tensor:
    """Noise that both sides know, (1, 1, SAMPLES)."""
    values = 0.3 * np.random.default_rng(0).standard_normal((1, 1, SAMPLES))
    return torch.from_numpy(values.astype(np.float32))


def train_step(network: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """One step towards silence."""
    optimizer.zero_grad()
    network(mixture()).square().mean().backward()
    optimizer.step()


def main(folder: Path) -> None:
    """Write all files."""
    from unbraid.models.two_rate_demucs import TwoRateDemucs, TwoRateDemucsConfig
    from unbraid.runtimes.export import export_onnx

    from unbraid import SeparationSettings, apply_model
    from unbraid.models.hybrid_demucs import HybridDemucs, HybridDemucsConfig
    from unbraid.training.config import EmaRecipe, GuardRecipe
    from unbraid.training.guard import Guard
    from unbraid.training.state import RunState, make_averages, save_state
    from unbraid.zoo.checkpoint import save_checkpoint

    folder.mkdir(parents=True, exist_ok=True)
    found = {}

    def keep(name: str, model: torch.nn.Module) -> None:
        settings = SeparationSettings(split=False)
        found[name] = apply_model(model.eval(), mixture(), settings).numpy()[..., ::5]

    torch.manual_seed(0)
    two = TwoRateDemucs(TwoRateDemucsConfig(**TINY, low_width=2, ratio_masks=True))
    keep("two_rate", two)
    save_checkpoint(folder / "two_rate.safetensors", two, licence="MIT")

    masked = HybridDemucs(HybridDemucsConfig(**TINY, ratio_masks=True))
    keep("masked", masked)
    export_onnx(masked, folder / "masked.onnx", licence="MIT")

    masked.train()
    optimizer = torch.optim.Adam(masked.parameters(), lr=1e-2)
    by_step, by_epoch = make_averages(masked, EmaRecipe(batch=(0.9,), epoch=()))
    train_step(masked, optimizer)
    for average in by_step.values():
        average.update(masked)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    state = RunState(masked, optimizer, scaler, Guard(GuardRecipe()), by_step, by_epoch)
    state.position.step = 1
    save_state(folder / "state.pt", state)
    train_step(masked, optimizer)
    keep("trained", masked)

    np.savez_compressed(folder / "estimates.npz", **found)
    for path in list(folder.iterdir()):
        if path.suffix != ".npz":
            path.with_name(f"{path.name}.xz").write_bytes(lzma.compress(path.read_bytes()))
            path.unlink()
    print(json.dumps({path.name: path.stat().st_size for path in sorted(folder.iterdir())}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
