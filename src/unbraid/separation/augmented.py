"""Test-time augmentation: each segment as it is, with its channels swapped, and inverted.

A network treats left and right, and the two polarities, not quite alike. The mean of what it makes
of them, each undone, evens that out, at three times the cost:

    (f(x) + swap(f(swap(x))) - f(-x)) / 3

Source: `apply_tta` of Music-Source-Separation-Training.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from unbraid.engines.run import run_model
from unbraid.models.base import SeparationModel
from unbraid.shapes import Float, Float32


def count_variants(channels: int) -> int:
    """How many times a model of so many channels sees a segment: mono has no channels to swap.

    >>> count_variants(2), count_variants(1)
    (3, 2)
    """
    return 3 if channels > 1 else 2


def run_augmented(
    model: SeparationModel, mixture: Float32[np.ndarray, "b c t"], check: Callable[[], None]
) -> Float[np.ndarray, "b s c t"]:
    """The mean over all variants; one after the other, so that memory stays that of one.

    Args:
        check: called between two of them; may raise.
    Raises:
        ModelError: as `run_model`.
    """
    first = run_model(model, mixture.copy())  # a model may write to what it gets
    total: np.ndarray = first.copy()
    model.take_back(first)
    del first
    if mixture.shape[1] > 1:
        check()
        found = run_model(model, np.ascontiguousarray(mixture[:, ::-1]))
        total += found[:, :, ::-1]
        model.take_back(found)
        del found
    check()
    found = run_model(model, -mixture)
    total -= found
    model.take_back(found)
    total /= np.float32(count_variants(mixture.shape[1]))
    return total
