"""Every architecture in torch, on any device and in any precision."""

from __future__ import annotations

import importlib.util

from unbraid.errors import how_to_install
from unbraid.models.base import SeparationModel
from unbraid.zoo.stored import StoredModel

NAME = "torch"


def reason_not(stored: StoredModel, device: str, precision: str) -> str | None:
    """Why torch does not run this model here; None if it does."""
    if stored.architecture == "exported":
        return "an exported model runs in onnxruntime"
    return is_missing()


def is_missing() -> str | None:
    """How to install torch; None if it is installed."""
    if importlib.util.find_spec("torch") is None:
        return f"torch is not installed: {how_to_install('torch')}"
    return None


def words(reasons: list[str]) -> str:
    """What runs the model, for people, and why the kernels do not."""
    return f"{NAME}, as {reasons[0]}" if reasons else NAME


def load(stored: StoredModel, device: str, precision: str, words: str = NAME) -> SeparationModel:
    """The model in torch, on its device."""
    from unbraid.engines.torch.build import build_module
    from unbraid.engines.torch.run import TorchModel

    return TorchModel(
        build_module(stored).to(device),
        precision,
        engine=words,
        fingerprint=stored.fingerprint,
    )
