"""A process that reads files by name and says what became of each: `python target.py TARGET`.

It is apart from the tests so that a crash, a hang or a flood of memory is a finding like any other.
A line of stdin is a path; a line of stdout its answer, "fine" or what went wrong.
"""

from __future__ import annotations

import contextlib
import resource
import sys
from collections.abc import Callable
from pathlib import Path

_MOST_BYTES = 6 << 30


def decoder(path: Path) -> None:
    """Whatever can be decoded is of one shape, and no more than the file can hold."""
    from unbraid.audio.files import probe, read_blocks
    from unbraid.audio.tags import read_tags

    info = probe(path)
    samples = 0
    for block in read_blocks(path):
        assert block.shape[0] == info.channels == len(info.channel_names), "channels change"
        samples += block.shape[1]
    most = (1 << 24) + (1 << 17) * path.stat().st_size + round(info.delay_s * info.sample_rate)
    assert 0 < samples <= most, f"{samples} samples in {path.stat().st_size} bytes"
    read_tags(path)


def models(path: Path) -> None:
    """A checkpoint or YAML opens as plain data, or is refused."""
    from unbraid.zoo.open import open_model

    stored = open_model(path)
    for name, tensor in stored.weights.items():
        values = tensor.read() if tensor.count < 1 << 22 else None
        assert name and (values is None or values.shape == tuple(tensor.shape))


def settings(path: Path) -> None:
    """A YAML of settings, or a recipe in TOML, is read or refused."""
    from unbraid.training.recipes import read_recipe

    read_recipe(path)


TARGETS: dict[str, Callable[[Path], None]] = {
    "decoder": decoder,
    "models": models,
    "settings": settings,
}


def main() -> None:
    from unbraid.errors import UnbraidError

    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
    target = TARGETS[sys.argv[1]]
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        try:
            target(Path(line.rstrip("\n")))
            said = "fine"
        except UnbraidError as error:
            said = "fine" if "\n" not in str(error) and str(error) else f"no line: {error!r}"
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        with contextlib.suppress(BrokenPipeError):
            print(said.replace("\n", " ") or "silence", file=answers, flush=True)


if __name__ == "__main__":
    main()
