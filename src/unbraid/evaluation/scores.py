"""Scores of a track, and their file: museval's JSON, with keys of our own added.

    {"targets": [{"name": "drums", "frames": [{"time": 0.0, "duration": 1.0,
                                               "metrics": {"SDR": 7.1, ...}}, ...]}, ...],
     "unbraid": {"stems": {"drums": {"nSDR": 6.9, ...}}, ...}}

museval reads "targets" and leaves the rest alone. NaN is written as NaN, as museval writes it.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from unbraid.atomic import write_text
from unbraid.errors import EvaluationError

FORMAT = 1
WHOLE_SONG = ("nSDR", "SI-SDR")
"""Scores with one figure a song."""
FRAMED = {"cSDR": "SDR", "cISR": "ISR", "cSIR": "SIR", "cSAR": "SAR"}
"""Median over a song's frames -> the metric of the frames."""
BASELINE_SCORES = ("nSDR", "SI-SDR", "cSDR")
"""What baselines are scored by: all that needs no filters."""
_DECIMALS = 6


@dataclass(frozen=True)
class StemScores:
    """How well one stem of one track was estimated, in dB.

    Attributes:
        nsdr, si_sdr: over the whole song; NaN if not known.
        frames: BSSEval v4 metric -> one figure a frame, NaN where there is none.
        silent_reference: the reference is zero throughout. nSDR then measures how loud the estimate
            is, and stays out of all means.
    """

    nsdr: float
    si_sdr: float
    frames: dict[str, np.ndarray]
    silent_reference: bool = False

    def value(self, name: str) -> float:
        """One of `WHOLE_SONG`, or of `FRAMED`: the median over the frames that have a score."""
        if name in FRAMED:
            return median(self.frames.get(FRAMED[name], np.zeros(0)))
        return self.nsdr if name == "nSDR" else self.si_sdr

    def counted(self, name: str) -> float:
        """`value`, but NaN where it stays out of means."""
        return math.nan if self.silent_reference else self.value(name)


