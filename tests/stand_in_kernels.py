"""Kernels so simple that their estimates are known, in the place of those that are compiled.

Run as a script it is the command line in a process that cannot import torch.
"""

from __future__ import annotations

import sys

import numpy as np
import pytest

from unbraid.engines.native import model


class Shares:
    """Each stem is its share of the mixture."""

    @staticmethod
    def fits(config):
        return True

    @staticmethod
    def memory_bytes(config, samples):
        return 1_000_000 + 100 * samples

    @staticmethod
    def at_once(config, samples, threads):
        return 1

    @staticmethod
    def valid_samples(config, samples):
        return samples

    def __init__(self, config, state, threads):
        self.config, self.threads = config, threads
        self.seen_threads = []

    def __call__(self, mixture, memory=None):
        assert mixture.dtype == np.float32 and mixture.flags.c_contiguous
        self.seen_threads.append(self.threads)
        stems = len(self.config.stems)
        return np.repeat(mixture[:, None] / np.float32(stems), stems, axis=1)


def put_in(monkeypatch: pytest.MonkeyPatch, why_not: str | None = None, fit: bool = True) -> None:
    """Let the native engine run these kernels.

    Args:
        why_not: why there are none, as `find` says it.
        fit: whether they run a model of theirs.
    """
    monkeypatch.setattr(model, "find", lambda: why_not)
    monkeypatch.setattr(model, "_network", lambda name: Shares)
    monkeypatch.setattr(Shares, "fits", lambda config: fit)


def main_without_torch() -> int:
    """The command line; an `import torch` is an error."""
    sys.modules["torch"] = None  # type: ignore[assignment]
    from unbraid.cli.main import main

    with pytest.MonkeyPatch.context() as monkeypatch:
        put_in(monkeypatch)
        code = main()
    assert sys.modules["torch"] is None
    return code


if __name__ == "__main__":
    sys.exit(main_without_torch())
