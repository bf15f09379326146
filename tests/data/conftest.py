from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path_factory.mktemp("cache")))
