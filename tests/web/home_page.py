"""What tests of the page of all songs do again and again."""

from __future__ import annotations

import json

QUEUE = "document.querySelectorAll('#queue-list .row')"
LIBRARY = "document.querySelectorAll('#library-list .row')"
CONNECTED = "return document.querySelector('#library-list .row, #library-empty:not([hidden])')"


def open_home(browser, server):
    browser.open(server.url)
    browser.wait(CONNECTED)


def texts(browser, rows):
    return browser.run(f"return [...{rows}].map(row => row.innerText)")


def wait_for_library(browser, *names, seconds=120):
    wanted = json.dumps(sorted(names))
    found = f"JSON.stringify([...{LIBRARY}].map(r => r.querySelector('a').textContent).sort())"
    browser.wait(f"return {found} === JSON.stringify({wanted})", seconds)
