"""Kernels so simple that their estimates are known, in the place of those that are compiled.

Run as a script it is the command line in a process that cannot import torch.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np


class Shares:
    """Each stem is its share of the mixture."""

    def __init__(self, config, state, threads):
        self.config, self.threads = config, threads
        self.seen_threads = []

    def __call__(self, mixture, memory=None):
        assert mixture.dtype == np.float32 and mixture.flags.c_contiguous
        self.seen_threads.append(self.threads)
        stems = len(self.config.stems)
        return np.repeat(mixture[:, None] / np.float32(stems), stems, axis=1)


def kernels(why_not: str | None = None, fit: bool = True) -> SimpleNamespace:
    """What `unbraid.engines.native.hybrid` offers."""
    return SimpleNamespace(
        find=lambda: why_not,
        fits=lambda config: fit,
        memory_bytes=lambda config, samples: 1_000_000 + 100 * samples,
        valid_samples=lambda config, samples: samples,
        NativeHybridDemucs=Shares,
    )


def main_without_torch() -> int:
    """The command line; an `import torch` is an error."""
    sys.modules["torch"] = None  # type: ignore[assignment]
    from unbraid.cli.main import main
    from unbraid.engines.native import model

    model._kernels = kernels  # type: ignore[assignment]
    code = main()
    assert sys.modules["torch"] is None
    return code


if __name__ == "__main__":
    sys.exit(main_without_torch())
