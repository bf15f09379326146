"""Score models, trivial estimates and the ideal mask on a test set: the tables of the card.

    python -m studies.mini.measure --data ../mini-test [MODEL...]

`--data` is what make_test.py writes: the recorded validation song and the made-up test set. Each
MODEL is a name or a path (default: mini). The mixture, silence and the ideal ratio mask (of
magnitudes, 4096-point STFT) are scored as well. Scores are cached in DATA/scores.json by the bytes
of tracks and weights, so only new ones are computed. Writes DATA/table.md and prints it.

nSDR and cSDR are those of docs/evaluation.md: the mean over songs of nSDR, and the median over
songs of cSDR (a median over 1 s frames). Stems that are silent throughout are left out.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile
import torch

import unbraid
from unbraid.atomic import write_text
from unbraid.errors import UnbraidError
from unbraid.evaluation.bss_eval import sdr_v4
from unbraid.evaluation.metrics import nsdr
from unbraid.zoo.open import find_model

STEMS = ("drums", "bass", "other", "vocals")
RATE = 44100
FFT, HOP = 4096, 1024

Scores = dict[str, dict[str, tuple[float | None, float | None]]]
"""Estimate -> stem -> nSDR and cSDR in dB; None where there is none."""


def ideal_mask(sources: np.ndarray) -> np.ndarray:
    """Each stem's share of the magnitudes, applied to the mixture: (stems, channels, samples)."""
    window = torch.hann_window(FFT)
    estimates = np.empty_like(sources)
    for channel in range(sources.shape[1]):
        parts = torch.from_numpy(np.ascontiguousarray(sources[:, channel]))
        stft = torch.stft(parts, FFT, HOP, window=window, return_complex=True)
        magnitude = stft.abs()
        masked = stft.sum(0) * magnitude / (magnitude.sum(0) + 1e-10)
        estimates[:, channel] = torch.istft(masked, FFT, HOP, window=window, length=parts.shape[1])
    return estimates


def score(sources: np.ndarray, estimates: np.ndarray) -> list[tuple[float | None, float | None]]:
    """nSDR and median SDR of 1 s frames, for each source; None for what is not defined."""
    whole = nsdr(sources, estimates)
    there = [index for index, source in enumerate(sources) if source.any()]
    frames = np.full(len(sources), np.nan)
    if all(estimates[index].any() for index in there):
        parts = (s[there].transpose(0, 2, 1).astype(np.float64) for s in (sources, estimates))
        table = sdr_v4(*parts)
        frames[there] = np.nanmedian(table, axis=1)
    return [
        (
            round(float(whole[i]), 3) if i in there else None,
            None if np.isnan(frames[i]) else round(float(frames[i]), 3),
        )
        for i in range(len(sources))
    ]


def read_track(folder: Path) -> np.ndarray:
    """(stems, channels, samples), float32."""
    parts = [soundfile.read(folder / f"{stem}.wav", dtype="float32")[0] for stem in STEMS]
    return np.stack(parts).transpose(0, 2, 1)


def digest(*paths: Path) -> str:
    """Twelve characters that stand for the bytes of files."""
    found = hashlib.sha256()
    for path in paths:
        found.update(path.read_bytes())
    return found.hexdigest()[:12]


def estimators(args: argparse.Namespace) -> Iterator[tuple[str, str, Callable[[np.ndarray], list]]]:
    """Name in the table, key it is kept by, and what scores it on a track's sources."""

    def of_stems(estimate: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], list]:
        return lambda sources: score(sources, estimate(sources))

    yield "the mixture", "mixture", of_stems(lambda s: np.repeat(s.sum(0)[None], len(s), 0))
    yield "silence", "silence", of_stems(np.zeros_like)
    yield "ideal ratio mask", "ideal ratio mask", of_stems(ideal_mask)
    for name in args.models:
        separator = unbraid.Separator(model=name)

        def separate(sources: np.ndarray, by: unbraid.Separator = separator) -> np.ndarray:
            stems = by.separate(sources.sum(0), RATE)
            return np.stack([np.asarray(stems[stem]) for stem in STEMS])

        yield name, f"model {digest(find_model(name))}", of_stems(separate)


