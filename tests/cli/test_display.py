"""What a person sees of a run: the bar of the whole job, and the last lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from unbraid.api import TrackResult
from unbraid.cli.display import LiveDisplay, PlainDisplay, clock, endings
from unbraid.separation.progress import Progress


def done(song: str, folder: str) -> TrackResult:
    outputs = {stem: Path(folder) / f"{stem}.wav" for stem in ("drums", "vocals")}
    return TrackResult(song, "done", outputs, 132.6, 10.0, null_test_db=-332.6, gain_db=0.0)


def fractions(display: LiveDisplay, stages: list[tuple[str, float]]) -> list[float]:
    """How much of the song's bar is full after each report of progress."""
    found = []
    for stage, fraction in stages:
        display.progress(Progress(stage, fraction, None))
        found.append(display._bars.tasks[-1].completed)
    return found


def test_a_run_ends_by_saying_where_the_stems_are_and_what_to_try(capsys):
    for kind in (PlainDisplay, LiveDisplay):
        kind(1).summary([done("song.mp3", "separated/song")])
    plain, _, live = capsys.readouterr().err.partition("stems:  separated/song/\n")
    assert "next:" not in plain
    assert live.rstrip().splitlines()[-1].startswith("next:   --report")


def test_with_a_report_its_page_is_named(capsys):
    display = LiveDisplay(1, report=True)
    display.page(Path("separated/song/report.html"))
    display.summary([done("song.mp3", "separated/song")])
    told = capsys.readouterr().err.splitlines()
    assert told[-2] == "report: separated/song/report.html"
    assert "browser" in told[-1]


def test_several_songs_share_one_line():
    results = [done("a.mp3", "out/a"), done("b.mp3", "out/b"), TrackResult("c.mp3", "failed")]
    assert list(endings(results, [], advice=False)) == ["stems:  out/"]
    assert list(endings([TrackResult("c.mp3", "failed")], [], advice=True)) == []


def test_the_reason_of_a_failure_is_told_once(capsys):
    wrong = TrackResult("c.mp3", "failed", error="'c.mp3' is empty")
    for others in ([done("a.mp3", "out/a")], [], [wrong]):
        display = PlainDisplay(2)
        display.end(wrong)
        display.summary([*others, wrong])
        told = capsys.readouterr().err
        assert told.count("is empty") == 1
        assert ("result" in told) == (others == [done("a.mp3", "out/a")])


@pytest.mark.parametrize(("report", "last"), [(False, 1.0), (True, pytest.approx(0.4))])
def test_the_bar_covers_the_writing_and_the_report(report, last):
    display = LiveDisplay(1, report=report)
    with display:
        display.begin("song.mp3")
        stages = [("read", 0.0), ("separate", 0.5), ("write", 0.97), ("write", 1.0)]
        found = fractions(display, stages)
        assert found == sorted(found) and found[-1] == last
        if report:
            found += fractions(display, [("report", 0.0), ("report", 0.5), ("report", 1.0)])
            assert found == sorted(found) and found[-1] == 1.0


def test_a_report_bears_the_name_of_its_song():
    with LiveDisplay(2, report=True) as display:
        display.begin("first.mp3")
        display.begin("second.mp3")
        display.progress(Progress("report", 0.5, None), song="first.mp3")
        assert display._bars.tasks[-1].fields["name"] == "first.mp3: report"


def test_an_exact_null_test_says_so(capsys):
    PlainDisplay(1).end(done("song.mp3", "separated/song"))
    assert "null test exact" in capsys.readouterr().err


@pytest.mark.parametrize("columns", [30, 80, 120])
def test_the_table_breaks_no_path(monkeypatch, capsys, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    songs = ["x/" * 100 + "long name [live].mp3", "c.mp3"]
    PlainDisplay(2).summary([done(songs[0], "out/x"), TrackResult(songs[1], "failed")])
    head, *rows = capsys.readouterr().err.splitlines()[:3]
    start = head.index("song")
    assert [row[start:] for row in rows] == songs
    assert head.split() == ["result", "length", "time", "speed", "gain", "null", "test", "song"]
    assert rows[0].split()[:6] == ["done", "2:12", "10.0", "s", "13.3x", "0.0"]


def test_a_length_is_what_players_show():
    assert (clock(132.6), clock(59.94), clock(59.99), clock(3599.9)) == (
        "2:12",
        "59.9 s",
        "1:00",
        "59:59",
    )
