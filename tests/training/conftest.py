from __future__ import annotations

import signal

import pytest

from training.small_runs import write_dataset, write_recipe_file


@pytest.fixture(scope="session")
def small_data(tmp_path_factory):
    """A dataset that no test changes."""
    return write_dataset(tmp_path_factory.mktemp("data") / "small")


@pytest.fixture
def small_recipe(tmp_path):
    return write_recipe_file(tmp_path / "small.toml")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    handlers = {name: signal.getsignal(name) for name in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for name, handler in handlers.items():
        signal.signal(name, handler)
