"""The page of all songs, used as a musician would, in a real browser before a real server."""

from __future__ import annotations

import shutil
import time

import pytest
from home_page import LIBRARY, QUEUE, open_home, texts, wait_for_library
from page_server import DEMO, PageServer, excerpt

from chromium import NEEDS_BROWSER

pytestmark = NEEDS_BROWSER


def test_a_song_goes_in_and_its_parts_come_out(browser, server, songs):
    open_home(browser, server)
    assert "will appear here" in browser.run(
        "return document.getElementById('library-empty').innerText"
    )
    browser.type("#files", str(songs["First take"]))
    browser.wait(f"return {QUEUE}.length === 1")
    assert "First take" in texts(browser, QUEUE)[0]
    wait_for_library(browser, "First take")
    assert browser.run(f"return {QUEUE}.length") == 0
    assert browser.run("return document.getElementById('queue').hidden")
    (text,) = texts(browser, LIBRARY)
    assert "0:04" in text and "Vocals" in text
    browser.click("#library-list a")
    browser.wait("return document.querySelectorAll('.lane').length === 6")
    assert browser.run("return document.title") == "First take · unbraid"
    assert browser.complaints() == []


def test_files_and_folders_can_be_dropped_and_what_is_no_song_is_left_out(
    browser, server, songs, tmp_path
):
    folder = tmp_path / "Album"
    (folder / "Disc 2").mkdir(parents=True)
    shutil.copy(songs["First take"], folder / "One.wav")
    shutil.copy(songs["Second take"], folder / "Disc 2" / "Two.wav")
    (folder / "cover.jpg").write_bytes(b"no sound")
    open_home(browser, server)
    browser.drop_files("#drop", folder, songs["First take"])
    wait_for_library(browser, "First take", "One", "Two")
    hint = browser.run("return document.getElementById('drop-hint').textContent")
    assert hint == "3 songs added. 1 file is not audio and was skipped."
    assert len(server.jobs("succeeded")) == 3
    assert browser.complaints() == []


def test_the_choices_of_the_form_are_those_of_the_job_and_are_kept(browser, server, songs):
    open_home(browser, server)
    browser.click("#options summary")
    browser.click("#choices [value=two]")
    browser.click("#two [value=drums]")
    browser.run(
        "for (const [name, value] of [['format', 'flac'], ['shifts', '2']]) {"
        "const select = document.getElementById(name); select.value = value;"
        "select.dispatchEvent(new Event('change', { bubbles: true })); }"
    )
    open_home(browser, server)  # another visit
    told = browser.run("return document.getElementById('options-told').textContent")
    assert told == "quartet · drums and no_drums · FLAC · 2 passes"
    browser.type("#files", str(songs["First take"]))
    wait_for_library(browser, "First take")
    (job,) = server.jobs()
    assert job["parts"] == ["drums", "no_drums"]
    assert (job["settings"]["format"], job["settings"]["shifts"]) == ("flac", 2)
    assert "Without drums" in texts(browser, LIBRARY)[0]


def test_a_preview_is_twenty_seconds_and_leads_to_the_whole_song(browser, server, tmp_path):
    song = excerpt(tmp_path / "Long.wav", 26)
    open_home(browser, server)
    browser.click("#preview")
    browser.type("#files", str(song))
    wait_for_library(browser, "Long")
    assert "20 seconds" in texts(browser, LIBRARY)[0] and "0:20" in texts(browser, LIBRARY)[0]
    browser.click("#library-list .wordy")
    wait_for_library(browser, "Long", "Long")
    assert sorted(round(job["seconds_audio"]) for job in server.jobs()) == [20, 26]


def test_a_song_in_the_works_can_be_stopped_and_tried_again(browser, server):
    open_home(browser, server)
    browser.type("#files", str(DEMO))
    row = "document.querySelector('#queue-list .row')"
    percent = f"Number({row}.querySelector('canvas').getAttribute('aria-valuenow'))"
    browser.wait(f"return {row}?.dataset.status === 'running' && {percent} > 5", 60)
    assert "Separating" in texts(browser, QUEUE)[0]
    browser.click("#queue-list button")
    browser.wait(f"return {row}.dataset.status === 'canceled'", 30)
    assert "Stopped." in texts(browser, QUEUE)[0]
    browser.click("#queue-list .wordy")  # try again
    browser.wait(f"return {row}.dataset.status === 'running' && {percent} > 5", 60)
    browser.click("#queue-list button")
    browser.wait(f"return {row}.dataset.status === 'canceled'", 30)
    browser.click("#queue-list button[aria-label^=Remove]")
    browser.wait(f"return {QUEUE}.length === 0")
    assert server.jobs() == []


