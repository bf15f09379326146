"""Metronome, count-in, beats, bars, chords and zoom, in a real browser."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from page_server import TAP, serving_excerpt

from chromium import NEEDS_BROWSER

pytestmark = NEEDS_BROWSER

SECONDS = 24
RATE = 44100
MIXER = "window.unbraid.mixer"
GRID = f"{MIXER}.grid"
# A beat each quarter of a second, in bars of four; a bar begins at 0.5 s.
BEATS = [round(0.25 * k, 4) for k in range(SECONDS * 4)]
CHORDS = [("C", 0.5), ("Am", 2.5), ("F#", 4.5)]
MUSIC = {
    "beats": BEATS,
    "beats_in_bar": 4,
    "first": 2,
    "chords": [{"start_s": start, "name": name} for name, start in CHORDS],
}
HEARD = "const heard = new Float32Array(tap.fftSize); tap.getFloatTimeDomainData(heard);"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving_excerpt(tmp_path_factory.mktemp("practice"), SECONDS) as server:
        yield server


def api(server):
    return f"/api/jobs/{server.song['id']}/music"


def open_song(browser, server, music=MUSIC):
    """The page of the song, with these beats and chords, as if they had been found."""
    browser.size(1200, 900)
    browser.cdp("Storage.clearDataForOrigin", origin=server.url, storageTypes="local_storage")
    server.call("DELETE", api(server))
    browser.open(f"{server.url}/songs/{server.song['id']}")
    browser.wait(f"return window.unbraid?.mixer && {GRID}.loaded")
    browser.run(f"{GRID}.take({{...{json.dumps(music)}, edited: false}})")


def text(browser, name):
    return browser.run(f"return document.getElementById({json.dumps(name)}).textContent")


def choose(browser, name, value):
    browser.run(
        f"const field = document.getElementById('{name}'); field.value = {json.dumps(value)};"
        "for (const kind of ['input', 'change']) field.dispatchEvent(new Event(kind))"
    )


def silence(browser):
    """Mute all stems, so that clicks are all there is."""
    browser.run(f"const m = {MIXER}.mix; m.parts.forEach((part) => m.setGain(part, 0))")


def heard_clicks(browser):
    """Where clicks begin in the last 0.74 s of the output, in samples."""
    sound = np.array(browser.run(f"{HEARD} return Array.from(heard)"))
    loud = np.flatnonzero(np.abs(sound) > 0.05)
    return loud[np.diff(loud, prepend=-RATE) > 0.06 * RATE]


def test_beats_of_a_song_are_found_and_shown(browser, server):
    found = server.call("GET", api(server))
    assert len(found["beats"]) > 20 and not found["edited"]
    open_song(browser, server, found)
    tempo = 60 / np.median(np.diff(found["beats"]))
    assert (
        text(browser, "beats-told") == f"{tempo:.1f} bpm · {found['beats_in_bar']} beats in a bar"
    )
    assert server.call("GET", f"/api/jobs/{server.song['id']}")["tempo_bpm"] == pytest.approx(
        tempo, abs=0.2
    )
    names = browser.run("return [...document.querySelectorAll('.chord')].map((c) => c.ariaLabel)")
    assert len(names) == len(found["chords"])
    assert browser.complaints() == []


def test_the_metronome_clicks_on_the_beats_at_every_tempo(browser, server):
    open_song(browser, server)
    silence(browser)
    browser.press("m")
    assert browser.run("return document.getElementById('metronome').ariaPressed") == "true"
    browser.press(" ")
    browser.wait(f"return {MIXER}.context?.state === 'running'")
    browser.run(TAP)
    browser.wait(f"return {MIXER}.position > 2")
    clicks = heard_clicks(browser)
    assert np.abs(np.diff(clicks) - 0.25 * RATE).max() <= 3
    off = browser.run(
        f"const {{ player, metronome, grid }} = {MIXER};"
        "return metronome.clicks.map(({ time, first }) => {"
        "  const place = grid.placeAt(player.sampleAt(time) / player.sampleRate);"
        "  return [place - Math.round(place), first === grid.isFirst(Math.round(place))] })"
    )
    assert len(off) > 8
    assert max(abs(place) for place, _ in off) < 1e-3 and all(right for _, right in off)
    choose(browser, "tempo", 75)
    browser.wait(f"return {MIXER}.player.tempo.delay > 0 && {MIXER}.player.timeline.length")
    browser.wait(f"return {MIXER}.position > 3.5")
    time.sleep(0.8)
    assert np.abs(np.diff(heard_clicks(browser)) - RATE / 3).max() <= 3
    browser.press("m")
    time.sleep(0.8)
    assert len(heard_clicks(browser)) == 0
    assert browser.complaints() == []


def test_seeks_and_loops_take_the_clicks_along(browser, server):
    open_song(browser, server)
    silence(browser)
    browser.press("m")
    browser.run(f"{MIXER}.player.setLoop({{ start: 1, end: 2.125 }}); {MIXER}.player.seek(1)")
    browser.press(" ")
    browser.wait(f"return {MIXER}.context?.state === 'running'")
    browser.run(TAP)
    time.sleep(2.6)
    # Five beats in each round, and half a beat from the last of them to the first of the next.
    gaps = np.diff(heard_clicks(browser)) / RATE
    assert all(min(abs(gap - 0.25), abs(gap - 0.125)) < 1e-3 for gap in gaps)
    browser.run(f"{MIXER}.player.setLoop(null); {MIXER}.player.seek(10)")
    browser.wait(f"return {MIXER}.position > 11")
    assert np.abs(np.diff(heard_clicks(browser)) - 0.25 * RATE).max() <= 3


def test_bars_are_counted_in_before_playing_and_before_each_round(browser, server):
    open_song(browser, server)
    choose(browser, "count-in", "2")
    browser.run(f"{MIXER}.player.seek(2.5)")
    browser.press(" ")
    browser.wait(f"return {MIXER}.player.timeline.length > 1")
    count = browser.run(f"return {MIXER}.player.timeline[0]")
    assert count["to"] - count["from"] == pytest.approx(8 * 0.25, abs=1e-3)
    assert [beat["first"] for beat in count["count"]] == [True, False, False, False] * 2
    assert browser.run(f"return {MIXER}.position") == 2.5
    browser.wait(f"return {MIXER}.position > 2.6")
    browser.press(" ")
    browser.run(f"{MIXER}.player.setLoop({{ start: 2.5, end: 3.5 }})")
    browser.click("#every-round")
    browser.run("document.activeElement.blur()")  # on the box, space would take the tick away
    browser.run(f"{MIXER}.player.seek(3)")
    browser.press(" ")
    kinds = "t.map((one) => one.rate === 0)"
    browser.wait(
        f"const t = {MIXER}.player.timeline; return {kinds}.join() == 'true,false,true,false'"
    )
    browser.press(" ")
    choose(browser, "tempo", 50)  # the count-in is as slow as the song
    browser.wait(f"return {MIXER}.player.tempo.delay > 0")
    browser.press(" ")
    browser.wait(f"return {MIXER}.player.timeline.length > 1")
    slow = browser.run(f"return {MIXER}.player.timeline[0]")
    assert slow["to"] - slow["from"] >= 7 * 0.5


def test_corrections_of_beats_are_kept_on_the_server(browser, server):
    open_song(browser, server)
    browser.click("#beats-tool summary")
    browser.click("#beats-half")
    browser.click("#beats-double")
    assert text(browser, "beats-told") == "240.0 bpm · 4 beats in a bar · corrected"
    assert browser.run("return document.getElementById('beats-double').disabled")
    browser.click("#beats-half")
    assert text(browser, "beats-told") == "120.0 bpm · 4 beats in a bar · corrected"
    assert browser.run(f"return {GRID}.beats[{GRID}.first]") == 0.5
    browser.run(f"{MIXER}.player.seek(3.05)")
    browser.click("#beat-here")
    assert browser.run(f"return {GRID}.timeOf(6)") == pytest.approx(3.05, abs=1e-3)
    browser.run(f"{GRID}.shift(-0.05)")
    browser.click("#first-here")
    choose(browser, "beats-in-bar", "3")
    for _ in range(3):
        browser.click("#beats-later")
    end = time.monotonic() + 10
    while not (kept := server.call("GET", api(server)))["edited"] or kept["beats"][0] != 0.03:
        assert time.monotonic() < end, kept
        time.sleep(0.1)
    assert kept["beats_in_bar"] == 3
    assert 3.03 in kept["beats"][kept["first"] :: 3]
    browser.open(f"{server.url}/songs/{server.song['id']}")
    browser.wait(f"return window.unbraid?.mixer && {GRID}.loaded")
    assert text(browser, "beats-told") == "120.0 bpm · 3 beats in a bar · corrected"
    browser.click("#beats-tool summary")
    browser.click("#beats-forget")
    browser.wait(f"return !{GRID}.edited")
    assert not server.call("GET", api(server))["edited"]
    assert browser.complaints() == []


def test_a_tapped_tempo_makes_steady_beats(browser, server):
    open_song(browser, server, MUSIC | {"beats": [], "chords": [], "first": 0})
    assert browser.run("return document.getElementById('metronome').hidden")
    browser.run(f"{MIXER}.player.seek(2)")
    for _ in range(5):
        browser.press("t")
        time.sleep(0.45)
    tempo = browser.run(f"return {GRID}.tempo")
    assert 60 < tempo < 134
    beats = browser.run(f"return {GRID}.beats")
    assert 2.0 in beats and np.ptp(np.diff(beats)) < 1e-3
    assert beats[0] < 1 and beats[-1] > SECONDS - 1


def test_loops_snap_to_bars_and_grow_and_move_by_them(browser, server):
    open_song(browser, server)
    loop = f"const l = {MIXER}.player.loop; return l && [l.start / {RATE}, l.end / {RATE}]"
    browser.run(f"{MIXER}.player.seek(2.6)")
    browser.press("l")
    assert browser.run(loop) == [2.5, 6.5]
    assert text(browser, "loop-bars") == "4 bars from bar 3"
    browser.click("#loop-longer")
    assert browser.run(loop) == [2.5, 7.5]
    browser.click("#loop-shorter")
    browser.click("#loop-on")
    assert browser.run(loop) == [6.5, 10.5]
    browser.press("{", "{")
    assert browser.run(loop) == [6.5 - 4, 10.5 - 4]  # not beyond the beginning
    box = browser.run(
        "const b = document.getElementById('ruler').getBoundingClientRect();"
        "return { x: b.x, y: b.y + 12, width: b.width }"
    )
    place = [(box["x"] + box["width"] * s / SECONDS, box["y"]) for s in (12.4, 15.7)]
    browser.drag(*place)
    assert browser.run(loop) == [12.5, 15.5]
    browser.drag((place[0][0], box["y"]), (place[0][0] + 12, box["y"]))
    assert browser.run(loop) == [12.5, 13.5]  # at least one bar
    choose(browser, "snap", "beat")
    browser.drag(*place)
    assert browser.run(loop) == [12.5, 15.75]


def test_shift_and_arrows_step_by_bars_comma_and_point_by_beats(browser, server):
    open_song(browser, server)
    browser.run(f"{MIXER}.player.seek(3.1)")
    browser.chord("Shift", "Right")
    assert browser.run(f"return {MIXER}.position") == pytest.approx(3.5, abs=1e-4)
    browser.chord("Shift", "Left", "Left")
    assert browser.run(f"return {MIXER}.position") == pytest.approx(1.5, abs=1e-4)
    browser.press(".")
    assert browser.run(f"return {MIXER}.position") == pytest.approx(1.75, abs=1e-4)
    browser.press(",", ",")
    assert browser.run(f"return {MIXER}.position") == pytest.approx(1.25, abs=1e-4)


def test_chords_follow_the_pitch_and_are_changed_by_a_click(browser, server):
    open_song(browser, server)
    names = "return [...document.querySelectorAll('.chord')].map((c) => c.textContent)"
    assert browser.run(names) == ["C", "Am", "F♯"]
    browser.run(f"{MIXER}.player.seek(2.6)")
    assert text(browser, "chord-now") == "Am"
    choose(browser, "pitch", 3)
    assert browser.run(names) == ["E♭", "Cm", "A"]
    browser.click(".chord:nth-child(2)")
    assert browser.run("return document.getElementById('chord-name').value") == "Cm"
    browser.run("document.getElementById('chord-name').value = ''")
    browser.type("#chord-name", "Cm7/Bb\n")  # keys of the player do nothing in a field
    browser.wait("return !document.getElementById('chord').open")
    assert browser.run(f"return {GRID}.chords[1].name") == "Am7/G"
    assert not browser.run(f"return {MIXER}.metronome.on")
    browser.run(f"{MIXER}.player.seek(3.3)")
    browser.click("#chord-new")
    browser.type("#chord-name", "D\n")
    browser.wait(f"return {GRID}.chords.length === 4")
    assert browser.run(f"return {GRID}.chords[2]") == {"start_s": 3.25, "name": "B"}
    browser.run("scrollTo(0, 0)")
    browser.click(".chord:nth-child(3)")
    browser.click("#chord [value=join]")
    browser.wait(f"return {GRID}.chords.length === 3")
    assert browser.complaints() == []


def test_chords_are_taken_along_as_text(browser, server, tmp_path):
    open_song(browser, server)
    browser.keep_downloads(tmp_path)
    choose(browser, "pitch", -2)
    browser.click("#chord-sheet")
    end = time.monotonic() + 10
    while not (found := list(tmp_path.glob("*.txt"))):
        assert time.monotonic() < end
        time.sleep(0.1)
    assert found[0].name == "Take - chords.txt"
    lines = found[0].read_text().splitlines()
    assert lines[:2] == ["Take", "240 bpm, 4 beats in a bar"]
    assert lines[3] == "| / | Bb | / | Gm |"
    assert lines[4] == "| / | E | / | / |"


def test_zoom_shows_a_part_and_follows_the_position(browser, server):
    open_song(browser, server)
    view = f"const v = {MIXER}.view; return [v.from, v.span]"
    browser.run(f"{MIXER}.player.seek(12)")
    browser.press("+", "+")
    start, span = browser.run(view)
    assert span == SECONDS / 4 and start == pytest.approx(12 - span / 2)
    browser.click("[data-part=drums] .wave")
    assert browser.run(f"return {MIXER}.position") == pytest.approx(12, abs=0.05)
    browser.run(f"{MIXER}.player.seek(14.7); {MIXER}.player.play()")
    browser.wait(f"return {MIXER}.view.from > 14")  # the page is turned
    browser.press(" ")
    browser.click("#zoom-out")
    assert browser.run(view)[1] == SECONDS / 2
    browser.press("0")
    assert browser.run(view) == [0, SECONDS]
    wheel = (
        "new WheelEvent('wheel', {{ ctrlKey: true, deltaY: -140, clientX: {x}, bubbles: true }})"
    )
    x = browser.run(
        "const b = document.getElementById('ruler').getBoundingClientRect();"
        "return b.x + b.width / 4"
    )
    browser.run(
        f"document.querySelector('[data-part=bass] .wave').dispatchEvent({wheel.format(x=x)})"
    )
    start, span = browser.run(view)
    assert span < SECONDS / 1.9 and start + span / 4 == pytest.approx(SECONDS / 4, abs=0.05)
    assert browser.complaints() == []


def test_two_fingers_zoom_on_a_phone_and_nothing_is_wider_than_it(browser, server):
    open_song(browser, server)
    browser.size(390, 844)
    box = browser.run(
        "const w = document.querySelector('[data-part=drums] .wave'); w.scrollIntoView();"
        "const b = w.getBoundingClientRect(); return [b.x, b.y + 20, b.width]"
    )
    middle = box[0] + box[2] / 2

    def touch(kind, apart):
        points = [
            {"x": middle + side * apart, "y": box[1], "id": n} for n, side in enumerate((-1, 1))
        ]
        browser.cdp(
            "Input.dispatchTouchEvent", type=kind, touchPoints=[] if kind == "touchEnd" else points
        )

    touch("touchStart", 30)
    for apart in (40, 60, 90):
        touch("touchMove", apart)
    touch("touchEnd", 0)
    assert browser.run(f"return {MIXER}.view.span") == pytest.approx(SECONDS / 3, rel=0.1)
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    browser.run("document.querySelector('#beats-tool details').open = true")
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
