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
        *_peers(HERE / "peers.json"),
        *_same_quality(HERE / "same_quality.json"),
        *_modern(HERE / "modern.json"),
        *_library(HERE / "library.json"),
        *_batch(HERE / "batch.json"),
        *_gpu(HERE / "gpu.json"),
        *_parts(HERE / "parts.json"),
        (HERE / "inference.md").read_text().strip(),
        *_bss_eval(json.loads((HERE / "bss_eval.json").read_text())),
    ]
    return "\n\n".join(parts) + "\n"


def _peers(path: Path) -> list[str]:
    if not path.exists():
        return []
    head = ["seconds of audio", "program", "wall s", "CPU s", "peak MB"]
    found, rows = json.loads(path.read_text()), []
    for what, result in found.items():
        rows += [[what, name, *result[name].values()] for name in ("demucs", "unbraid")]
    ratios = [
        f"{_with_unit(what)}: {result['ratio']} times in wall time, {result['cpu_ratio']} times "
        f"in CPU time{_alike(result['deviation_db'])} (runs: {result['runs']})"
        for what, result in found.items()
    ]
    return [
        "## The 48-channel model compared with demucs 4.1.0",
        "Same random weights, same song, same segments, file to files, two threads, runs "
        "alternating, medians (`python -m benchmarks.peers`). " + "; ".join(ratios) + ".",
        _table(head, rows),
    ]


def _modern(path: Path) -> list[str]:
    """Models of today beside demucs and pymss."""
    if not path.exists():
        return []
    rows = [
        [
            kind,
            f"{found['seconds']:g}",
            *(f"{found[name][key]:g}" for key in ("wall_s", "cpu_s", "peak_mb") for name in _BOTH),
            f"{found['ratio']:g}",
            f"{found['deviation_db']:g}",
            found["runs"],
        ]
        for kind, found in json.loads(path.read_text()).items()
    ]
    return [
        "## Models of today compared with demucs 4.1.0 and pymss 2.1.12",
        "Same random weights at the sizes of published models, same song, same windows, file to "
        "files, two threads, runs alternating (`python -m benchmarks.modern`): HT Demucs beside "
        "demucs, the others beside pymss. Nothing else ran: on a busy machine the threads of torch "
        "wait for each other in loops, and its processor time says nothing. "
        "RoFormers deviate by what torch's transform rounds: the made-up song has bands that are "
        "all but silent, which their norms amplify. On such a song a small one in torch is at "
        "-92 dB from its own forward in float64, and the kernels are at -132; given torch's "
        "transform, the kernels are at -117 from torch at the sizes of this table. A song shorter "
        "than twice the overlap, as the 4 s here, is ended by pymss otherwise than by MSST, whose "
        "way is ours: on 12 s the BS-RoFormer is at -87 dB.",
        _table(
            ["model", "seconds of audio", "wall s, theirs", "wall s, ours", "CPU s, theirs",
             "CPU s, ours", "peak MB, theirs", "peak MB, ours", "times as fast", "deviation dB",
             "runs"],
            rows,
        ),
    ]  # fmt: skip


_BOTH = ("peer", "unbraid")


def _alike(deviation_db: float | None) -> str:
    return "" if deviation_db is None else f", stems alike to {deviation_db} dB"


def _with_unit(what: str) -> str:
    """
    >>> _with_unit("60"), _with_unit("300, defaults")
    ('60 s', '300 s, defaults')
    """
    seconds, comma, how = what.partition(",")
    return f"{seconds} s{comma}{how}"


def _library(path: Path) -> list[str]:
    if not path.exists():
        return []
    found = json.loads(path.read_text())
    rows = [
        [model, way, *taken.values()]
        for model, ways in found["models"].items()
        for way, taken in ways.items()
    ]
    return [
        "## Many songs in one run",
        f"{found['songs']} songs of {found['seconds']:g} s, 16-bit wav to four wav files each, one "
        "by one, and overlapped: the next is read and the last written while the model runs "
        f"(`python -m benchmarks.library`; runs of each: {found['runs']}). "
        '"elsewhere" stands for a GPU: it takes a 400th of the audio\'s length, and no core.',
        _table(["model", "songs", "wall s", "CPU s", "peak MB"], rows),
    ]


