"""A server without workers; a real one and a browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from page_server import PageServer, excerpt
from starlette.testclient import TestClient
from web_songs import LIMITS, MODELS, RATE, as_file, noise

from chromium import chromium
from unbraid.web.app import make_app
from unbraid.web.security import host_names
from unbraid.web.service import Service
from unbraid.web.storage import Storage


@contextmanager
def stopped(folder: Path) -> Iterator[Service]:
    made = Service(Storage(folder), LIMITS, MODELS, devices=())
    yield made
    if not made.workers.stopping.is_set():
        made.stop()


@contextmanager
def asking(service: Service) -> Iterator[TestClient]:
    app = make_app(service, host_names("127.0.0.1"), any_address=False)
    with TestClient(app, "http://localhost", raise_server_exceptions=True) as browser:
        yield browser


@pytest.fixture
def service(tmp_path: Path):
    with stopped(tmp_path / "data") as made:
        yield made


@pytest.fixture
def client(service: Service):
    with asking(service) as browser:
        yield browser


@pytest.fixture(scope="module")
def shared_service(tmp_path_factory):
    """For tests that only read, or are refused: a server takes as long to make as many of them."""
    with stopped(tmp_path_factory.mktemp("shared") / "data") as made:
        yield made


@pytest.fixture(scope="module")
def shared_client(shared_service: Service):
    with asking(shared_service) as browser:
        yield browser


@pytest.fixture
def wav(tmp_path: Path) -> bytes:
    """A second of stereo noise, as a file."""
    return as_file(tmp_path / "noise.wav", noise(RATE))


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """Songs of a few seconds, by name."""
    folder = tmp_path_factory.mktemp("songs")
    return {name: excerpt(folder / f"{name}.wav", 4) for name in ("First take", "Second take")}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    server = PageServer(tmp_path_factory.mktemp("serve") / "data")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def server(running):
    yield running
    running.clear()


@pytest.fixture
def browser():
    with chromium() as browser:
        yield browser
