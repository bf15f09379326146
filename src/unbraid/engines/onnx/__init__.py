"""Exported models in onnxruntime: graphs of networks, their Fourier transforms in numpy."""

from __future__ import annotations

from unbraid.models.base import SeparationModel
from unbraid.zoo.stored import StoredModel

NAME = "onnxruntime"


def reason_not(stored: StoredModel, device: str, precision: str) -> str | None:
    """Why onnxruntime does not run this model here; None if it does."""
    if stored.architecture != "exported":
        return ""  # not exported at all: not worth a word
    return None if precision in ("auto", "fp32") else f"the precision is {precision}"


def words(reasons: list[str]) -> str:
    """What runs the model, for people."""
    return NAME


def load(stored: StoredModel, device: str, precision: str, words: str = NAME) -> SeparationModel:
    """The model in onnxruntime."""
    from unbraid.engines.onnx.run import OnnxModel

    return OnnxModel(stored.path, device)
