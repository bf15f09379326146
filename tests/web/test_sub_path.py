"""The app below a path of its own, behind a reverse proxy."""

from __future__ import annotations

import re

import pytest
from page_server import PageServer, excerpt
from sub_path import behind

from chromium import chromium, is_installed
from unbraid.web.security import Keys


@pytest.mark.parametrize(("page", "root"), [("/", ""), ("/songs/x", "../"), ("/docs", "")])
def test_every_address_in_a_page_is_relative_to_the_page(shared_client, page, root):
    addresses = re.findall(r'(?:href|src|action)="([^"#][^"]*)"', shared_client.get(page).text)
    assert len(addresses) >= 2
    for address in addresses:
        assert address.startswith(root) and not address.startswith("/"), address
        path = address.removeprefix(root).removeprefix("./")
        assert shared_client.get(f"/{path}").status_code == 200, address


def test_cookie_and_location_do_not_name_a_path_from_the_root(client, service, wav):
    created = client.post("/api/jobs", files={"file": ("a.wav", wav)})
    assert created.headers["location"] == f"jobs/{created.json()['id']}"
    service.keys = Keys("a key")
    answer = client.post("/api/login", json={"key": "a key"})
    assert answer.status_code == 204 and "path" not in answer.headers["set-cookie"].lower()


@pytest.mark.browser
@pytest.mark.skipif(not is_installed(), reason="needs chromium and chromedriver")
def test_everything_works_below_a_path_with_a_key(tmp_path):
    song = excerpt(tmp_path / "First take.wav", 4)
    server = PageServer(tmp_path / "data", UNBRAID_KEY="a long enough key")
    server.start()
    try:
        with behind(server.port, "/stems/") as url, chromium() as browser:
            browser.open(url)
            browser.wait("return document.getElementById('key').open")
            browser.type("#key-field", "a long enough key")
            browser.press("Enter")
            browser.wait("return document.getElementById('library-empty')?.innerText")
            browser.complaints()  # of the refusal above
            browser.type("#files", str(song))
            browser.wait("return document.querySelector('#library-list a')", 120)
            browser.click("#library-list a")
            browser.wait("return document.querySelectorAll('.lane').length === 6")
            assert browser.run("return location.pathname").startswith("/stems/songs/")
            for link in browser.run(
                "return [...document.querySelectorAll('#take a[href]')].map(a => a.href)"
            ):
                assert link.startswith(f"{url}api/jobs/"), link
                status = browser.resolve(f"fetch({link!r}, {{method: 'HEAD'}}).then(r => r.status)")
                assert status == 200, link
            browser.click("#play")
            browser.run(
                "const slider = document.getElementById('tempo'); slider.value = 50;"
                "slider.dispatchEvent(new Event('input', { bubbles: true }))"
            )
            browser.wait("return unbraid.mixer.player.tempo.delay > 0")  # its library has come
            browser.click("#delete")
            browser.click("#sure [value=yes]")
            browser.wait("return location.pathname === '/stems/'")
            assert browser.complaints() == []
    finally:
        server.stop()
