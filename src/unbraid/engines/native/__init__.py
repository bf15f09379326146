"""Networks on the CPU by kernels of our own, without torch: see `network.py`."""

from __future__ import annotations

from unbraid.engines.native.model import NativeModel, why_not, why_not_asked, why_not_here
from unbraid.models.base import SeparationModel
from unbraid.zoo.stored import StoredModel

NAME = "native kernels"


def reason_not(stored: StoredModel, device: str, precision: str) -> str | None:
    """Why the kernels do not run this model here; None if they do."""
    return why_not_asked(device, precision) or why_not(stored) or why_not_here(device, precision)


def words(reasons: list[str]) -> str:
    """What runs the model, for people."""
    return NAME


def load(stored: StoredModel, device: str, precision: str, words: str = NAME) -> SeparationModel:
    """The model in the kernels."""
    return NativeModel(stored)
