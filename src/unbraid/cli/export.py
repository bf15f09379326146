"""Write a model as an ONNX file, which runs with onnxruntime and without torch.

unbraid export mini --out mini.onnx

The file computes segments of one length: the model's own, or --segment. It is
compared with the model before it is written.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from unbraid.cli.types import segment


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`unbraid export MODEL -o FILE.onnx`."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="name or path, as for separate --model")
    add("-o", "--out", metavar="FILE.onnx", required=True, help="the file to write")
    add("--segment", metavar="S", type=segment, help="seconds per segment (the model's own)")


def run(options: argparse.Namespace) -> int:
    """Export; returns the exit code."""
    from unbraid.errors import SettingsError

    target = Path(options.out)
    if target.suffix != ".onnx":
        raise SettingsError(f"an exported model is a file FILE.onnx, got {options.out!r}")
    if not target.parent.is_dir():
        raise SettingsError(f"no folder {target.parent} to write {target.name} to")

    from unbraid.engines.load import load_model
    from unbraid.engines.onnx.export import export_onnx
    from unbraid.zoo.open import licence_of

    exported = export_onnx(
        load_model(options.model),
        target,
        segment_s=options.segment,
        licence=licence_of(options.model),
    )
    info = exported.info
    print(
        f"{target}: {target.stat().st_size / 1e6:.1f} MB, segments of "
        f"{info.samples / info.sample_rate:g} s, {exported.error_db:.0f} dB from the model"
    )
    return 0
