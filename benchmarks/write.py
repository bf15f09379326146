"""Measure everything and renew benchmarks/README.md: python -m benchmarks.write"""

from __future__ import annotations

import argparse
import datetime
import json
from pathlib import Path
from typing import Any

from benchmarks import length, machine, start

HERE = Path(__file__).parent


def main() -> None:
    """Measure, keep the figures in results.json, write them out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, nargs="+", default=list(length.MINUTES))
    parser.add_argument("--write-only", action="store_true", help="from results.json as it is")
    options = parser.parse_args()
    if not options.write_only:
        results = {
            "date": datetime.date.today().isoformat(),
            "machine": machine.describe(),
            "start": start.measure(),
            "length": length.measure(tuple(options.minutes)),
        }
        (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    results = json.loads((HERE / "results.json").read_text())
    (HERE / "README.md").write_text(render(results))


def render(results: dict[str, Any]) -> str:
    """The README of the benchmarks, Markdown."""
    facts = ", ".join(f"{key} {value}" for key, value in results["machine"].items())
    rows = results["length"]
    parts = [
        "# What unbraid costs",
        f"Written by `make bench` on {results['date']}. Machine: {facts}.",
        "## Memory and time against the length of a song",
        "Model `mini`, default settings, 16-bit wav to four wav files, each run a process of its "
        "own; peak as the kernel counts it.",
        _table(
            ["minutes", "wall s", "real-time factor", "peak MB", "null test dB"],
            [list(row.values()) for row in rows],
        ),
        f"Growth: {_growth(rows):.2f} MB per minute of audio.",
        "## Start",
        "Seconds, median of nine warm runs.",
        _table(["command", "s"], [[key, value] for key, value in results["start"].items()]),
        *_bss_eval(json.loads((HERE / "bss_eval.json").read_text())),
    ]
    return "\n\n".join(parts) + "\n"


def _bss_eval(result: dict[str, Any]) -> list[str]:
    worst = max(result["largest_difference_db"].values())
    return [
        "## BSSEval v4 beside museval 0.4.1",
        f"A made-up song of {result['seconds']:.0f} s with {result['stems']} stereo stems, one "
        "thread, each program in a process of its own (`python -m benchmarks.bss_eval`). Largest "
        f"difference of a score: {worst:.0e} dB.",
        _table(
            ["program", "CPU s", "peak MB"],
            [[name, *result[name].values()] for name in ("unbraid", "museval")],
        ),
        f"unbraid takes {100 * result['share_of_cpu']:.0f} % of museval's CPU time.",
    ]


def _growth(rows: list[dict[str, Any]]) -> float:
    first, last = rows[0], rows[-1]
    span = last["minutes"] - first["minutes"]
    return float((last["peak_mb"] - first["peak_mb"]) / span) if span else 0.0


def _table(head: list[str], rows: list[list[Any]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