def _batch(path: Path) -> list[str]:
    """`unbraid batch` in several ways, each checked against `unbraid separate`."""
    if not path.exists():
        return []
    found = json.loads(path.read_text())
    songs, single, plain = found["songs"], found["single"], found["ways"]["separate"]
    rows = []
    for name, taken in found["ways"].items():
        once = taken.get("once", taken)
        count = single if name == "a process a song" else songs
        row = [name, *(round(once[key] / count, 3) for key in ("wall_s", "cpu_s"))]
        rows.append([*row, *(taken.get(run, {}).get("wall_s", "") for run in ("again", "resumed"))])
    one, two, *_ = (taken["once"] for taken in found["ways"].values() if "once" in taken)
    again = next(t["again"]["cpu_s"] for t in found["ways"].values() if "again" in t)
    extra_ms = 1000 * (one["cpu_s"] - plain["cpu_s"]) / songs
    return [
        "## A library in a batch",
        f"{songs} songs of {found['seconds']:g} s in four formats and five broken files, model "
        f"`{found['model']}` (`python -m benchmarks.batch`, which also checks that every way gives "
        "the bytes of `unbraid separate`, that a second run does nothing, and that a batch whose "
        "processes were all killed ends the same way when it is started again).",
        _table(["way", "wall s a song", "CPU s a song", "second run, s", "resumed, s"], rows),
        f"A batch takes {extra_ms:.0f} ms of processor time a song more than `separate`, its start "
        f"included; two workers are {one['wall_s'] / two['wall_s']:.2f} times as fast as one; a "
        f"second run, which finds nothing to do, takes {again:.1f} s of processor time in all. Of "
        f"Ray only the command that starts it is counted, not its actors. {found['note']}".rstrip(),
    ]


def _gpu(path: Path) -> list[str]:
    """Whole programs on a card, and passes of the model alone."""
    if not path.exists():
        return []
    found = json.loads(path.read_text())
    programs = {
        name: row
        for name, row in found.items()
        if isinstance(row, dict) and "times_real_time" in row
    }

    def alone(name: str) -> dict[str, Any]:
        return found.get(f"{name}, one song", {})

    steps = "; ".join(f"{step} {took:g} s" for step, took in found.get("start", {}).items())
    return [
        "## On a GPU",
        f"{found['prepared']['card']} (`python -m benchmarks.gpu`): the 48-channel model with "
        f"random weights, {found['songs']} songs of {found['seconds']:g} s from wav to float32 wav "
        "in one command of each program, and one song alone: what a further song costs is the "
        "difference.",
        _table(
            ["program", "all songs, s", "one song, s", "a further song, s",
             "audio seconds a second, all; further", "deviation from demucs, dB"],
            [
                [name, row["wall_s"], alone(name).get("wall_s", ""), row.get("further_song_s", ""),
                 f"{row['times_real_time']}; {row.get('further_times_real_time', '')}",
                 row.get("deviation_db", "")]
                for name, row in programs.items()
            ],
        ),
        *([f"A process that begins, with the 48-channel model: {steps}."] if steps else []),
        "Passes of the model alone, audio seconds a second by segments in a pass, and the "
        "deviation from the same pass in float64 on the card:",
        *(_passes(name, found[name]) for name in ("passes", "passes of mini") if name in found),
        *([found["note"]] if "note" in found else []),
    ]  # fmt: skip


def _passes(name: str, found: dict[str, Any]) -> str:
    rows = {key: row for key, row in found.items() if isinstance(row, dict)}
    sizes = [size for size in next(iter(rows.values())) if size.isdecimal()]
    what = "mini" if name.endswith("mini") else "48 channels"
    return _table(
        [f"{what}, segments of {found['segment_s']:g} s", *sizes, "dB"],
        [[key, *(row[size] for size in sizes), row["deviation_db"]] for key, row in rows.items()],
    ) + (f"\n\nThe card computes in {100 * found['card_share']:.0f} % of a pass with one segment.")


def _same_quality(path: Path) -> list[str]:
    if not path.exists():
        return []
    result = json.loads(path.read_text())
    stems = list(result["nsdr"]["unbraid"])
    return [
        "Trained weights (`mini`'s part at full rate alone, without ratio masks) in both, each "
        f"with its default settings, {result['track']}, nSDR in dB "
        "(`python -m benchmarks.same_quality`):",
        _table(
            ["program", *stems],
            [[name, *(row[stem] for stem in stems)] for name, row in result["nsdr"].items()],
        ),
    ]


def _parts(path: Path) -> list[str]:
    if not path.exists():
        return []
    result = json.loads(path.read_text())
    rows = [list(row.values()) for row in result["rows"]]
    totals = [round(sum(row[column] for row in rows), 2) for column in range(1, 6)]
    return [
        "## Where the time goes",
        f"One forward pass of the 48-channel model over {result['seconds']:g} s of audio in the "
        "native kernels, on one thread and on two (`python -m benchmarks.parts`). The floor is the "
        "plain model's operations at the rate of a large matrix product on one thread, "
        f"{result['product_gflops']} GFLOP/s; traffic is what must be read and written at least, "
        f"and a copy runs at {result['copy_gb_s']} GB/s.",
        _table(
            ["part", "s", "s on two threads", "GFLOP", "floor s", "traffic MB"],
            [*rows, ["all", *totals]],
        ),
        "![Roofline](roofline.svg)",
    ]


def _bss_eval(result: dict[str, Any]) -> list[str]:
    worst = max(result["largest_difference_db"].values())
    return [
        "## BSSEval v4 compared with museval 0.4.1",
        f"A made-up song of {result['seconds']:.0f} s with {result['stems']} stereo stems, one "
        "thread, each program in its own process (`python -m benchmarks.bss_eval`). Largest "
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
