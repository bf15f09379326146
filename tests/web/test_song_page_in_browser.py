"""What happens around the mixer of a song: the keyboard, the ends of a song, other pages."""

from __future__ import annotations

import json
import time

import pytest

from chromium import NEEDS_BROWSER

pytestmark = NEEDS_BROWSER

MIXER = "window.unbraid.mixer"
NAME = "return document.getElementById('name').textContent"


def music(beats):
    return {"beats": beats, "beats_in_bar": 2, "first": 0, "chords": [], "edited": False}


def open_song(browser, server, path, beats):
    """The page of a song of 4 s with these beats; the job."""
    job = server.wait(server.upload(path)["id"])
    browser.open(f"{server.url}/songs/{job['id']}")
    browser.wait(f"return window.unbraid?.mixer && {MIXER}.grid.loaded")
    browser.run(f"{MIXER}.grid.take({json.dumps(music(beats))})")
    return job


def test_a_box_is_ticked_by_space_and_each_tick_counts_once(browser, server, songs):
    open_song(browser, server, songs["First take"], [0, 1, 2, 3])
    browser.run(f"window.heard = 0; {MIXER}.metronome.addEventListener('change', () => heard++)")
    for _ in range(3):
        browser.click("#metronome-on")
    assert browser.run("return heard") == 3
    browser.press(" ")
    assert browser.run(f"return [{MIXER}.metronome.on, {MIXER}.playing]") == [False, False]
    assert browser.run("return heard") == 4
    assert browser.complaints() == []


def test_keys_do_nothing_behind_a_dialog(browser, server, songs):
    open_song(browser, server, songs["First take"], [0, 1, 2, 3])
    browser.press("?")
    browser.wait("return document.getElementById('keys').open")
    browser.click("#keys-title")  # the focus leaves the button
    browser.press("m", "l", "k")
    state = f"[{MIXER}.metronome.on, {MIXER}.player.loop, {MIXER}.playing]"
    assert browser.run(f"return {state}") == [False, None, False]
    browser.press("Escape", "m")
    assert browser.run(f"return {MIXER}.metronome.on")


def test_loops_and_zoom_at_the_end_of_a_song_are_of_use(browser, server, songs):
    job = open_song(browser, server, songs["First take"], [])
    seconds = job["seconds_audio"]
    browser.press("End", "l")
    loop = f"[{MIXER}.player.loop.start, {MIXER}.player.loop.end].map((at) => at / 44100)"
    assert browser.run(f"return {loop}") == pytest.approx([0, seconds], abs=0.01)
    browser.run("localStorage.clear()")
    browser.open(browser.run("return location.href"))
    browser.wait(f"return window.unbraid?.mixer && {MIXER}.grid.loaded")
    beats = [0.25 * k for k in range(16)]  # bars of half a second
    browser.run(f"{MIXER}.grid.take({json.dumps(music(beats))})")
    browser.press("End", "l")
    assert browser.run(f"return {loop}") == pytest.approx([seconds - 2, seconds], abs=0.02)
    zoom = "document.getElementById('zoom-in').disabled"
    assert not browser.run(f"return {zoom}")
    browser.press("+", "+", "+")
    assert browser.run(f"return {zoom} && {MIXER}.view.span") == 2
    # A tempo too slow for two beats in the song is one all the same.
    browser.run(f"{MIXER}.grid.setTempo(30, 3.5)")
    assert browser.run(f"return {MIXER}.grid.exists && Math.round({MIXER}.grid.tempo)") == 30
    assert browser.complaints() == []


def test_a_song_tried_again_on_its_page_is_followed_to_the_end(browser, server, tmp_path):
    broken = tmp_path / "Broken.wav"
    broken.write_bytes(b"no sound" * 100)
    job = server.wait(server.upload(broken)["id"])
    browser.open(f"{server.url}/songs/{job['id']}")
    told = "document.querySelector('#work-actions button')?.textContent"
    browser.wait(f"return {told} === 'Try again'")
    browser.run(
        f"window.words = []; new MutationObserver(() => words.push({told}))"
        ".observe(document.getElementById('work-actions'), { childList: true })"
    )
    for times in (1, 2):
        time.sleep(0.5)  # the stream of events of a song that has ended is over
        browser.click("#work-actions button")
        browser.wait(f"return words.length === {2 * times}")
    assert browser.run("return words") == ["Stop", "Try again"] * 2


def test_a_song_deleted_elsewhere_says_so_where_it_is_waited_for(browser, server, songs):
    first = server.upload(songs["First take"])
    second = server.upload(songs["Second take"])
    browser.open(f"{server.url}/songs/{second['id']}")
    browser.wait(f"{NAME} === 'Second take'")
    server.call("DELETE", f"/api/jobs/{second['id']}")
    browser.wait(f"{NAME} === 'This song was deleted'")
    assert browser.run("return document.getElementById('work').hidden")
    server.wait(first["id"])


def test_corrections_wait_for_the_server_and_reach_other_pages(browser, server, songs):
    job = open_song(browser, server, songs["First take"], [0, 1, 2, 3])
    address = f"/api/jobs/{job['id']}/music"
    browser.cdp("Network.enable")
    away = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    browser.cdp("Network.emulateNetworkConditions", **away)
    browser.run(f"{MIXER}.grid.shift(0.5)")
    browser.wait("return !document.getElementById('problem').hidden")
    assert not server.call("GET", address)["edited"]
    browser.cdp("Network.emulateNetworkConditions", **{**away, "offline": False})
    browser.wait("return document.getElementById('problem').hidden")
    assert server.call("GET", address)["beats"] == [0.5, 1.5, 2.5, 3.5]
    facts = "document.getElementById('facts').textContent"
    browser.run(f"{MIXER}.grid.double()")
    assert "120 bpm" in browser.run(f"return {facts}")
    browser.wait(f"return !{MIXER}.grid.unsaved")
    server.call("DELETE", address)  # as another page would
    browser.run("document.dispatchEvent(new Event('visibilitychange'))")
    browser.wait(f"return !{MIXER}.grid.edited")
