"""Reports of songs, made when somebody wants to see them."""

from __future__ import annotations

import threading
import time

import pytest
from web_songs import STEMS, separated

from unbraid.errors import UnbraidError
from unbraid.web.messages import Learned, SongFacts
from unbraid.web.reports import page_policy


@pytest.fixture
def helper(monkeypatch):
    """Instead of the process that makes reports: it waits for what it should do."""

    class Helper:
        def __init__(self) -> None:
            self.requests, self.end = [], threading.Event()
            self.error: Exception | None = None

        def ask(self, module, request, most_s, cancel, on_progress):
            self.requests.append(request)
            on_progress(0.25)
            while not self.end.wait(0.01):
                cancel.check()
            if self.error is not None:
                raise self.error
            return Learned(SongFacts())

    made = Helper()
    monkeypatch.setattr("unbraid.web.reports.ask", made.ask)
    yield made
    made.end.set()


def wait_for(client, id: str, status: str, progress: float = 0.0) -> dict:
    end = time.monotonic() + 10
    while True:
        report = client.get(f"/api/jobs/{id}").json()["report"]
        if report["status"] == status and report["progress"] >= progress:
            return report
        assert time.monotonic() < end, report
        time.sleep(0.01)


def test_a_report_is_made_once_and_then_shown(client, service, helper):
    job = separated(service, "Song.wav")
    url = f"/api/jobs/{job.id}/report"
    assert wait_for(client, job.id, "none")["error"] is None
    missing = client.get(url)
    assert (missing.status_code, missing.json()["error"]["code"]) == (409, "no_report")
    assert client.post(url).status_code == 202
    assert wait_for(client, job.id, "making", 0.25)["progress"] == 0.25
    assert client.post(url).json()["report"]["status"] == "making"
    service.reports.file(job.id).write_text("<!doctype html>a report")
    helper.end.set()
    assert wait_for(client, job.id, "ready")["progress"] == 1.0
    client.post(url)
    (request,) = helper.requests
    assert (request.title, request.model) == ("Song", "mini")
    page = client.get(url)
    assert page.text.endswith("a report") and page.headers["content-type"].startswith("text/html")
    assert page.headers["content-security-policy"] == page_policy()
    assert "unsafe-inline" not in page_policy().partition("style-src")[0]


def test_a_report_that_fails_says_why_and_can_be_tried_again(client, service, helper):
    id = separated(service).id
    helper.error = UnbraidError("The disk is full.")
    helper.end.set()
    client.post(f"/api/jobs/{id}/report")
    assert wait_for(client, id, "failed")["error"] == "The disk is full."
    helper.error = EOFError()
    client.post(f"/api/jobs/{id}/report")
    end = time.monotonic() + 10
    while "memory" not in (wait_for(client, id, "failed")["error"] or ""):
        assert time.monotonic() < end


def test_a_song_that_is_deleted_ends_its_report(client, service, helper):
    first, second = separated(service).id, separated(service).id
    client.post(f"/api/jobs/{first}/report")
    wait_for(client, first, "making", 0.25)
    client.post(f"/api/jobs/{second}/report")  # waits for the first
    client.delete(f"/api/jobs/{first}")
    wait_for(client, second, "making", 0.25)
    assert len(helper.requests) == 2
    service.stop()  # ends what is being made
    assert not service.reports.file(second).exists()


def test_only_a_separated_song_has_a_report(client, wav):
    id = client.post("/api/jobs", files={"file": ("a.wav", wav)}).json()["id"]
    for answer in (client.post(f"/api/jobs/{id}/report"), client.get(f"/api/jobs/{id}/report")):
        assert answer.status_code == 409
    assert client.post(f"/api/jobs/{'0' * 20}/report").status_code == 404


@pytest.mark.slow
def test_a_report_shows_the_song_and_links_to_its_parts(client, service):
    job = separated(service, "<b>Song</b>.wav", 44100 * 3)
    client.post(f"/api/jobs/{job.id}/report")
    end = time.monotonic() + 120
    while client.get(f"/api/jobs/{job.id}").json()["report"]["status"] == "making":
        assert time.monotonic() < end
        time.sleep(0.2)
    page = client.get(f"/api/jobs/{job.id}/report").text
    assert "&lt;b&gt;Song" in page and "<b>Song" not in page
    for part in ("original", *STEMS):
        link = f"stems/{part}?download=1"
        assert f'href="{link}"' in page
        assert client.head(f"/api/jobs/{job.id}/{link}").status_code == 200
