""" "Which model?" in a real browser, before a real server whose downloads come from a test."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from page_server import PageServer, excerpt

from chromium import NEEDS_BROWSER, chromium

pytestmark = NEEDS_BROWSER

HTDEMUCS = "955717e8-8726e21a.th"
CARD = (
    "[...document.querySelectorAll('.card')]"
    ".find(card => card.querySelector('h3').firstChild.data === 'htdemucs')"
)


@pytest.fixture
def mirror():
    """Half of any file; the rest, which has a wrong hash, when `go` is set."""
    go = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2000000")
            self.end_headers()
            self.wfile.write(bytes(1_000_000))
            go.wait(60)
            self.wfile.write(bytes(1_000_000))

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", go
    go.set()
    server.shutdown()
    server.server_close()


def told(browser) -> str:
    return browser.run(f"return ({CARD}).innerText")


@pytest.mark.parametrize("width", [1000, 360])
def test_a_model_is_downloaded_and_chosen_and_kept_over_a_reload(tmp_path, mirror, width):
    url, go = mirror
    cache = tmp_path / "cache"
    server = PageServer(tmp_path / "data", UNBRAID_MIRROR=url, UNBRAID_CACHE=str(cache))
    server.start()
    try:
        with chromium() as browser:
            browser.size(width, 700)
            browser.open(server.url)
            browser.wait("return document.querySelector('#library-empty:not([hidden])')")
            browser.click("#options summary")
            browser.click("#which-model")
            browser.wait(f"return {CARD}")
            assert "84 MB" in told(browser) and "For research only" in told(browser)
            wide = "document.querySelector('#models')"
            assert browser.run(f"return {wide}.scrollWidth - {wide}.clientWidth") == 0
            button = f"({CARD}).querySelector('.card-action button')"
            browser.run(f"{button}.click()")
            browser.wait(f"return ({CARD}).querySelector('progress')?.value > 0.4")
            assert "Stop" in told(browser)
            browser.open(server.url)  # another visit finds it on its way
            which = "document.getElementById('which-model').textContent"
            browser.wait(f"return /Downloading · [45]\\d %/.test({which})")
            go.set()  # it comes to its end, and is not what it should be
            browser.run("document.querySelector('#options').open = true")
            browser.click("#which-model")
            browser.wait(f"return ({CARD})?.innerText.includes('Try again')", 90)
            assert "SHA-256" in told(browser) and "\n/" not in told(browser)
            (cache / "models" / HTDEMUCS).write_bytes(b"")  # put there by other means
            browser.press("Escape")
            browser.click("#which-model")
            browser.wait(f"return {button}?.innerText === 'Use'")
            browser.run(f"{button}.click()")
            assert not browser.run(f"return {wide}.open")
            browser.open(server.url)
            chosen = "document.getElementById('model').value"
            browser.wait(f"return {chosen} === 'htdemucs'")
            assert browser.complaints() == []
    finally:
        server.stop()


def test_each_song_says_which_model_made_it(tmp_path):
    server = PageServer(tmp_path / "data")
    server.start()
    try:
        with chromium() as browser:
            browser.open(server.url)
            browser.wait("return document.querySelector('#library-empty:not([hidden])')")
            browser.click("#options summary")
            browser.click("#which-model")
            mini = CARD.replace("htdemucs", "mini")
            browser.wait(f"return ({mini})?.querySelector('button')?.innerText === 'Use'")
            browser.run(f"({mini}).querySelector('button').click()")
            told = browser.run("return document.getElementById('options-told').textContent")
            assert told.startswith("mini · drums")
            browser.type("#files", str(excerpt(tmp_path / "First take.wav", 3)))
            row = "document.querySelector('#library-list .row')"
            browser.wait(f"return {row}?.innerText.includes('mini')", 120)
            (job,) = server.jobs()
            assert job["settings"]["model"] == "mini"
    finally:
        server.stop()
