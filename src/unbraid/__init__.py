"""unbraid: a song goes in, its stems come out.

This file is the whole list of what is public. Names load on first use, so that `import unbraid` and
`unbraid --help` cost no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from unbraid.errors import (
    AudioError,
    AudioReadError,
    AudioWriteError,
    Cancelled,
    CheckpointError,
    ModelError,
    SegmentTooLong,
    SettingsError,
    ShapeError,
    UnbraidError,
    UnknownModel,
)
from unbraid.threads import let_waiting_threads_sleep
from unbraid.version import __version__

let_waiting_threads_sleep()

if TYPE_CHECKING:
    from unbraid import evaluation as evaluation
    from unbraid.api import OutputSettings, Separator, TrackResult, find_inputs, separate
    from unbraid.engines.load import load_model
    from unbraid.engines.torch.official import from_official
    from unbraid.models.base import ModelSpec
    from unbraid.models.compose.bag import Bag
    from unbraid.separation.engine import apply_model
    from unbraid.separation.progress import CancelToken, Progress
    from unbraid.separation.settings import SeparationSettings
    from unbraid.song_page.report import write_song_report
    from unbraid.zoo.open import list_models

_HOME = {
    "Bag": "unbraid.models.compose.bag",
    "CancelToken": "unbraid.separation.progress",
    "ModelSpec": "unbraid.models.base",
    "OutputSettings": "unbraid.api",
    "Progress": "unbraid.separation.progress",
    "SeparationSettings": "unbraid.separation.settings",
    "Separator": "unbraid.api",
    "TrackResult": "unbraid.api",
    "apply_model": "unbraid.separation.engine",
    "find_inputs": "unbraid.api",
    "from_official": "unbraid.engines.torch.official",
    "list_models": "unbraid.zoo.open",
    "load_model": "unbraid.engines.load",
    "separate": "unbraid.api",
    "write_song_report": "unbraid.song_page.report",
}

__all__ = [
    "AudioError",
    "AudioReadError",
    "AudioWriteError",
    "Bag",
    "CancelToken",
    "Cancelled",
    "CheckpointError",
    "ModelError",
    "ModelSpec",
    "OutputSettings",
    "Progress",
    "SegmentTooLong",
    "SeparationSettings",
    "Separator",
    "SettingsError",
    "ShapeError",
    "TrackResult",
    "UnbraidError",
    "UnknownModel",
    "__version__",
    "apply_model",
    "evaluation",
    "find_inputs",
    "from_official",
    "list_models",
    "load_model",
    "separate",
    "write_song_report",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name == "evaluation":
        return importlib.import_module("unbraid.evaluation")
    raise AttributeError(f"module 'unbraid' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