@pytest.mark.timeout(600)
def test_a_real_song_survives_reloading_the_page_and_killing_the_server(browser, tmp_path):
    server = PageServer(tmp_path / "data")
    server.start()
    try:
        open_home(browser, server)
        browser.type("#files", str(DEMO))
        row = "document.querySelector('#queue-list .row')"
        percent = f"Number({row}?.querySelector('canvas').getAttribute('aria-valuenow'))"
        browser.wait(f"return {percent} >= 6", 60)
        open_home(browser, server)
        browser.wait(f"return {row}?.dataset.status === 'running' && {percent} >= 6")
        server.kill()
        browser.wait(
            "return document.getElementById('away').textContent.includes('Lost connection')"
        )
        server.start()
        browser.wait("return document.getElementById('away').textContent === ''", 30)
        browser.wait(f"return {row}?.dataset.status === 'running'", 60)
        assert browser.run(f"return {QUEUE}.length") == 1
        wait_for_library(browser, "Let's Go Fishin'", seconds=300)
        assert len(server.jobs()) == 1
        # The browser itself complains of a server that is away.
        assert [said for said in browser.complaints() if "net::ERR_" not in said] == []
    finally:
        server.stop()


def test_songs_wait_in_the_order_chosen_and_can_be_moved(browser, server, tmp_path):
    names = ["3 long", "1 short", "2 short", "4 short"]
    paths = [excerpt(tmp_path / f"{name}.wav", 90 if "long" in name else 2) for name in names]
    open_home(browser, server)
    browser.type("#files", "\n".join(map(str, paths)))

    def order():
        return browser.run(f"return [...{QUEUE}].map(r => r.querySelector('.name').innerText)")

    browser.wait(f"return [...{QUEUE}].filter(r => r.dataset.status === 'queued').length === 3")
    assert order() == names
    up = "button[aria-label='Move up: 4 short']"
    browser.run(f'document.querySelector("{up}").focus()')
    browser.press("Enter")
    browser.wait(f"return {QUEUE}[2].innerText.includes('4 short')")
    assert browser.run("return document.activeElement.ariaLabel") == "Move up: 4 short"
    browser.press("Home")
    browser.wait(f"return {QUEUE}[1].innerText.includes('4 short')")
    assert browser.run(f'return document.querySelector("{up}").ariaDisabled') == "true"
    browser.click("button[aria-label='Move down: 1 short']")
    moved = ["3 long", "4 short", "2 short", "1 short"]
    browser.wait(f"return {QUEUE}[3].innerText.includes('1 short')")
    assert order() == moved
    down = "[...document.querySelectorAll('.move-down')].map((one) => one.ariaDisabled)"
    assert browser.run(f"return {down}") == ["false", "false", "true"]
    open_home(browser, server)
    browser.wait(f"return {QUEUE}.length === 4")
    assert order() == moved
    assert browser.complaints() == []


def test_what_is_no_song_is_refused_in_words(browser, server, tmp_path):
    (tmp_path / "notes.mp3").write_text("these are words\n" * 50)
    open_home(browser, server)
    browser.type("#files", str(tmp_path / "notes.mp3"))
    browser.wait("return document.querySelector('#queue-list .row.failed')", 30)
    text = browser.run("return document.querySelector('.row.failed .told').innerText")
    assert text.endswith(".") and "Error" not in text and len(text) > 10
    browser.click("#queue-list button:last-child")
    browser.wait(f"return {QUEUE}.length === 0")


def test_names_are_shown_as_text_whatever_they_hold(browser, server, tmp_path):
    song = excerpt(tmp_path / "<img src=x onerror=window.harmed=1>&amp;.wav", 4)
    open_home(browser, server)
    browser.type("#files", str(song))
    wait_for_library(browser, song.stem)
    browser.click("#library-list a")
    browser.wait("return document.querySelectorAll('.lane').length === 6")
    assert browser.run("return document.getElementById('name').textContent") == song.stem
    assert browser.run("return window.harmed") is None
    assert browser.complaints() == []


