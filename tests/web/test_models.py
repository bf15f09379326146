"""Choosing a model, and downloading one that is not here yet."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest
from starlette.testclient import TestClient
from web_songs import LIMITS, MODELS

from unbraid.costs.recommended import USES
from unbraid.errors import ModelError
from unbraid.web.app import make_app
from unbraid.web.offers import Offers
from unbraid.web.security import host_names, is_from_here
from unbraid.web.service import Service
from unbraid.web.shelf import Shelf
from unbraid.web.storage import Storage
from unbraid.zoo.download import CannotFetch
from unbraid.zoo.licences import in_plain_words
from unbraid.zoo.open import list_models


class Mirror:
    """Instead of the network: sends halves when told to."""

    def __init__(self, monkeypatch) -> None:
        self.here: set[str] = set()
        self.half, self.whole = threading.Event(), threading.Event()
        self.error: Exception | None = None
        real = list_models()
        monkeypatch.setattr("unbraid.web.shelf.pull", self.pull)
        monkeypatch.setattr(
            "unbraid.web.shelf.list_models",
            lambda: [replace(c, local=c.local or c.name in self.here) for c in real],
        )
        monkeypatch.setattr("unbraid.web.shelf.missing_mb", lambda name: {"a": 30.0, "b": 10.0})

    def pull(self, name, on_download):
        on_download("a", 0, 100)
        for file, there in (("a", 100), ("b", 50)):
            on_download(file, there, 100)
        while not self.whole.wait(0.01):
            on_download("b", 50, 100)
        if self.error is not None:
            raise ModelError(f"{name} is not complete; put it into /home/x") from self.error
        self.here.add(name)


@pytest.fixture
def mirror(monkeypatch, tmp_path):
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path / "cache"))
    made = Mirror(monkeypatch)
    yield made
    made.whole.set()


def opened(tmp_path, shelf: Shelf, address: str = "127.0.0.1", **headers: str):
    service = Service(Storage(tmp_path / "data"), LIMITS, MODELS, devices=(), shelf=shelf)
    app = make_app(service, host_names("127.0.0.1"), any_address=True)
    return TestClient(app, "http://localhost", client=(address, 50000), headers=headers)


@pytest.fixture
def client(mirror, tmp_path):
    with opened(tmp_path, Shelf(rate=60e9)) as browser:
        yield browser


def card(client, name: str) -> dict:
    return next(m for m in client.get("/api/models").json()["models"] if m["name"] == name)


def wait_for(client, name: str, status: str, progress: float = 0.0) -> dict:
    end = time.monotonic() + 10
    while True:
        found = card(client, name)
        if found["download"]["status"] == status and found["download"]["progress"] >= progress:
            return found
        assert time.monotonic() < end, found
        time.sleep(0.01)


def test_the_recommended_models_come_first_with_all_that_is_known_of_them(client):
    answer = client.get("/api/models").json()
    known = {c.name: c for c in list_models()}
    uses = [m["use"] for m in answer["models"] if m["use"]]
    assert uses == sorted(uses, key=USES.index) and len(uses) == len(set(USES)) + 1
    assert all(m["local"] for m in answer["models"][len(uses) :]) and answer["may_download"]
    for model in answer["models"]:
        of = known[model["name"]]
        assert (model["stems"], model["size_mb"]) == ([*of.stems], of.size_mb)
        assert (model["licence"], model["scores"]) == (of.licence, [*of.scores])
        assert model["licence_in_words"] == in_plain_words(of.licence)
        assert "path" not in model and "source" not in model
    assert card(client, "htdemucs")["song_s"] == 192


def test_licences_of_all_models_have_words_and_the_strictest_counts():
    words = {c.licence: in_plain_words(c.licence) for c in list_models()}
    assert all(said.endswith(".") and said for said in words.values())
    assert not [given for given, said in words.items() if said.startswith("Not known")]
    for given, start in (
        ("not stated; for scientific purposes only, as their author states", "For research only"),
        ("not clear: ask; for scientific purposes only", "Not clear"),
        ("not stated for the weights; code MIT", "Not stated"),
        ("CC BY-NC-SA 4.0: not for commercial use", "Not for commercial"),
        ("", "Not known"),
    ):
        assert in_plain_words(given).startswith(start)


def test_a_download_shows_its_progress_and_the_model_is_offered_then(client, mirror):
    assert client.post("/api/models/htdemucs/download").status_code == 202
    assert wait_for(client, "htdemucs", "downloading", 0.8)["download"]["progress"] == 0.875
    again = client.post("/api/models/htdemucs/download").json()
    assert again["download"]["status"] == "downloading"
    assert client.post("/api/models/scnet-xl-ihf/download").json()["download"]["status"] in (
        *("waiting", "downloading"),
    )
    assert card(client, "scnet-xl-ihf")["download"]["status"] == "waiting"  # one at a time
    mirror.whole.set()
    assert wait_for(client, "htdemucs", "none")["local"]
    assert wait_for(client, "scnet-xl-ihf", "none")["local"]


def test_a_download_that_fails_says_why_in_one_line_and_goes_on_when_tried_again(client, mirror):
    address = "https://example.org/models/x.th"
    for error, words in (
        (CannotFetch(f"cannot fetch {address}: no connection (refused)"), "no connection (refus"),
        (CannotFetch(f"cannot use {address}: its SHA-256 starts with 00"), "SHA-256"),
        (CannotFetch("cannot write /home/x/models: No space left"), "cannot be written here"),
    ):
        mirror.error = error
        mirror.whole.set()
        client.post("/api/models/htdemucs/download")
        end = time.monotonic() + 10
        while words not in ((shown := card(client, "htdemucs"))["download"]["error"] or ""):
            assert time.monotonic() < end, shown
        assert "/home" not in shown["download"]["error"] and not shown["local"]
        assert "example.org" not in shown["download"]["error"]
    mirror.error = None
    client.post("/api/models/htdemucs/download")
    assert wait_for(client, "htdemucs", "none")["local"]


def test_a_model_that_needs_torch_is_offered_only_where_torch_is(monkeypatch):
    lacks = {"hybrid_demucs": True, "mask_unet": False, "band_unet": False}
    monkeypatch.setattr(
        "unbraid.web.offers.torch_is_missing",
        lambda names: "no torch" if any(lacks.get(name) for name in names) else None,
    )
    offers = Offers("quartet")
    assert "mini" not in offers and {"quartet", "quartet-vocals", "quartet-rest"} <= {*offers}
    with pytest.raises(ModelError, match="no engine runs mini here: no torch"):
        Offers("mini")
    monkeypatch.undo()
    offers.refresh()  # torch was installed meanwhile
    assert "mini" in offers


def test_a_download_can_be_stopped(client, mirror):
    client.post("/api/models/htdemucs/download")
    wait_for(client, "htdemucs", "downloading", 0.5)
    stopped = client.delete("/api/models/htdemucs/download").json()
    assert (stopped["download"]["status"], stopped["local"]) == ("none", False)
    assert client.delete("/api/models/nonesuch/download").status_code == 404
    for name in ("nonesuch", "mdx_extra", "..%2f", "/etc/passwd"):  # only what the page offers
        assert client.post(f"/api/models/{name}/download").status_code == 404


def test_a_full_disk_is_left_alone(mirror, tmp_path):
    with opened(tmp_path, Shelf(free_bytes=1 << 60, rate=1e9)) as client:
        answer = client.post("/api/models/htdemucs/download")
        assert (answer.status_code, answer.json()["error"]["code"]) == (507, "disk_full")
        assert "40 MB" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("who", "address", "headers", "may"),
    [
        ("local", "127.0.0.1", {}, True),
        ("local", "::1", {"Host": "[::1]:8000"}, True),
        ("local", "192.0.2.7", {}, False),
        ("local", "192.0.2.7", {"Host": "127.0.0.1"}, False),
        ("local", "127.0.0.1", {"Host": "192.0.2.1:8000"}, False),  # a proxy that says no more
        ("local", "127.0.0.1", {"X-Forwarded-For": "192.0.2.7"}, False),
        ("local", "127.0.0.1", {"Forwarded": "for=192.0.2.7"}, False),
        ("all", "192.0.2.7", {}, True),
        ("none", "127.0.0.1", {}, False),
    ],
)
def test_who_may_download_is_the_hosts_choice(mirror, tmp_path, who, address, headers, may):
    with opened(tmp_path, Shelf(who, rate=1e9), address, **headers) as client:
        assert client.get("/api/models").json()["may_download"] is may
        for method in ("POST", "DELETE"):
            answer = client.request(method, "/api/models/htdemucs/download")
            assert answer.status_code == ((202 if method == "POST" else 200) if may else 403)


def test_a_request_without_a_known_sender_is_not_from_here():
    assert not is_from_here({"type": "http", "headers": [(b"host", b"localhost")], "client": None})


def test_what_has_come_meanwhile_is_offered(tmp_path, monkeypatch):
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path))
    offers = Offers("mini")
    assert next(iter(offers)) == "mini" and "htdemucs" not in offers
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "955717e8-8726e21a.th").write_bytes(b"")
    offers.refresh()
    assert offers["htdemucs"].stems == ("drums", "bass", "other", "vocals")
    assert [name for name, model in offers.items() if model.default] == ["mini"]