def measure(args: argparse.Namespace) -> dict[str, dict[str, Scores]]:
    """Scores by split and track; what is known already is not computed again."""
    kept_path = args.data / "scores.json"
    kept = json.loads(kept_path.read_text()) if kept_path.exists() else {}
    found: dict[str, dict[str, Scores]] = {split: {} for split in args.splits}
    ways = list(estimators(args))
    for split, tracks in found.items():
        for folder in sorted((args.data / split).glob("*")):
            known = kept.setdefault(digest(*(folder / f"{stem}.wav" for stem in STEMS)), {})
            sources: np.ndarray | None = None
            for name, key, way in ways:
                if key not in known:
                    sources = read_track(folder) if sources is None else sources
                    known[key] = way(sources)
                    write_text(kept_path, json.dumps(kept, indent=1) + "\n")
                    print(f"{folder.name}: {name} {known[key]}", file=sys.stderr, flush=True)
                scores = dict(zip(STEMS, map(tuple, known[key]), strict=True))
                tracks.setdefault(folder.name, {})[name] = scores
    return found


def over_tracks(tracks: dict[str, Scores], name: str, which: int) -> list[float | None]:
    """Of each stem the mean nSDR (`which` 0) or the median cSDR (1) over tracks."""
    figures = []
    for stem in STEMS:
        values = [scores[name][stem][which] for scores in tracks.values()]
        there = [value for value in values if value is not None]
        figures.append(float((np.mean, np.median)[which](there)) if there else None)
    return figures


def share_closed(tracks: dict[str, Scores], name: str) -> list[float]:
    """How much of the way from the better trivial estimate to the ideal mask, in nSDR."""
    mixture, silence, ideal = (
        over_tracks(tracks, other, 0) for other in ("the mixture", "silence", "ideal ratio mask")
    )
    figures = zip(over_tracks(tracks, name, 0), mixture, silence, ideal, strict=True)
    return [(own - max(m, s)) / (best - max(m, s)) for own, m, s, best in figures]


def table(tracks: dict[str, Scores], models: list[str]) -> str:
    """Markdown: a row an estimate; nSDR, then cSDR."""
    head = " | ".join([*(f"{stem} nSDR" for stem in STEMS), *(f"{stem} cSDR" for stem in STEMS)])
    lines = [f"| estimate | {head} |", "|---|" + "---|" * 2 * len(STEMS)]
    for name in next(iter(tracks.values())):
        figures = over_tracks(tracks, name, 0) + over_tracks(tracks, name, 1)
        cells = ["–" if value is None else f"{value:.2f}" for value in figures]
        shown = f"**{name}**" if name in models else name
        lines.append(f"| {shown} | " + " | ".join(cells).replace("-", "−") + " |")
    for name in models:
        closed = ", ".join(
            f"{stem} {share:.0%}"
            for stem, share in zip(STEMS, share_closed(tracks, name), strict=True)
        )
        lines += [
            "",
            f"Of the way from the better trivial estimate to the ideal mask {name} goes: {closed}.",
        ]
    return "\n".join(lines).replace(" -", " −")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=["mini"], help="names or paths (mini)")
    parser.add_argument("--data", type=Path, required=True, help="the folder of make_test.py")
    parser.add_argument(
        "--splits", nargs="+", choices=("valid", "test"), default=("valid", "test"), help="(both)"
    )
    args = parser.parse_args()
    found = measure(args)
    parts = []
    titles = {"valid": "Potassium (recorded)", "test": "the made-up test set"}
    for split, tracks in found.items():
        title = titles[split]
        if not tracks:
            sys.exit(f"error: {args.data / split} holds no tracks; make them with make_test.py")
        count = f"{len(tracks)} songs" if len(tracks) > 1 else "1 song"
        parts += [f"### {title}, {count}, dB", "", table(tracks, args.models), ""]
    text = "\n".join(parts)
    write_text(args.data / "table.md", text)
    print(text)


if __name__ == "__main__":
    try:
        main()
    except UnbraidError as error:
        sys.exit(f"error: {error}")
