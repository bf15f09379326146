"""One pass of any model on arrays, wherever it computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from unbraid.errors import ModelError
from unbraid.models.base import SeparationModel
from unbraid.shapes import Float, Float32


def runs_elsewhere(model: SeparationModel) -> bool:
    """Whether a pass leaves the processor free for other work: the model is on a GPU."""
    return model.device != "cpu"


def at_once(model: SeparationModel, samples: int) -> int:
    """How many segments of so many samples a model computes side by side: several where that is
    faster and takes little memory, else one."""
    found: Callable[[int], int] | None = getattr(model, "at_once", None)
    return 1 if found is None else found(samples)


def run_model(
    model: SeparationModel, batch: Float32[np.ndarray, "b c t"]
) -> Float[np.ndarray, "b s c t"]:
    """One pass of any model: arrays in, float32 arrays out, wherever the model computes.

    Args:
        model: the model.
        batch: the model may write to it.
    Raises:
        ModelError: if the estimates have another shape than the model's spec says.
    """
    if runs_elsewhere(model):
        from unbraid.engines.torch.run import run_on_device

        estimates = run_on_device(model, batch)
    else:
        found: Any = model(batch)  # type: ignore[arg-type]
        estimates = np.asarray(found, np.float32)
    wanted = (len(batch), len(model.spec.stems), *batch.shape[1:])
    if estimates.shape != wanted:
        raise ModelError(
            f"a model with these stems makes estimates of shape {wanted} here, "
            f"got {estimates.shape}"
        )
    return estimates