@dataclass(frozen=True)
class TrackScores:
    """Scores of one track.

    Attributes:
        name: of the track.
        stems: stem to its scores.
        window_s, hop_s: of the frames.
        sample_rate, samples: of the references.
        settings: what was measured, and for which model; plain JSON.
        inputs: digest of settings and files; shows whether a score is up to date.
        files: "references" and "estimates": stem to path, so that the excerpts can be played.
        notes: what a reader should know, in sentences.
        leaked: why these scores say nothing; None if they do.
        baselines: baseline -> stem -> `BASELINE_SCORES`, dB; None if not measured.
    """

    name: str
    stems: dict[str, StemScores]
    window_s: float = 1.0
    hop_s: float = 1.0
    sample_rate: int = 44100
    samples: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    inputs: str = ""
    files: dict[str, dict[str, str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    leaked: str | None = None
    baselines: Mapping[str, Mapping[str, Mapping[str, float]]] | None = None

    def of_baseline(self, name: str) -> TrackScores:
        """The scores of one of the `baselines` on this track."""
        found = (self.baselines or {}).get(name, {})
        stems = {
            stem: StemScores(
                nsdr=values["nSDR"],
                si_sdr=values["SI-SDR"],
                frames={"SDR": np.array([values["cSDR"]])},  # the median of one is that one
                silent_reference=self.stems[stem].silent_reference,
            )
            for stem, values in found.items()
            if stem in self.stems
        }
        return TrackScores(self.name, stems)


def median(values: np.ndarray) -> float:
    """The median of those that are numbers; NaN if none is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(np.nanmedian(values)) if values.size else math.nan


def save_track(path: Path, scores: TrackScores) -> None:
    """Write a track's file, whole or not at all.

    Raises:
        OSError: if the disk is full or the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(_as_json(scores), indent=1, ensure_ascii=False) + "\n")


def load_track(path: Path, name: str | None = None) -> TrackScores:
    """Read a track's file, written by unbraid or by museval.

    Args:
        name: of the track; by default what the file says, or else its name.
    Raises:
        EvaluationError: if it is neither.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return _from_json(content, name or path.stem)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvaluationError(
            f"{str(path)!r} is not a file of scores in museval's format: {reason(error)}"
        ) from error


def reason(error: Exception) -> str:
    """What is wrong with a JSON file, in words, of what reading it raised."""
    if isinstance(error, KeyError):
        return f"it has no {error}"
    if isinstance(error, (TypeError, AttributeError)):
        return f"it is made otherwise ({error})"
    return str(error)


def is_ours(path: Path) -> bool:
    """Whether `unbraid evaluate` wrote a file (or it is not there)."""
    try:
        return not path.exists() or "unbraid" in json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


def rounded(value: float) -> float:
    """A figure in the form written to files."""
    return round(float(value), _DECIMALS)


def _as_json(scores: TrackScores) -> dict[str, Any]:
    return {
        "targets": [
            {"name": stem, "frames": _frames(values, scores)}
            for stem, values in scores.stems.items()
        ],
        "unbraid": {
            "format": FORMAT,
            "track": scores.name,
            "leaked": scores.leaked,
            "stems": {stem: _stem(values) for stem, values in scores.stems.items()},
            "window_s": scores.window_s,
            "hop_s": scores.hop_s,
            "sample_rate": scores.sample_rate,
            "samples": scores.samples,
            "settings": scores.settings,
            "inputs": scores.inputs,
            "files": scores.files,
            "notes": list(scores.notes),
            **({} if scores.baselines is None else {"baselines": _rounded(scores.baselines)}),
        },
    }


def _stem(values: StemScores) -> dict[str, Any]:
    figures = {name: rounded(values.value(name)) for name in (*WHOLE_SONG, *FRAMED)}
    return {**figures, "silent_reference": values.silent_reference}


def _rounded(baselines: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[str, Any]:
    return {
        name: {
            stem: {key: rounded(value) for key, value in values.items()}
            for stem, values in stems.items()
        }
        for name, stems in baselines.items()
    }


def _frames(values: StemScores, scores: TrackScores) -> list[dict[str, Any]]:
    count = max((len(column) for column in values.frames.values()), default=0)
    return [
        {
            "time": number * scores.hop_s,
            "duration": scores.window_s,
            "metrics": {name: rounded(column[number]) for name, column in values.frames.items()},
        }
        for number in range(count)
    ]


def _from_json(content: Mapping[str, Any], name: str) -> TrackScores:
    ours = content.get("unbraid", {})
    stems = {}
    hop_s = window_s = 1.0
    for target in content["targets"]:
        frames = target["frames"]
        names = frames[0]["metrics"] if frames else ()
        columns = {n: np.array([_number(f["metrics"][n]) for f in frames]) for n in names}
        own = ours.get("stems", {}).get(target["name"], {})
        stems[target["name"]] = StemScores(
            nsdr=_number(own.get("nSDR")),
            si_sdr=_number(own.get("SI-SDR")),
            frames=columns,
            silent_reference=bool(own.get("silent_reference", False)),
        )
        if frames:
            window_s = float(frames[0]["duration"])
        if len(frames) > 1:
            hop_s = float(frames[1]["time"]) - float(frames[0]["time"])
    return TrackScores(
        name=str(ours.get("track", name)),
        stems=stems,
        window_s=float(ours.get("window_s", window_s)),
        hop_s=float(ours.get("hop_s", hop_s)),
        sample_rate=int(ours.get("sample_rate", 44100)),
        samples=int(ours.get("samples", 0)),
        settings=dict(ours.get("settings", {})),
        inputs=str(ours.get("inputs", "")),
        files=dict(ours.get("files", {})),
        notes=tuple(ours.get("notes", ())),
        leaked=ours.get("leaked"),
        baselines=_baselines(ours.get("baselines")),
    )


def _baselines(found: Any) -> dict[str, dict[str, dict[str, float]]] | None:
    if found is None:
        return None
    return {
        name: {
            stem: {score: _number(values[score]) for score in BASELINE_SCORES}
            for stem, values in stems.items()
        }
        for name, stems in found.items()
    }


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
