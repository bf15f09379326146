"""Show or clear what unbraid keeps on disk: downloaded models, decoded samples,
measurements.

unbraid cache                show sizes and folder
unbraid cache clear samples  delete one kind (models, unpacked,
                             samples, index, tuning)
unbraid cache clear          delete everything; it can be downloaded or computed
                             again
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from unbraid.errors import SettingsError

KINDS = {
    "models": "downloaded models",
    "unpacked": "weights of compressed files",
    "samples": "decoded samples of datasets",
    "index": "lengths and levels of datasets",
    "tuning": "measurements of `unbraid bench`",
}
"""Folder of the cache -> its contents."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`unbraid cache [show | clear] [KIND]`."""
    add = parser.add_argument
    add("action", choices=("show", "clear"), nargs="?", default="show", help="what to do (show)")
    add("kind", metavar="KIND", nargs="?", help=f"one of {', '.join(KINDS)} (all)")
    add("--json", action="store_true", help="one JSON object on stdout")


def run(options: argparse.Namespace) -> int:
    """Show or clear; returns the exit code."""
    from unbraid.cache_root import cache_root
    from unbraid.cli.commands import did_you_mean

    if options.kind is not None and options.kind not in KINDS:
        raise SettingsError(
            f"the cache holds {', '.join(KINDS)}, not {options.kind!r}"
            f"{did_you_mean(options.kind, KINDS)}"
        )
    root = cache_root()
    kinds = list(KINDS) if options.kind is None else [options.kind]
    sizes = {kind: _bytes(root / kind) for kind in kinds}
    if options.action == "clear":
        for kind in kinds:
            _clear(root / kind)
    if options.json:
        print(json.dumps({"folder": str(root), "action": options.action, "bytes": sizes}))
        return 0
    verb = "deleted from" if options.action == "clear" else "in"
    print(f"{verb} {root}:")
    for kind, size in sizes.items():
        print(f"  {kind:8} {size / 1e6:10.1f} MB  {KINDS[kind]}")
    return 0


def _bytes(folder: Path) -> int:
    files = folder.rglob("*") if folder.is_dir() else ()
    return sum(path.stat().st_size for path in files if path.is_file())


def _clear(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise SettingsError(f"{folder} cannot be deleted: {error.strerror}") from error
