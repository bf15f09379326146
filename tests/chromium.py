"""Chromium through its driver, by the WebDriver protocol: just what the tests of pages need."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

_FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-sync", "--disable-background-networking", "--disable-component-update"),
    *("--mute-audio", "--hide-scrollbars", "--autoplay-policy=no-user-gesture-required"),
]
_KEYS = {
    "Enter": "\ue007", "Backspace": "\ue003", "Tab": "\ue004", "Escape": "\ue00c",
    "Left": "\ue012", "Up": "\ue013", "Right": "\ue014", "Down": "\ue015",
    "End": "\ue010", "Home": "\ue011", "Shift": "\ue008", "Control": "\ue009",
}  # fmt: skip


def is_installed() -> bool:
    return bool(shutil.which("chromium") and shutil.which("chromedriver"))


NEEDS_BROWSER = [
    pytest.mark.browser,
    pytest.mark.skipif(not is_installed(), reason="needs chromium and chromedriver"),
]
"""Marks of tests that open pages."""


class Browser:
    """A session of a browser."""

    def __init__(self, url: str) -> None:
        self._url = url

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, method=method)
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            told = json.load(error)["value"]["message"].partition("\n")[0]
            raise AssertionError(f"{path}: {told}") from None

    def open(self, url: str) -> None:
        self.call("POST", "/url", {"url": url})

    def run(self, script: str) -> Any:
        """The value of a script, which returns it."""
        return self.call("POST", "/execute/sync", {"script": script, "args": []})

    def resolve(self, promise: str) -> Any:
        """What a promise comes to; given as an expression."""
        script = f"const done = arguments[0]; ({promise}).then(done, e => done('' + e));"
        return self.call("POST", "/execute/async", {"script": script, "args": []})

    def wait(self, script: str, seconds: float = 60.0) -> Any:
        """Wait until a script returns something true, and return that."""
        end = time.monotonic() + seconds
        while not (value := self.run(script)):
            if time.monotonic() > end:
                raise AssertionError(f"not within {seconds:g} s: {script}")
            time.sleep(0.05)
        return value

    def click(self, selector: str) -> None:
        """A real click, as a user's."""
        self.call("POST", f"/element/{self._element(selector)}/click", {})

    def type(self, selector: str, text: str) -> None:
        """Type into a field, or choose files by their paths, one on each line."""
        self.call("POST", f"/element/{self._element(selector)}/value", {"text": text})

    def _element(self, selector: str) -> str:
        found = self.call("POST", "/element", {"using": "css selector", "value": selector})
        (element,) = found.values()
        return str(element)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press the mouse at one place of the window, let it go at another."""
        moves = [
            {"type": "pointerMove", "duration": 0, "x": round(start[0]), "y": round(start[1])},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerMove", "duration": 100, "x": round(end[0]), "y": round(end[1])},
            {"type": "pointerUp", "button": 0},
        ]
        source = {"type": "pointer", "id": "mouse", "actions": moves}
        self.call("POST", "/actions", {"actions": [source]})

    def drop_files(self, selector: str, *paths: Path) -> None:
        """Drop files or folders from outside, as from a file manager."""
        box = f"document.querySelector('{selector}').getBoundingClientRect()"
        x, y = self.run(f"const b = {box}; return [b.x + b.width / 2, b.y + b.height / 2]")
        data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.cdp("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def keep_downloads(self, folder: Path) -> None:
        """Put downloads there, without asking."""
        self.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    def press(self, *keys: str) -> None:
        """Real key presses, wherever the focus is."""
        actions = []
        for key in keys:
            value = _KEYS.get(key, key)
            actions += [{"type": "keyDown", "value": value}, {"type": "keyUp", "value": value}]
        source = {"type": "key", "id": "keyboard", "actions": actions}
        self.call("POST", "/actions", {"actions": [source]})

    def chord(self, held: str, *keys: str) -> None:
        """Real key presses while another key is held."""
        inner = []
        for key in keys:
            value = _KEYS.get(key, key)
            inner += [{"type": "keyDown", "value": value}, {"type": "keyUp", "value": value}]
        hold, let_go = ({"type": kind, "value": _KEYS[held]} for kind in ("keyDown", "keyUp"))
        source = {"type": "key", "id": "keyboard", "actions": [hold, *inner, let_go]}
        self.call("POST", "/actions", {"actions": [source]})

    def size(self, width: int, height: int) -> None:
        self.cdp("Emulation.setDeviceMetricsOverride",
                 width=width, height=height, deviceScaleFactor=1, mobile=width < 600)  # fmt: skip

    def dark(self, on: bool = True) -> None:
        feature = {"name": "prefers-color-scheme", "value": "dark" if on else "light"}
        self.cdp("Emulation.setEmulatedMedia", features=[feature])

    def cdp(self, command: str, **parameters: Any) -> Any:
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        result = self.cdp("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(result["data"]))

    def complaints(self) -> list[str]:
        """Everything on the console since the last call."""
        return [entry["message"] for entry in self.call("POST", "/se/log", {"type": "browser"})]


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A browser with a fresh profile, gone afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [shutil.which("chromedriver") or "chromedriver", f"--port={port}"]
        driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        base = f"http://127.0.0.1:{port}"
        try:
            _until(lambda: Browser(base).call("GET", "/status")["ready"])
            options = {
                "binary": shutil.which("chromium"),
                "args": [*_FLAGS, f"--user-data-dir={folder}/profile"],
                "prefs": {"download.default_directory": f"{folder}/downloads"},
            }
            wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
            body = {"capabilities": {"alwaysMatch": wanted}}
            session = Browser(base).call("POST", "/session", body)["sessionId"]
            browser = Browser(f"{base}/session/{session}")
            try:
                yield browser
            finally:
                browser.call("DELETE", "")
        finally:
            driver.terminate()
            driver.wait(20)


def _until(ready: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError):
            if ready():
                return
        if time.monotonic() > end:
            raise AssertionError("the browser's driver does not start")
        time.sleep(0.1)
