"""The library on the page of all songs: search, tags, names, several songs at once, reports."""

from __future__ import annotations

import time
import zipfile

from home_page import LIBRARY, open_home, texts, wait_for_library
from page_server import tagged_excerpt

from chromium import NEEDS_BROWSER

pytestmark = NEEDS_BROWSER


def test_search_finds_songs_and_deleting_asks_first(browser, server, songs):
    for song in songs.values():
        server.wait(server.upload(song)["id"])
    open_home(browser, server)
    wait_for_library(browser, "First take", "Second take")
    browser.type("#search", "SECOND")
    wait_for_library(browser, "Second take")
    browser.type("#search", " xyz")
    browser.wait("return !document.getElementById('library-empty').hidden")
    assert "SECOND xyz" in browser.run("return document.getElementById('library-empty').innerText")
    browser.press(*["Backspace"] * len("SECOND xyz"))
    wait_for_library(browser, "First take", "Second take")
    delete = "#library-list button[aria-label='Delete First take']"
    browser.click(delete)
    browser.wait("return document.getElementById('sure').open")
    assert "First take" in browser.run("return document.getElementById('sure-title').innerText")
    browser.press("Escape")
    browser.wait("return !document.getElementById('sure').open")
    assert len(server.jobs()) == 2
    browser.click(delete)
    browser.wait("return document.getElementById('sure').open")
    browser.click("#sure [value=yes]")
    wait_for_library(browser, "Second take")
    assert [job["name"] for job in server.jobs()] == ["Second take.wav"]
    assert browser.complaints() == []


def test_several_songs_are_downloaded_and_deleted_at_once(browser, server, songs, tmp_path):
    for name in ("First take", "First take", "Second take"):
        server.wait(server.upload(songs[name])["id"])
    open_home(browser, server)
    wait_for_library(browser, "First take", "First take", "Second take")
    browser.keep_downloads(tmp_path)
    browser.click("#select")
    assert browser.run("return document.getElementById('take-selected').href") == ""
    browser.click("#library-list .row:nth-child(2) .pick")
    browser.click("#library-list .row:nth-child(3) .pick")
    assert browser.run("return document.getElementById('selected-told').innerText") == (
        "2 songs selected"
    )
    browser.click("#take-selected")
    archive = tmp_path / "2 songs (stems).zip"
    end = time.monotonic() + 30
    while not archive.exists():
        assert time.monotonic() < end
        time.sleep(0.1)
    with zipfile.ZipFile(archive) as files:
        folders = {name.partition("/")[0] for name in files.namelist()}
        assert folders == {"First take", "First take (2)"} and files.testzip() is None
    browser.click("#select-all")
    browser.click("#delete-selected")
    browser.wait("return document.getElementById('sure').open")
    assert browser.run("return document.getElementById('sure-title').innerText") == (
        "Delete 3 songs?"
    )
    browser.click("#sure [value=yes]")
    browser.wait(f"return {LIBRARY}.length === 0")
    assert server.jobs() == [] and browser.complaints() == []


def test_tags_are_shown_and_a_song_is_renamed_in_place(browser, server, tmp_path):
    path = tagged_excerpt(tmp_path / "04.flac", 4)
    job = server.wait(server.upload(path)["id"])
    open_home(browser, server)
    wait_for_library(browser, "Fishing <1>")
    (text,) = texts(browser, LIBRARY)
    assert "Karissa" in text and job["settings"]["model"] in text
    browser.wait("return document.querySelector('img.cover').naturalWidth === 64")
    browser.run("document.querySelector('#library-list a').focus()")
    browser.press("\ue032")  # F2
    assert browser.run("return document.activeElement.value") == "Fishing <1>"
    browser.press(*"Nothing", "Escape")
    assert browser.run("return document.activeElement.ariaLabel") == "Rename Fishing <1>"
    browser.press("Enter")
    browser.press(*"New/name", "Enter")
    wait_for_library(browser, "New/name")
    assert server.call("GET", f"/api/jobs/{job['id']}")["name"] == "New/name.flac"
    browser.click("#library-list a")
    browser.wait("return document.querySelectorAll('.lane').length === 5")
    assert browser.run("return document.getElementById('name').innerText") == "New/name"
    assert browser.run("return document.getElementById('by').innerText") == "Karissa · Rivers"
    browser.click("#rename")
    browser.press(*"m s", "Enter")  # letters that are keys of the mixer
    browser.wait("return document.getElementById('name').innerText === 'm s'")
    assert browser.run("return document.title") == "m s · unbraid"
    assert browser.complaints() == []


def test_the_report_of_a_song_is_made_and_opened_from_its_page(browser, server, songs):
    job = server.wait(server.upload(songs["First take"])["id"])
    browser.open(f"{server.url}/songs/{job['id']}")
    browser.wait("return document.querySelector('#report button')")
    browser.click("#report button")
    browser.wait("return document.querySelector('#report progress')")
    browser.wait("return document.querySelector('#report a')", 120)
    assert browser.run("return document.querySelector('#report a').target") == "_blank"
    browser.open(browser.run("return document.querySelector('#report a').href"))
    assert browser.run("return document.querySelector('h1').innerText") == "First take"
    play = "[...document.querySelectorAll('button')].find(b => b.innerText === 'Play')"
    browser.run(f"{play}.click()")  # its script is allowed to run
    browser.wait(f"return !{play}")
    assert browser.complaints() == []
