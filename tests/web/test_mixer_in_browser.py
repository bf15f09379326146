"""The mixer: what really comes out of it, sample for sample, in a real browser."""

from __future__ import annotations

import io
import json
import time
import zipfile

import pytest
from page_server import DEMO, TAP, excerpt, serving_excerpt

from chromium import NEEDS_BROWSER

pytestmark = NEEDS_BROWSER

SECONDS = 24
MIXER = "window.unbraid.mixer"
FOCUSED = "document.activeElement.dataset.part"

# What TAP hears last, looked for in the sound it should be.
FIND = """
(async ([start, count, period]) => {
  const { player } = unbraid.mixer;
  // Not before a seam of two pieces lies within what was heard last.
  while (!period && (player.position % 2 < 0.15 || player.position % 2 > 0.55))
    await new Promise((resolve) => setTimeout(resolve, 10));
  const heard = new Float32Array(tap.fftSize);
  tap.getFloatTimeDomainData(heard);
  if (!period) start = Math.floor((player.position - 1.2) * player.sampleRate);
  const path = location.pathname.replace("/songs/", "/api/jobs/");
  const answer = await fetch(`${path}/pcm/original?start=${start}&count=${count}`);
  const pairs = new Int16Array((await answer.arrayBuffer()).slice(44));
  const sum = (i) => (pairs[2 * i] + pairs[2 * i + 1]) / 65536; // both channels, as it is heard
  const wanted = Float32Array.from({ length: count }, (_, i) => sum(i));
  const at = (i) => wanted[period ? i % period : i];
  const off = (offset, step, limit) => {
    let most = 0;
    for (let k = 0; k < heard.length && most <= limit; k += step)
      most = Math.max(most, Math.abs(heard[k] - at(offset + k)));
    return most;
  };
  for (let offset = 0; offset < (period || count - heard.length); offset++)
    if (off(offset, 97, 1e-3) < 1e-3) return [offset, off(offset, 1, 9), Math.max(...heard)];
  return [-1, 9, Math.max(...heard)];
})"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving_excerpt(tmp_path_factory.mktemp("serve"), SECONDS, residual="true") as server:
        yield server


def open_song(browser, server):
    browser.size(1200, 900)
    browser.cdp("Storage.clearDataForOrigin", origin=server.url, storageTypes="local_storage")
    browser.open(f"{server.url}/songs/{server.song['id']}")
    browser.wait("return window.unbraid?.mixer && document.querySelector('#take-zip[href]')")


def without_beats(browser):
    """The page as for a song without beats, so that loops do not snap."""
    nothing = "{beats: [], beats_in_bar: 4, first: 0, chords: [], edited: false}"
    browser.wait(f"return {MIXER}.grid.loaded")
    browser.run(f"{MIXER}.grid.take({nothing})")


def play(browser, seconds=0.0):
    browser.run(f"{MIXER}.player.seek({seconds}); {MIXER}.player.play()")
    browser.wait(f"return {MIXER}.position > {seconds} + 0.15")


def levels(browser):
    """The greatest level of each part within some tenths of a second."""
    most: dict[str, float] = {}
    time.sleep(0.1)
    for _ in range(6):
        for part, level in browser.run(f"return {MIXER}.levels()").items():
            most[part] = max(level, most.get(part, 0.0))
        time.sleep(0.05)
    return most


def found(browser, start=0, period=0):
    """Where in the original (or in a loop's period) the output lies, and how far it is from it."""
    return browser.resolve(f"{FIND}({json.dumps([start, period or 2 * 44100, period])})")


def wait_to_hear(browser, part):
    """Any stem may be silent for a moment."""
    browser.wait(f"return {MIXER}.level({json.dumps(part)}) > 1e-4")


def test_sound_plays_and_mute_solo_and_fader_do_what_they_say(browser, server):
    open_song(browser, server)
    assert browser.run(f"return {MIXER}.context") is None  # nothing sounds unasked
    browser.click("#play")
    clock = browser.wait(f"return {MIXER}.context?.currentTime")
    browser.wait(f"return {MIXER}.position > 0.5")
    assert browser.run(f"return {MIXER}.context.currentTime") > clock
    for part in server.song["parts"]:
        if part != "residual":  # of a model whose stems add up, nothing
            wait_to_hear(browser, part)
    browser.click("[data-part=bass] [aria-label='Mute bass']")
    wait_to_hear(browser, "drums")
    wait_to_hear(browser, "output")
    assert levels(browser)["bass"] == 0
    browser.click("[data-part=bass] [aria-label='Mute bass']")
    browser.click("[data-part=vocals] [aria-label='Solo vocals']")
    # Round and round where there is singing, so that levels of two moments can be compared.
    browser.run(f"{MIXER}.player.setLoop({{ start: 2.9, end: 3.2 }}); {MIXER}.player.seek(2.9)")
    wait_to_hear(browser, "vocals")
    solo = levels(browser)
    assert [part for part in server.song["parts"] if solo[part] > 0] == ["vocals"]
    assert solo["output"] == pytest.approx(solo["vocals"], rel=0.5)
    browser.run(f"{MIXER}.mix.setGain('vocals', 0.01)")
    assert levels(browser)["output"] < 0.1 * solo["output"]
    browser.click("#reset")
    assert levels(browser)["bass"] > 1e-4
    browser.click("#play")
    browser.wait(f"return !{MIXER}.playing && {MIXER}.context.state === 'suspended'")
    assert browser.complaints() == []


def test_all_parts_together_are_the_original_sample_for_sample_across_pieces(browser, server):
    open_song(browser, server)
    play(browser, 6.4)
    browser.run(TAP)
    browser.wait(f"return {MIXER}.position > 8.3")  # pieces of two seconds: one seam within
    offset, error, peak = found(browser)
    assert offset >= 0 and peak > 0.05
    assert error < 4 / 32768  # each part is rounded to 16 bits for the page


def test_the_original_comes_at_the_same_place_and_level_without_a_gap(browser, server):
    open_song(browser, server)
    play(browser, 6.4)
    browser.run(TAP)
    before = levels(browser)["output"]
    browser.press("o")
    browser.wait(f"return {MIXER}.position > 8.3")
    _, error, _ = found(browser)
    assert error < 1e-6
    assert levels(browser)["output"] == pytest.approx(before, rel=0.7)
    assert browser.run("return document.getElementById('hear-original').ariaPressed") == "true"


def test_a_loop_joins_its_end_to_its_start_sample_for_sample(browser, server):
    open_song(browser, server)
    browser.run(f"{MIXER}.mix.hearOriginal(true)")
    play(browser, 9.2)
    browser.run(TAP)
    browser.run(f"{MIXER}.player.setLoop({{ start: 9, end: 10 }})")
    time.sleep(2.5)
    offset, error, _ = found(browser, 9 * 44100, 44100)
    assert offset >= 0 and error < 1e-6
    browser.run(f"{MIXER}.player.setLoop(null)")  # goes on from where it is, without a gap
    browser.wait(f"return {MIXER}.position > 10.7", 5)
    _, error, _ = found(browser)
    assert error < 1e-6


def test_a_loop_is_dragged_on_the_ruler_and_clicks_seek(browser, server):
    open_song(browser, server)
    without_beats(browser)
    box = browser.run(
        "const b = document.getElementById('ruler').getBoundingClientRect();"
        "return { x: b.x, y: b.y + 12, width: b.width }"
    )

    def at(seconds):
        return box["x"] + box["width"] * seconds / SECONDS, box["y"]

    browser.drag(at(6), at(12))
    loop = browser.run(f"return {MIXER}.player.loop")
    assert loop["start"] / 44100 == pytest.approx(6, abs=0.1)
    assert loop["end"] / 44100 == pytest.approx(12, abs=0.1)
    assert "0:06" in browser.run("return document.getElementById('loop-told').textContent")
    browser.run("document.getElementById('grip-end').focus()")
    browser.press("Left")
    assert browser.run(f"return {MIXER}.player.loop.end") == loop["end"] - 4410
    browser.press("l")
    assert browser.run(f"return {MIXER}.player.loop") is None
    browser.drag(at(18), at(18))
    assert browser.run(f"return {MIXER}.position") == pytest.approx(18, abs=0.1)
    browser.click("[data-part=drums] .wave")
    assert browser.run(f"return {MIXER}.position") == pytest.approx(SECONDS / 2, abs=0.1)


def test_the_keyboard_plays_seeks_chooses_and_mixes(browser, server):
    open_song(browser, server)
    without_beats(browser)
    browser.press(" ")
    browser.wait(f"return {MIXER}.playing && {MIXER}.position > 0.1")
    browser.press(" ")
    browser.wait(f"return !{MIXER}.playing")
    browser.press("Home")
    browser.press("Right", "Right")
    assert browser.run(f"return {MIXER}.position") == 10
    browser.press("Left")
    assert browser.run(f"return {MIXER}.position") == 5
    browser.press("[")
    browser.press("Right")
    browser.press("]")
    assert browser.run(f"return {MIXER}.player.loop") == {"start": 5 * 44100, "end": 10 * 44100}
    browser.press("Down", "x", "Down", "Down", "s")
    browser.chord("Shift", "Down")
    assert browser.run(f"return {FOCUSED}") == "other"
    faders = browser.run(f"return Object.fromEntries({MIXER}.mix.faders)")
    assert faders["drums"]["muted"] and faders["other"]["soloed"]
    assert faders["other"]["gain"] == pytest.approx(10 ** (-1 / 20))
    browser.press("r")
    assert browser.run(f"return {MIXER}.mix.untouched")
    browser.press("2")
    assert browser.run(f"return {MIXER}.mix.gainOf('drums')") == 0
    browser.press("2")
    browser.chord("Shift", "3")
    assert browser.run(f"return {MIXER}.mix.gainOf('other')") == 0
    browser.press("r", "?")
    assert browser.run("return document.getElementById('keys').open")
    browser.press("m", "2")  # nothing happens behind a dialog
    assert browser.run(f"return {MIXER}.mix.untouched && !{MIXER}.metronome.on")
    browser.press("Escape")


def test_a_reload_keeps_the_mix_and_the_loop(browser, server):
    open_song(browser, server)
    browser.click("[data-part=bass] [aria-label='Mute bass']")
    browser.run(f"{MIXER}.mix.setGain('drums', 0.5)")
    browser.run(f"{MIXER}.player.seek(1)")
    browser.press("l")
    loop = browser.wait(f"return {MIXER}.player.loop")
    browser.open(f"{server.url}/songs/{server.song['id']}")
    browser.wait("return window.unbraid?.mixer")
    gains = browser.run(f"return ['bass', 'drums', 'other'].map((p) => {MIXER}.mix.gainOf(p))")
    assert gains == [0, 0.5, 1]
    assert browser.run(f"return {MIXER}.player.loop") == loop
    assert browser.run("return document.getElementById('loop').ariaPressed") == "true"


def set_slider(browser, name, value):
    slider = f"const slider = document.getElementById({json.dumps(name)}); slider.value = {value}; "
    browser.run(slider + "slider.dispatchEvent(new Event('input'))")


def test_a_slower_tempo_moves_the_position_slower_at_the_same_pitch(browser, server):
    open_song(browser, server)
    play(browser)
    set_slider(browser, "tempo", 50)
    browser.wait(f"return {MIXER}.player.tempo.delay > 0")
    browser.wait(f"return {MIXER}.position > 0")
    assert (
        browser.run(f"return {MIXER}.player.tempo.shift") == 12
    )  # half as fast is an octave lower
    paces = browser.wait(f"return {MIXER}.player.timeline.length && {MIXER}.player.timeline")
    assert [one["rate"] for one in paces] == pytest.approx([0.5] * len(paces), abs=1e-4)
    browser.wait(f"return {MIXER}.level('output') > 1e-3")
    within = "const p = MIXER.player, t = p.timeline[0]; return p.sampleAt(t.from + 0.5) - t.sample"
    moved = browser.run(within.replace("MIXER", MIXER))
    assert moved == pytest.approx(0.25 * 44100, rel=0.01)
    browser.click("#practice-reset")
    browser.wait(f"return {MIXER}.player.tempo.delay === 0")
    browser.wait(f"return {MIXER}.level('output') > 1e-3")
    assert browser.complaints() == []


def test_memory_stays_bounded_however_one_jumps(browser, server):
    open_song(browser, server)
    play(browser)
    for second in range(1, SECONDS - 2, 2):
        browser.run(f"{MIXER}.player.seek({second})")
        browser.wait(f"return {MIXER}.position > {second}.05")
    assert browser.run(f"return {MIXER}.pieces") <= 8
    assert browser.complaints() == []


def test_the_end_of_the_song_is_the_end(browser, server):
    open_song(browser, server)
    play(browser, SECONDS - 0.7)
    browser.wait(f"return !{MIXER}.playing", 5)
    assert browser.run(f"return {MIXER}.position") == 0


def test_downloads_are_the_bytes_of_the_server(browser, server, tmp_path):
    open_song(browser, server)
    browser.keep_downloads(tmp_path)
    base = f"/api/jobs/{server.song['id']}"

    def download(selector):
        before = set(tmp_path.iterdir())
        browser.click(selector)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            new = [p for p in set(tmp_path.iterdir()) - before if p.suffix != ".crdownload"]
            if new:
                return new[0]
            time.sleep(0.1)
        raise AssertionError(f"nothing was downloaded by {selector}")

    drums = download("#take-parts li:nth-child(1) a")
    assert drums.suffix == ".wav"
    assert drums.read_bytes() == server.fetch(f"{base}/stems/drums")
    browser.run("scrollTo(0, 0)")
    browser.click("[data-part=vocals] [aria-label='Mute vocals']")
    told = browser.run("return document.getElementById('take-mix-told').textContent")
    assert "Vocals" not in told and "Drums" in told
    mix = download("#take-mix")
    gains = ",".join(f"{part}:1" for part in server.song["parts"] if part != "vocals")
    assert mix.read_bytes() == server.fetch(f"{base}/mix?gains={gains}&format=wav")
    with zipfile.ZipFile(io.BytesIO(download("#take-zip").read_bytes())) as archive:
        assert archive.testzip() is None
        assert any(archive.read(name) == drums.read_bytes() for name in archive.namelist())


def test_what_is_done_can_be_heard_while_the_rest_is_separated(browser, server):
    job = server.upload(DEMO, residual="true")
    browser.open(f"{server.url}/songs/{job['id']}")
    browser.wait("return document.querySelector('#work:not([hidden])')")
    browser.wait(f"return window.unbraid?.mixer && {MIXER}.player.ready > 5 * 44100", 120)
    assert browser.run("return document.getElementById('work-told').textContent").startswith(
        "Separating"
    )
    browser.click("#play")
    browser.wait(f"return {MIXER}.position > 1")
    heard = levels(browser)
    browser.click("#play")
    server.call("POST", f"/api/jobs/{job['id']}/cancel")
    browser.wait("return document.getElementById('mixer').hidden", 30)
    server.call("DELETE", f"/api/jobs/{job['id']}")
    assert min(heard[part] for part in ("drums", "bass", "original", "output")) > 1e-4
    assert browser.complaints() == []


def test_deleting_the_song_on_its_page_goes_home(browser, server, tmp_path):
    job = server.wait(server.upload(excerpt(tmp_path / "Gone.wav", 4))["id"])
    browser.open(f"{server.url}/songs/{job['id']}")
    browser.wait("return window.unbraid?.mixer && document.querySelector('#take-zip[href]')")
    browser.click("#delete")
    browser.click("#sure [value=yes]")
    browser.wait("return location.pathname === '/'")
    assert [other["id"] for other in server.jobs()] == [server.song["id"]]
