"""How far the hints at quality go along with nSDR, on songs whose stems are known.

    python scripts/measure_hints.py ROOT [ROOT...] [--model mini] [--songs 20] [--seconds 16]

ROOT holds a folder for each song, with a file for each stem: sound files, or .npy of int16
(samples, 2) at 44.1 kHz. Of each song one excerpt or more is separated; hints that need no true
stem are held against nSDR by Spearman's rank correlation, over all excerpts of a stem and over all
stems together. Writes every stem to docs/hint-measurements.json and the correlations, which reports
show, to src/unbraid/song_page/hint_correlations.json; prints the table of docs/reports.md.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from unbraid.api import Separator
from unbraid.atomic import write_text
from unbraid.audio.files import read
from unbraid.evaluation.metrics import nsdr
from unbraid.song_page.hints import HINTS, hints_of_signals
from unbraid.song_page.second_look import disagreement

RATE = 44100
ROOT = Path(__file__).parents[1]
OUT = ROOT / "src/unbraid/song_page/hint_correlations.json"
ROWS = ROOT / "docs/hint-measurements.json"
QUIET_DB = -60.0


def main() -> None:
    options = _options()
    separator = Separator(options.model, device="cpu", threads=options.threads)
    rows = json.loads(Path(options.rows).read_text()) if options.append else []
    folders = [f for root in options.roots for f in sorted(Path(root).iterdir()) if f.is_dir()]
    step = max(1, len(folders) // options.songs)
    for folder in folders[::step][: options.songs]:
        for start_s in options.starts:
            sources = _sources(folder, separator.spec.stems, start_s, options.seconds)
            if sources is None:
                continue
            rows += _measure(folder.name, start_s, sources, separator)
            print(f"{folder.name} from {start_s:g} s: {len(rows)} stems so far", flush=True)
    result = {
        "model": separator.model_name,
        "licence": separator.model_licence,
        "seconds": options.seconds,
        "songs": len({row["song"] for row in rows}),
        "stems": len(rows),
        "correlations": _correlations(rows, separator.spec.stems),
    }
    write_text(Path(options.out), json.dumps(result, indent=1) + "\n")
    lines = ",\n".join(json.dumps(row) for row in rows)
    write_text(Path(options.rows), f"[\n{lines}\n]\n")
    print(table(result))


def _measure(
    song: str, start_s: float, sources: dict[str, np.ndarray], separator: Separator
) -> list[dict[str, object]]:
    mixture = np.sum(list(sources.values()), axis=0, dtype=np.float32)
    estimates = separator.separate(mixture, RATE)
    hints = hints_of_signals(mixture, estimates)
    middle = (mixture.shape[1] - 8 * RATE) // 2
    piece = mixture[:, max(0, middle) : max(0, middle) + 8 * RATE]
    differing = disagreement(
        lambda signal: separator.separate(np.ascontiguousarray(signal), RATE),
        [piece],
        round(0.31 * RATE),
    )
    rows = []
    for stem, source in sources.items():
        loud = 10 * np.log10(np.mean(source**2) / np.mean(mixture**2) + 1e-12)
        if loud < QUIET_DB:
            continue  # a stem that is not there has no nSDR that means anything
        (score,) = nsdr(source[None].astype(float), estimates[stem][None].astype(float))
        own = replace(hints.stems[stem], disagreement_db=differing[stem])
        rows.append(
            {"song": song, "start_s": start_s, "stem": stem, "nSDR": round(float(score), 4),
             "residual_db": hints.residual_db, **asdict(own)}
        )  # fmt: skip
    return rows


def _correlations(
    rows: list[dict[str, object]], stems: tuple[str, ...]
) -> dict[str, dict[str, object]]:
    """hint -> stem (or "all") -> Spearman's correlation with nSDR."""
    found: dict[str, dict[str, object]] = {}
    for hint in (*HINTS, "residual_db"):
        found[hint] = {}
        for stem in ("all", *stems):
            pairs = [
                (row[hint], row["nSDR"])
                for row in rows
                if stem in ("all", row["stem"]) and row[hint] is not None
            ]
            found[hint][stem] = spearman(pairs)
    return found


def spearman(pairs: list[tuple[object, object]]) -> float | None:
    """Rank correlation; None where ranks do not vary or there are fewer than five pairs."""
    if len(pairs) < 5:
        return None
    ranks = [_ranks(np.array(column, float)) for column in zip(*pairs, strict=True)]
    if any(np.ptp(column) == 0 for column in ranks):
        return None
    return round(float(np.corrcoef(*ranks)[0, 1]), 3)


def _ranks(values: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: np.ndarray = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return ranks


def table(result: dict[str, object]) -> str:
    """Markdown."""
    correlations: dict[str, dict[str, float | None]] = result["correlations"]  # type: ignore[assignment]
    stems = list(next(iter(correlations.values())))
    lines = [f"| hint | {' | '.join(stems)} |", "|---|" + "---:|" * len(stems)]
    for hint, values in correlations.items():
        cells = ["–" if v is None else f"{v:+.2f}".replace("-", "−") for v in values.values()]
        lines.append(f"| {hint} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _sources(
    folder: Path, stems: tuple[str, ...], start_s: float, seconds: float
) -> dict[str, np.ndarray] | None:
    """Stem to (2, samples) from `start_s` (below 1: a fraction of the song); None if too short."""
    sources = {}
    for stem in stems:
        path = next((p for p in sorted(folder.glob(f"{stem}.*")) if p.suffix != ".json"), None)
        if path is None:
            continue
        if path.suffix == ".npy":
            whole = np.load(path, mmap_mode="r")
            first = round((len(whole) * start_s) if start_s < 1 else start_s * RATE)
            piece = np.asarray(whole[first : first + round(seconds * RATE)]).T / np.float32(32768)
        else:
            signal, rate = read(path)
            if rate != RATE:
                return None
            first = round((signal.shape[1] * start_s) if start_s < 1 else start_s * RATE)
            piece = signal[:, first : first + round(seconds * RATE)]
        sources[stem] = np.ascontiguousarray(piece, np.float32)
    lengths = {source.shape[1] for source in sources.values()}
    if len(lengths) != 1 or min(lengths) < round(seconds * RATE):
        return None
    silent = {stem: np.zeros_like(next(iter(sources.values()))) for stem in stems}
    return {**silent, **sources}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("roots", nargs="+")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--songs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=16.0)
    parser.add_argument("--starts", type=float, nargs="+", default=[0.4])
    parser.add_argument("--append", action="store_true", help="to what was measured before")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", default=str(OUT))
    parser.add_argument("--rows", default=str(ROWS))
    return parser.parse_args()


if __name__ == "__main__":
    main()
