"""An evaluation of made-up scores, in files as `unbraid evaluate` writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from unbraid.evaluation.baseline_figures import baseline_figures
from unbraid.evaluation.baselines import BASELINES
from unbraid.evaluation.figures import aggregate
from unbraid.evaluation.scores import StemScores, TrackScores, save_track
from unbraid.evaluation.summary import Summary, save_summary

STEMS = ("drums", "bass", "other", "vocals")


def write_evaluation(
    out: Path,
    better: float = 0.0,
    tracks: int = 6,
    seed: int = 0,
    leaked: str | None = None,
    sounds: Path | None = None,
) -> Path:
    """Scores of `tracks` songs, all `better` dB higher than without; half of them have sounds."""
    rng = np.random.default_rng(seed)
    done = []
    for number in range(tracks):
        stems = {}
        for index, stem in enumerate(STEMS):
            level = 5 + index + 1.5 * np.random.default_rng((number, index)).standard_normal()
            frames = level + better + 2 * rng.standard_normal(20)
            frames[3 + index] = np.nan
            stems[stem] = StemScores(
                nsdr=level + better + 0.1 * rng.standard_normal(),
                si_sdr=level + better - 1,
                frames={name: frames + k for k, name in enumerate(("SDR", "ISR", "SIR", "SAR"))},
                silent_reference=number == 1 and stem == "bass",
            )
        files = {}
        if sounds is not None:
            folder = write_sounds(sounds / f"song {number}", number)
            paths = {stem: str(folder / f"{stem}.flac") for stem in STEMS}
            files = {"references": paths, "estimates": paths}
        baselines = None if sounds is None else made_up_baselines(number)
        track = TrackScores(
            f"song {number} <b>",
            stems,
            files=files,
            notes=("a & b",),
            leaked=leaked,
            baselines=baselines,
        )
        save_track(out / "test" / f"{track.name}.json", track)
        done.append(track)
    figures = aggregate(done, resamples=100)  # an interval of 100 draws is as good to a page
    summary = Summary(
        out.name,
        figures,
        done,
        leaked=leaked,
        provenance={"model": out.name},
        baselines=baseline_figures(done, resamples=100),
    )
    save_summary(out, summary)
    return out


def made_up_baselines(number: int) -> dict[str, dict[str, dict[str, float]]]:
    """The second beats the system on vocals alone, whose scores are about 8."""
    return {
        name: {
            stem: dict.fromkeys(("nSDR", "SI-SDR", "cSDR"), level + 0.1 * number)
            for stem, level in zip(STEMS, levels, strict=True)
        }
        for name, levels in zip(
            BASELINES, ((-5, -4, -6, -3), (2, 3, 1, 12), (9, 9, 9, 14)), strict=True
        )
    }


def write_sounds(folder: Path, seed: int = 0, seconds: float = 20.0) -> Path:
    """Stems and their sum, quiet noise at a low rate."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    stems = {stem: 0.05 * rng.standard_normal((round(8000 * seconds), 2)) for stem in STEMS}
    for stem, sound in {**stems, "mixture": sum(stems.values())}.items():
        soundfile.write(folder / f"{stem}.flac", sound, 8000)
    return folder
