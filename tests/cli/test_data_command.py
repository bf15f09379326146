"""The command `data`, in this process."""

from __future__ import annotations

import json

import pytest

from data.datasets import RATE, make_dataset, noise, write
from figures import check_figures
from unbraid.data.check import check_dataset
from unbraid.data.page import data_page


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path / "cache"))


def test_check_gives_a_table_a_page_and_json(unbraid_main, tmp_path):
    root = make_dataset(tmp_path / "data", {"A": RATE * 2, "<B>": RATE * 2})
    code, out, err = unbraid_main("data", "check", root, "--report", "page.html")
    assert code == 0
    assert "train: 2 tracks" in out
    assert "drums" in out
    assert "page.html" in out
    assert err.splitlines()[1] == "[2/2] train/A: ok"
    page = (tmp_path / "page.html").read_text()
    assert "<B>" not in page
    assert "http" not in page.replace('http-equiv="Content', "").replace("www.w3.org", "")
    code, out, err = unbraid_main("data", "check", root, "--json", "--quiet")
    assert (code, err) == (0, "")
    assert [track["name"] for track in json.loads(out)["tracks"]] == ["<B>", "A"]


def test_every_figure_of_the_page_is_in_its_data(tmp_path):
    root = make_dataset(tmp_path / "data", {"A": RATE * 2, "B": RATE * 2})
    write(root / "train/B/drums.wav", 0 * noise(RATE * 2, 1))
    found = check_dataset(root)
    plain = json.loads(json.dumps(found.plain()))
    also = {"version", "stems", "totals"}
    assert check_figures(data_page(found).render(), plain, also) > 20


def test_a_problem_is_told_and_code_1(unbraid_main, tmp_path):
    root = make_dataset(tmp_path / "data", {"A": 1000, "B": 1000})
    write(root / "train/B/drums.wav", noise(999, 1))
    code, out, _ = unbraid_main("data", "check", root, "--report", "page.html")
    assert code == 1
    assert "not fit for training: 1 of 2 tracks" in out
    assert "lengths differ" in (tmp_path / "page.html").read_text()


def test_pages_of_others_are_not_replaced(unbraid_main, tmp_path):
    root = make_dataset(tmp_path / "data", {"A": 1000})
    (tmp_path / "page.html").write_text("mine")
    code, _, err = unbraid_main("data", "check", root, "--quiet", "--report", "page.html")
    assert code == 2
    assert "not a report of unbraid" in err
    assert (tmp_path / "page.html").read_text() == "mine"


def test_songs_are_made_and_not_made_again(unbraid_main, tmp_path):
    words = ("data", "songs", "out", "--songs", 1, "--seconds", "4,4", "--workers", 1)
    words += ("--low-end", 1)  # voices take seconds to sing
    code, out, err = unbraid_main(*words, "--format", "wav")
    assert code == 0
    assert "out: 1 song, 0.1 min; 1 made now" in out
    assert "note: songs are made without" in err
    assert "train/song-0000: 4 s" in err
    assert len(list((tmp_path / "out/train/song-0000").glob("*.wav"))) == 4
    code, out, err = unbraid_main(*words, "--format", "wav", "--quiet")
    assert (code, err) == (0, "")
    assert "1 song, 0.1 min; 0 made now" in out
    code, _, err = unbraid_main(*words, "--quiet")
    assert code == 2
    assert err == "unbraid: 'out' was begun with other format; give the same, or another folder\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["songs"], "required"),
        (["songs", "out", "--songs", "0"], "a number of at least 1"),
        (["songs", "out", "--seconds", "x"], "two numbers of seconds"),
        (["songs", "out", "--low-end", "1.5"], "a number from 0 to 1"),
        (["songs", "out", "--ingredients", "none"], "no folder of ingredients"),
        (["songs", "out", "--songs", "3", "--valid", "3"], "are for validation"),
        (["check", "none"], "does not exist"),
        (["what"], "unbraid data takes songs, check, automix, bench; got 'what'"),
        ([], "required"),
    ],
)
def test_a_wrong_request_is_one_line_and_code_2(unbraid_main, words, said):
    code, out, err = unbraid_main("data", *words)
    assert (code, out) == (2, "")
    assert said in err.splitlines()[-1]
    assert "Traceback" not in err


def test_mixes_are_made_and_not_made_again(unbraid_main, tmp_path):
    from songs.test_automix import song

    for name, tempo in (("A", 100.0), ("B", 110.0)):
        song(tmp_path / "data", name, tempo, 55.0)
    words = ("data", "automix", "data", "--out", "out", "--copies", 1, "--workers", 1)
    code, out, err = unbraid_main(*words)
    assert code == 0
    assert "out: 2 mixes, 0.2 min, 0 plain copies; 2 made now" in out
    assert "[2/2] train/B mix 1: bass of " in err
    code, out, err = unbraid_main(*words, "--quiet")
    assert (code, err) == (0, "")
    assert "0 made now" in out


def test_the_speed_of_reading_is_told(unbraid_main, tmp_path):
    make_dataset(tmp_path / "data", {"A": RATE * 4})
    words = ("data", "bench", "data", "--excerpt", 1, "--seconds", 0.05, "--sample-rate", RATE)
    code, out, _ = unbraid_main(*words)
    assert code == 0
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["files", "cache"]
    assert all(float(line.split()[1]) > 0 for line in lines[1:3])


def test_what_has_to_be_installed_is_said(unbraid_main, monkeypatch):
    from unbraid.cli import data

    def lacks(options):
        raise ModuleNotFoundError("No module named 'scipy.signal'", name="scipy.signal")

    monkeypatch.setitem(data._ACTIONS, "songs", (data._ACTIONS["songs"][0], lacks, ""))
    code, _, err = unbraid_main("data", "songs", "out")
    assert code == 2
    assert err.startswith("unbraid: this needs scipy, which is not installed: pip install ")
    assert err.endswith("in a copy of the repository pip install '.[songs]'\n")
