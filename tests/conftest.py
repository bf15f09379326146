"""What every test may rely on: annotations are checked, and models run on one thread."""

from __future__ import annotations

import sys
from pathlib import Path

from jaxtyping import config

sys.path.insert(0, str(Path(__file__).parent))

from typechecks import check_annotations

check_annotations("unbraid")

import unbraid  # noqa: E402, F401  before torch, whose waiting threads then sleep

# Fixtures hold no examples; the makers run elsewhere, with the packages we compare with.
collect_ignore_glob = ["*conftest.py", "reference/make_*.py"]

import pytest  # noqa: E402
import torch  # noqa: E402


@pytest.fixture(autouse=True)
def _one_thread():
    """Most models of tests are too small for more, and other workers have the other cores."""
    torch.set_num_threads(1)


@pytest.fixture
def unchecked():
    """Run without annotation checks, to see what our own errors say."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)
