"""Estimates against references: scores, their intervals, and comparisons.

Names load on first use, so that a process that only scores needs only numpy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unbraid.evaluation.bss_eval import CEILING_DB, bss_eval_v4, sdr_v4
    from unbraid.evaluation.comparison import Difference, compare
    from unbraid.evaluation.evaluate import Evaluation, EvaluationSettings, evaluate_folders
    from unbraid.evaluation.figures import Figure, aggregate
    from unbraid.evaluation.metrics import nsdr, si_sdr
    from unbraid.evaluation.scores import StemScores, TrackScores, load_track, save_track
    from unbraid.evaluation.summary import Summary, load_summary, save_summary, summarize

_HOME = {
    "CEILING_DB": "bss_eval",
    "Difference": "comparison",
    "Evaluation": "evaluate",
    "EvaluationSettings": "evaluate",
    "Figure": "figures",
    "StemScores": "scores",
    "Summary": "summary",
    "TrackScores": "scores",
    "aggregate": "figures",
    "bss_eval_v4": "bss_eval",
    "compare": "comparison",
    "evaluate_folders": "evaluate",
    "load_summary": "summary",
    "load_track": "scores",
    "nsdr": "metrics",
    "save_summary": "summary",
    "save_track": "scores",
    "sdr_v4": "bss_eval",
    "si_sdr": "metrics",
    "summarize": "summary",
}

__all__ = [
    "CEILING_DB",
    "Difference",
    "Evaluation",
    "EvaluationSettings",
    "Figure",
    "StemScores",
    "Summary",
    "TrackScores",
    "aggregate",
    "bss_eval_v4",
    "compare",
    "evaluate_folders",
    "load_summary",
    "load_track",
    "nsdr",
    "save_summary",
    "save_track",
    "sdr_v4",
    "si_sdr",
    "summarize",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"unbraid.evaluation.{_HOME[name]}"), name)
    raise AttributeError(f"module 'unbraid.evaluation' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
