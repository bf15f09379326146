"""Measure the fastest settings for a model on this machine, and keep them for
unbraid separate.

unbraid bench                        the default model
unbraid bench --model htdemucs       another one

Threads, device and batch size are chosen: they change the stems only in the
last digits. The length of segments is never chosen, since it changes the
stems; the table shows the cost of other lengths.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from unbraid.cli.commands import add_model
from unbraid.words import counted

if TYPE_CHECKING:
    from unbraid.costs.tuning import Choice, Trial


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`unbraid bench [--model NAME]`."""
    add_model(parser)
    add = parser.add_argument
    device = "where to compute (%(default)s)"
    add("--device", metavar="auto|cpu|cuda[:N]|mps", default="auto", help=device)
    add("--seconds", metavar="S", type=float, default=2.0, help="of measurement (%(default)s)")
    add("--max-memory", metavar="SIZE", help="leave out settings that need more, such as 2GB")
    add("--json", action="store_true", help="one JSON object")


def run(options: argparse.Namespace) -> int:
    """Measure, store and show; returns the exit code."""
    from unbraid.costs.model_cost import segment_seconds
    from unbraid.costs.sizes import parse_bytes
    from unbraid.costs.tuning import choose, hardware, make_place, measure, save_choice
    from unbraid.engines.devices import candidate_devices
    from unbraid.engines.prepare import prepare_model
    from unbraid.errors import SettingsError
    from unbraid.separation.settings import SeparationSettings

    if not 0 < options.seconds < 1e6:
        raise SettingsError(f"--seconds is more than 0, got {options.seconds:g}")
    limit = None if options.max_memory is None else parse_bytes(options.max_memory)
    make_place()
    trials = measure(
        lambda device: prepare_model(options.model, device),
        candidate_devices(options.device),
        budget_s=options.seconds,
        max_bytes=limit,
    )
    choice = choose(trials)
    ready = prepare_model(options.model, "cpu")
    kept = save_choice(choice, ready.fingerprint())
    if options.json:
        rows = [asdict(trial) for trial in trials]
        facts = {"model": options.model, "hardware": json.loads(hardware())}
        print(json.dumps({**facts, "trials": rows, "choice": asdict(choice), "kept": str(kept)}))
    else:
        print(_table(trials, choice))
        own_s = segment_seconds(ready.model, SeparationSettings())
        if max(trial.segment_s for trial in trials) < own_s:
            print(
                f"\nthe model's own segments of {own_s:.4g} s were not tried; a second of audio "
                "takes less time in them (more --seconds, or memory, measure it)"
            )
        print(f"\nseparate uses {_shown(choice)} for {options.model} from now on ({kept})")
    return 0


def _table(trials: Sequence[Trial], choice: Choice) -> str:
    head = f"  {'device':8}{'threads':>8}{'segment s':>11}{'batch':>7}{'s per s':>9}{'MB':>8}"
    rows = [
        f"{'*' if trial.choice == choice else ' '} {trial.choice.device:8}"
        f"{trial.choice.threads:8}{trial.segment_s:11.2f}{trial.choice.batch_size:7}"
        f"{trial.seconds_per_s:9.3f}{trial.memory_bytes / 1e6:8.0f}"
        for trial in trials
    ]
    return "\n".join([head, *rows])


def _shown(choice: Choice) -> str:
    batch = f", {choice.batch_size} segments at once" if choice.batch_size > 1 else ""
    return f"{choice.device} with {counted(choice.threads, 'thread')}{batch}"