def test_times_and_sizes_are_words_for_musicians(browser, server):
    open_home(browser, server)

    def words(call):
        return browser.resolve(f"import('/static/format.js').then(w => w.{call})")

    assert [words(f"timeLeft({s})") for s in (4, 34, 70, 130, 7200)] == [
        "a few seconds left",
        "about 30 seconds left",
        "about a minute left",
        "about 2 minutes left",
        "about 2 hours left",
    ]
    assert [words(f"clock({s})") for s in (0, 64.9, 3700)] == ["0:00", "1:04", "1:01:40"]
    assert [words(f"decibels({g})") for g in (0, 0.5, 1, 2)] == [
        "off",
        "−6.0 dB",
        "0.0 dB",
        "+6.0 dB",
    ]
    assert words("partName('no_vocals')") == "Without vocals"
    assert words("stateOf({status: 'queued', position: 3})") == "2 songs ahead"
    assert words("stateOf({status: 'failed', error: 'It is empty.'})") == "It is empty."


def test_a_page_elsewhere_follows_what_happens_here(browser, server, songs):
    open_home(browser, server)
    job = server.upload(songs["First take"])
    wait_for_library(browser, "First take")
    server.call("DELETE", f"/api/jobs/{job['id']}")
    browser.wait(f"return {LIBRARY}.length === 0", 10)


def test_all_of_it_works_by_keyboard(browser, server, songs):
    server.wait(server.upload(songs["First take"])["id"])
    open_home(browser, server)
    wait_for_library(browser, "First take")
    browser.run("HTMLInputElement.prototype.click = function () { window.asked = this.id }")
    focused = "document.activeElement"
    seen = []
    for _ in range(12):
        browser.press("Tab")
        seen.append(browser.run(f"return {focused}.id || {focused}.className || {focused}.tagName"))
        if seen[-1] == "BODY":  # once around
            break
        visible = browser.run(
            f"return getComputedStyle({focused}).outlineStyle !== 'none'"
            f" || !!{focused}.closest('.row.finished')"
        )
        assert visible, f"no focus to be seen on {seen[-1]}"
        if seen[-1] in ("pick-files", "pick-folder"):
            browser.press("Enter")
            chosen = {"pick-files": "files", "pick-folder": "folder"}[seen[-1]]
            assert browser.run("return window.asked") == chosen
    assert seen.index("skip") < seen.index("pick-files") < seen.index("search")
    browser.run("document.querySelector('#library-list a').focus()")
    browser.press("Enter")
    browser.wait("return window.unbraid?.mixer")


def test_a_locked_server_asks_for_its_key(browser, tmp_path):
    server = PageServer(tmp_path / "data", UNBRAID_KEY="a long enough key")
    server.start()
    try:
        browser.open(server.url)
        browser.wait("return document.getElementById('key').open")
        browser.type("#key-field", "wrong")
        browser.press("Enter")
        browser.wait("return document.querySelector('#key [role=alert]').textContent")
        browser.run("document.getElementById('key-field').value = ''")
        browser.type("#key-field", "a long enough key")
        browser.press("Enter")
        browser.wait("return document.getElementById('library-empty')?.innerText")
        assert not browser.run("return document.getElementById('key').open")
    finally:
        server.stop()


@pytest.mark.parametrize("dark", [False, True])
def test_pages_fit_a_phone_and_nothing_is_too_small_to_touch(browser, server, songs, dark):
    job = server.wait(server.upload(songs["First take"])["id"])
    browser.size(360, 700)
    browser.dark(dark)
    for path in ("/", f"/songs/{job['id']}"):
        browser.open(server.url + path)
        browser.wait("return document.querySelector('.row.finished, .lane')")
        browser.run("document.querySelector('details:not(.keys)')?.setAttribute('open', '')")
        time.sleep(0.2)
        assert browser.run("return document.documentElement.scrollWidth") == 360
        small = browser.run(
            "return [...document.querySelectorAll('button,.button,select,summary')].filter(e => {"
            "const least = e.matches('.chord') ? 24 : 44;"  # those lie along the ruler
            "const b = e.getBoundingClientRect(); return b.height && b.height < least })"
            ".map(e => e.outerHTML)"
        )
        assert small == []
    assert browser.complaints() == []


def test_a_song_that_is_gone_says_so(browser, server):
    browser.open(f"{server.url}/songs/nothing")
    browser.wait("return document.getElementById('name').innerText.includes('deleted')")
