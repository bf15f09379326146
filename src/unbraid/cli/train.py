"""Train a model with a recipe, or resume a run.

unbraid train tiny --data SET --run runs/first
unbraid train hybrid --data MUSDB --run RUN --set optimizer.batch_size=32
unbraid train --run RUN                         resume after a stop or kill
unbraid train --grid ablations --data MUSDB --run runs/ablations
unbraid train --list                            bundled recipes
unbraid train hybrid --seed 7 --show            what that run would use
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from unbraid.cli.types import count, thread_count
from unbraid.errors import SettingsError

if TYPE_CHECKING:
    from unbraid.training.request import RunRequest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All options."""
    add = parser.add_argument
    add("recipe", nargs="?", metavar="RECIPE", help="name or file; a resumed run uses its own")
    add("--data", metavar="ROOT", action="append", default=[],
        help="dataset, ROOT/{train,valid}/TRACK/STEM.SUFFIX; also several")  # fmt: skip
    add("--data-weights", metavar="A,B", help="share of excerpts of each dataset (by size)")
    add("--run", "-o", "--out", metavar="DIR", help="folder of the run; resumes if it holds one")
    add("--set", metavar="KEY=VALUE", action="append", default=[],
        help="change the recipe, such as optimizer.lr=1e-4")  # fmt: skip
    add("--start-from", metavar="NAME|PATH", help="start from this model, also for other stems")
    add("--max-steps", metavar="N", type=count, help="end after this many steps in all")
    add("--seed", metavar="N", type=int, help="of the run (the recipe's, 42)")
    device = "where to compute (%(default)s)"
    add("--device", metavar="auto|cpu|cuda[:N]|mps", default="auto", help=device)
    add("--threads", metavar="N", type=thread_count, help="number of CPU threads")
    add("--grid", metavar="DIR|A,B,C", help="train all recipes of a folder or list, and compare")
    add("--list", action="store_true", help="list the bundled recipes")
    add("--show", action="store_true", help="print the recipe with all defaults, train nothing")
    add("--quiet", action="store_true", help="nothing but errors on stderr")


def run(options: argparse.Namespace) -> int:
    """Train; returns the exit code."""
    if options.list:
        return _list()
    if options.show:
        return _show(options)
    if not options.run:
        raise SettingsError("a run needs a folder: --run DIR")
    if options.grid and options.recipe:
        raise SettingsError("give a RECIPE or --grid, not both")
    if os.environ.get("WORLD_SIZE", "1") != "1":
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    return _train(options)


def _train(options: argparse.Namespace) -> int:
    import torch

    from unbraid.cli.display import printable
    from unbraid.cli.train_display import make_display
    from unbraid.training.distributed import join_team
    from unbraid.training.grid import run_grid
    from unbraid.training.loop import BEST
    from unbraid.training.session import run_training

    if options.threads is not None:
        torch.set_num_threads(options.threads)
    request = _request(options)
    with join_team(options.device) as team:
        with make_display(options.quiet or not team.leads) as display:
            if options.grid:
                table, failed = run_grid(options.grid, request, team, display.listeners)
            else:
                run_training(request, team, display.listeners(""))
                failed = {}
        if team.leads and not options.quiet:
            print(table.read_text(encoding="utf-8") if options.grid else request.folder / BEST)
        for name, why in failed.items():
            print(f"unbraid: {printable(name)} failed: {printable(why)}", file=sys.stderr)
    return 1 if failed else 0


def _request(options: argparse.Namespace) -> RunRequest:
    from unbraid.training.request import RunRequest

    return RunRequest(
        folder=Path(options.run or "."),
        recipe=options.recipe,
        settings=tuple(options.set),
        data=tuple(options.data),
        data_weights=_weights(options.data_weights),
        start_from=options.start_from,
        seed=options.seed,
        max_steps=options.max_steps,
    )


def _list() -> int:
    from unbraid.training.recipes import read_recipe, recipe_names

    names = recipe_names()
    width = max(map(len, names), default=0)
    for name in names:
        print(f"{name:{width}}  {read_recipe(name).description}")
    return 0


def _show(options: argparse.Namespace) -> int:
    from unbraid.training.config import in_full
    from unbraid.training.recipes import write_recipe
    from unbraid.training.request import read_about, wanted_recipe

    if not options.recipe and not options.run:
        raise SettingsError("--show needs a RECIPE, or the --run that it shows the recipe of")
    request = _request(options)
    about = read_about(request.folder) if options.run else {}
    print(write_recipe(in_full(wanted_recipe(request, about))), end="")
    return 0


def _weights(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise SettingsError(f"--data-weights is a list of numbers, got {text!r}") from None
