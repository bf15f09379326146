"""Networks that mask spectrograms, on arrays of numpy: without torch, and without a compiler.

Where our own kernels are installed they do the products, else the BLAS that numpy brings does.
"""

from __future__ import annotations

from unbraid.engines import native
from unbraid.engines.native.model import why_not_here
from unbraid.models.base import SeparationModel
from unbraid.zoo.stored import StoredModel

NAME = "numpy"


def reason_not(stored: StoredModel, device: str, precision: str) -> str | None:
    """Why this does not run the model here; None if it does."""
    from unbraid.engines.numpy.model import KNOWN

    if stored.architecture not in KNOWN:
        return ""  # another kind of network altogether: not worth a word
    if device != "cpu":
        return f"the device is {device}"
    if precision not in ("auto", "fp32"):
        return f"the precision is {precision}"
    return KNOWN[stored.architecture].why_not(stored.config)


def words(reasons: list[str]) -> str:
    """What runs the model, for people: with the kernels, or why without."""
    missing = why_not_here("cpu", "fp32")
    return f"{NAME} with {native.NAME}" if missing is None else f"{NAME} alone, as {missing}"


def load(stored: StoredModel, device: str, precision: str, words: str = NAME) -> SeparationModel:
    """The model on arrays."""
    from unbraid.engines.numpy.model import NumpyModel

    return NumpyModel(stored, words)
