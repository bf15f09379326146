"""The pages in a real browser: nothing on the console, players in step."""

from __future__ import annotations

import pytest
from small_evaluations import STEMS, write_evaluation, write_sounds

from chromium import NEEDS_BROWSER, chromium
from unbraid.evaluation.page import write_scores_report
from unbraid.evaluation.page_data import load_evaluation
from unbraid.song_page.page import SongReport, write_report

pytestmark = NEEDS_BROWSER

HEARD = "return unbraidPlayer.parts.map(p => Math.round(p.gain.gain.value * 100) / 100)"


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


def test_players_of_a_song_stay_in_step_with_mute_and_solo(browser, tmp_path):
    folder = write_sounds(tmp_path / "song")
    parts = {stem: folder / f"{stem}.flac" for stem in STEMS}
    write_report(SongReport("song", folder / "mixture.flac", parts), tmp_path / "report.html")
    browser.size(1100, 900)
    browser.open((tmp_path / "report.html").as_uri())
    browser.press(" ")
    browser.wait("return unbraidPlayer.playing", 60)
    browser.wait("return unbraidPlayer.now() > 1")
    lengths = browser.run("return unbraidPlayer.parts.map(p => p.buffer.length)")
    assert len(set(lengths)) == 1
    browser.wait(f"{HEARD}.join() === '0,1,1,1,1'")
    browser.press("2")  # solo drums
    browser.wait(f"{HEARD}.join() === '0,1,0,0,0'")
    browser.press("b")  # the mixture instead
    browser.wait(f"{HEARD}.join() === '1,0,0,0,0'")
    browser.press("0")
    browser.click(".lane[data-part=vocals] [data-mute]")
    browser.wait(f"{HEARD}.join() === '0,1,1,1,0'")
    before = browser.run("return unbraidPlayer.now()")
    browser.press("Right")
    assert browser.run("return unbraidPlayer.now()") > before + 4.5
    browser.press(" ")
    browser.wait("return !unbraidPlayer.playing")
    at = browser.run("return unbraidPlayer.now()")
    assert browser.run("return Number(document.getElementById('seek').value)") == pytest.approx(
        at, abs=0.02
    )
    assert browser.complaints() == []


def test_pages_fit_a_phone_and_complain_of_nothing(browser, tmp_path):
    systems = [
        load_evaluation(write_evaluation(tmp_path / "a", sounds=tmp_path / "sounds", tracks=3)),
        load_evaluation(write_evaluation(tmp_path / "b", tracks=3, seed=1)),
    ]
    write_scores_report(systems, tmp_path / "report.html")
    for width in (360, 1100):
        browser.size(width, 800)
        browser.open((tmp_path / "report.html").as_uri())
        assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    browser.wait("return [...document.querySelectorAll('audio')].every(a => a.duration > 5.9)")
    assert browser.complaints() == []
