"""A whole rater, through the real page in a real browser."""

from __future__ import annotations

import json
import threading
import time

import pytest
from small_studies import small_study

from chromium import NEEDS_BROWSER, chromium
from unbraid.listening.analysis import analyse
from unbraid.listening.ratings import read_answers
from unbraid.listening.server import ListeningServer

pytestmark = NEEDS_BROWSER

WANTED = {"truth": (5, 5), "good": (4, 3), "bad": (2, 1)}
HEADING = "return document.querySelector('h1')?.textContent"


@pytest.fixture
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def served(tmp_path):
    def serve(**settings):
        _, folder = small_study(tmp_path, **settings)
        server = ListeningServer(folder, port=0)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        started.append((server, thread))
        return server, folder

    started = []
    yield serve
    for server, thread in started:
        server.shutdown()
        thread.join()
        server.close()


def current_trial(browser, study):
    """The trial on the screen, by the page's own words."""
    browser.wait("return document.getElementById('next')")
    playlist = study.playlists[browser.run("return unbraidListen.state.playlist")]
    kind, number = browser.wait(HEADING).split(" of ")[0].split()
    practice = sum(trial.practice for trial in playlist)
    return playlist[int(number) - 1 + (0 if kind == "Practice" else practice)]


def begin(browser, url):
    """Open the page and begin to rate."""
    browser.open(url)
    browser.wait("return document.getElementById('begin')")
    browser.click("#begin")


def rate_by_keys(browser, study, trial):
    """Listen, then answer both questions as we know the system deserves."""
    heading = browser.run(HEADING)
    browser.press(" ")
    browser.wait("return !document.querySelector('fieldset').disabled", 60)
    for value in WANTED[study.sounds[trial.sounds[0]].system]:
        browser.press(str(value))
    browser.wait("return !document.getElementById('next').disabled")
    browser.press("Enter")
    browser.wait(f"return document.querySelector('h1').textContent !== {json.dumps(heading)}")


def test_a_rater_rates_a_whole_study_by_keyboard_and_goes_on_after_a_break(browser, served):
    server, folder = served(samples=6)
    study = server.study
    begin(browser, server.url)
    for number in range(len(study.playlists[0])):
        trial = current_trial(browser, study)
        assert trial is study.playlists[0][number]
        rate_by_keys(browser, study, trial)
        if number == 3:  # closes the page, comes back
            browser.open("about:blank")
            browser.open(server.url)
            browser.wait(HEADING)
            assert current_trial(browser, study) is study.playlists[0][4]
    browser.wait("return document.querySelector('h1').textContent === 'Thank you'")
    browser.wait("return document.getElementById('status').textContent === 'All answers are kept.'")
    assert "You can close this page" in browser.run(
        "return document.getElementById('farewell').textContent"
    )
    answers = read_answers(study, folder)
    assert len(answers) == 6 * 2
    for answer in answers:
        assert answer.value == WANTED[answer.system][study.question_names.index(answer.question)]
        assert answer.listened_s > 0.5
    assert analyse(study, answers)["excluded"] == {}
    assert browser.complaints() == []


def test_answers_wait_for_a_server_that_is_away(browser, served):
    server, _ = served(samples=2, practice=0)
    begin(browser, server.url)
    trial = current_trial(browser, server.study)
    rate, server.store.rate = server.store.rate, lambda *_: 1 / 0
    rate_by_keys(browser, server.study, trial)
    browser.wait("return document.getElementById('status').textContent.includes('not kept yet')")
    server.store.rate = rate
    browser.wait("return document.getElementById('status').textContent === 'All answers are kept.'")
    token, *_ = server.store.raters()[0]
    assert len(server.store.ratings(token)) == 2


def test_a_study_without_a_server_exports_its_answers(browser, tmp_path):
    study, folder = small_study(tmp_path, samples=3)
    begin(browser, (folder / "public" / "index.html").as_uri() + "?rater=2")
    for number in range(len(study.playlists[1])):
        trial = current_trial(browser, study)
        assert trial is study.playlists[1][number]
        rate_by_keys(browser, study, trial)
    browser.wait("return document.getElementById('export')")
    content = browser.run("return JSON.stringify(unbraidListen.exported())")
    browser.click("#export")
    (tmp_path / "sent.json").write_text(content)
    answers = read_answers(study, folder, [tmp_path / "sent.json"])
    assert len(answers) == 6
    for answer in answers:
        assert answer.value == WANTED[answer.system][study.question_names.index(answer.question)]
    assert browser.complaints() == []


def test_sliders_side_by_side(browser, served):
    server, folder = served(mode="mushra", samples=1, practice=0)
    begin(browser, server.url)
    trial = current_trial(browser, server.study)
    browser.press("r")
    browser.wait("return document.getElementById('play').textContent === 'Pause'")
    for letter in "abcd"[: len(trial.sounds)]:
        browser.press(letter)
        pressed = f"[data-letter={letter.upper()}][aria-pressed=true]"
        browser.wait(f"return document.querySelector('{pressed}')")
        browser.press("Right")
        time.sleep(0.1)
    browser.wait("return !document.getElementById('next').disabled")
    browser.press("Enter")
    browser.wait("return document.querySelector('h1').textContent === 'Thank you'")
    browser.wait("return document.getElementById('status').textContent === 'All answers are kept.'")
    answers = read_answers(server.study, folder)
    assert sorted(answer.system for answer in answers) == sorted(server.study.systems)
    assert {answer.value for answer in answers} == {51.0}
    assert browser.complaints() == []


def test_the_page_fits_a_phone(browser, served):
    server, _ = served(samples=2)
    browser.size(360, 700)
    begin(browser, server.url)
    browser.wait("return document.querySelector('fieldset')")
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    smallest = "Math.min(...[...document.querySelectorAll('button,.choices label')]"
    assert browser.run(f"return {smallest}.map(e => e.getBoundingClientRect().height))") >= 44
