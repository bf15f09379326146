"""The command `separate`, in this process."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from small_songs import integers, noise, write_song

KEYS = [
    *("input", "status", "outputs", "seconds_audio", "seconds_wall", "peak_rss_mb"),
    *("null_test_db", "error"),
]


@pytest.fixture
def song(tmp_path):
    return write_song(tmp_path / "song.wav", noise(0.2))


def files(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.parts)
    )


@pytest.mark.parametrize("word", [[], ["separate"]])
def test_a_song_becomes_its_stems_with_and_without_the_word(unbraid_main, song, tmp_path, word):
    code, out, err = unbraid_main(*word, song)
    assert (code, out) == (0, "")
    assert files(tmp_path / "separated") == ["song/high.wav", "song/low.wav"]
    assert "1 done" in err


def test_one_json_object_a_song(unbraid_main, song, tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"not audio at all")
    code, out, _ = unbraid_main("song.wav", "bad.wav", "gone.wav", "--json", "--quiet")
    assert code == 1
    results = {line["input"]: line for line in map(json.loads, out.splitlines())}
    assert all(set(KEYS) <= set(line) for line in results.values())
    assert [results[n]["status"] for n in ("song.wav", "bad.wav", "gone.wav")] == [
        "done",
        "failed",
        "failed",
    ]
    assert results["song.wav"]["error"] is None
    assert results["song.wav"]["null_test_db"] < 0
    for path in results["song.wav"]["outputs"].values():
        assert Path(path).exists()


def test_a_bad_song_stops_no_other_and_is_one_line(unbraid_main, song, tmp_path):
    Path("empty.mp3").touch()
    Path("cut.wav").write_bytes(song.read_bytes()[:30])
    Path("list.m3u8").write_text("#EXTM3U\nsong.wav\n")
    code, _, err = unbraid_main("empty.mp3", "cut.wav", "list.m3u8", "song.wav", "--quiet")
    assert code == 1
    assert files(tmp_path / "separated") == ["song/high.wav", "song/low.wav"]
    lines = err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("unbraid: ") for line in lines)
    assert "Traceback" not in err


@pytest.mark.parametrize("wrong", ["0", "-1", "x", "1.5"])
def test_a_stream_has_a_number_from_1_on(unbraid_main, song, wrong):
    code, _, err = unbraid_main("song.wav", "--stream", wrong)
    assert code == 2 and "--stream" in err


def test_a_stream_that_is_not_there_is_told(unbraid_main, song):
    code, out, err = unbraid_main("song.wav", "--stream", 2, "--json")
    assert code == 1
    assert "'song.wav' has 1 audio stream, no number 2" in err
    code, out, _ = unbraid_main("song.wav", "--stream", 1, "--json", "--report")
    assert code == 0 and json.loads(out)["stream"] == 1


def test_a_folder_is_mirrored(unbraid_main, tmp_path):
    write_song(tmp_path / "music" / "a.wav", noise(0.1))
    write_song(tmp_path / "music" / "live" / "a.wav", noise(0.1))
    (tmp_path / "music" / "cover.jpg").touch()
    code, _, _ = unbraid_main("music", "--format", "flac", "--stems", "low")
    assert code == 0
    assert files(tmp_path / "separated") == ["a/low.flac", "live/a/low.flac"]


@pytest.mark.parametrize(
    "name",
    [
        "a b.wav",
        "-dash.wav",
        "new\nline.wav",
        "[bold]x[/].wav",
        "ü 音.wav",
        "a'b\"c.wav",
        ".dot.wav",
    ],
)
def test_odd_names_work_and_do_not_upset_the_terminal(unbraid_main, tmp_path, name):
    write_song(tmp_path / name, noise(0.1))
    code, out, err = unbraid_main("--json", "--", name)
    assert code == 0
    outputs = json.loads(out)["outputs"]
    assert all(Path(path).exists() and "\n" not in path for path in outputs.values())
    assert len(err.splitlines()) == 5  # the song, the table's two lines, the sum, the folder
    assert "\x1b" not in err


def test_an_undecodable_name_works(unbraid_main, tmp_path):
    name = os.fsdecode(b"bad\xff.wav")
    write_song(tmp_path / "plain.wav", noise(0.1)).rename(tmp_path / name)
    code, out, _ = unbraid_main(name, "--json")
    assert code == 0
    assert all(Path(path).exists() for path in json.loads(out)["outputs"].values())


def test_a_dry_run_writes_nothing_and_tells_the_cost(unbraid_main, song, tmp_path):
    before = files(tmp_path)
    code, out, err = unbraid_main("song.wav", "none.wav", "--dry-run", "--json")
    assert code == 1
    planned = next(line for line in map(json.loads, out.splitlines()) if line["error"] is None)
    assert planned["status"] == "planned"
    assert set(planned["estimate"]) == {"seconds_wall", "memory_mb", "disk_mb"}
    assert files(tmp_path) == before
    assert "MB of memory" in err


def test_a_segment_longer_than_the_song_takes_no_memory(unbraid_main, song):
    def memory_mb(*options: str) -> float:
        _, out, _ = unbraid_main("song.wav", "--dry-run", "--json", *options)
        return json.loads(out)["estimate"]["memory_mb"]

    assert memory_mb("--segment", "3600") < 1.5 * memory_mb()


def test_songs_that_are_done_are_skipped(unbraid_main, song):
    unbraid_main("song.wav")
    _, out, _ = unbraid_main("song.wav", "--skip-existing", "--json")
    assert json.loads(out)["status"] == "skipped"
    _, out, _ = unbraid_main("song.wav", "--skip-existing", "--json", "--dry-run")
    assert json.loads(out)["status"] == "skipped"


def test_shards_share_all_songs_out_and_keep_their_names(unbraid_main, tmp_path):
    for name in ("a/s.wav", "b/s.wav", "c.wav"):
        write_song(tmp_path / name, noise(0.05))
    seen = []
    for shard in ("1/2", "2/2"):
        code, out, _ = unbraid_main("a", "b", "c.wav", "--shard", shard, "--json")
        assert code == 0
        seen += [json.loads(line)["outputs"]["low"] for line in out.splitlines()]
    assert sorted(seen) == [
        "separated/c/low.wav",
        "separated/s.wav/low.wav",
        "separated/s/low.wav",
    ]
    assert unbraid_main("c.wav", "--shard", "2/2", "-o", "other")[0] == 0


def test_the_same_bytes_in_any_company(unbraid_main, tmp_path):
    for number in range(3):
        write_song(tmp_path / f"{number}.wav", noise(0.1, seed=number))
    unbraid_main("0.wav", "1.wav", "2.wav", "-o", "all", "--shifts", "1")
    unbraid_main("1.wav", "-o", "one", "--shifts", "1")
    for stem in ("low", "high"):
        assert Path(f"all/1/{stem}.wav").read_bytes() == Path(f"one/1/{stem}.wav").read_bytes()


def test_two_stems_and_residual_add_up(unbraid_main, song):
    for options in (["--two-stems", "low"], ["--residual"], ["--stems", "low", "--residual"]):
        _, out, _ = unbraid_main("song.wav", *options, "--json", "-o", f"out{len(options)}")
        paths = json.loads(out)["outputs"].values()
        np.testing.assert_array_equal(sum(integers(Path(p)) for p in paths), integers(song))


@pytest.mark.parametrize(
    "options",
    [
        ["--stems", "vocals"],
        ["--filename", "{song}/{stem}"],
        ["--filename", "../{stem}"],
        ["--overlap", "1"],
        ["--segment", "-1"],
        ["--segment", "0.001"],
        ["--device", "cuda:9"],
        ["--precision", "fp16", "--device", "cpu"],
        ["--max-memory", "much"],
        ["--max-memory", "1MB"],
        ["--float32", "--bit-depth", "16"],
        ["--mp3-bitrate", "320"],
        ["--format", "mp3", "--bit-depth", "24"],
    ],
)
def test_a_wrong_request_is_one_line_and_2(unbraid_main, song, options):
    code, out, err = unbraid_main("song.wav", *options)
    assert (code, out) == (2, "")
    assert err.startswith("unbraid: ")
    assert err.count("\n") == 1
    assert not Path("separated").exists()


def test_an_unknown_model_is_a_wrong_request(song, capsys, monkeypatch):
    from unbraid.cli.main import main

    assert main([str(song), "-m", "no such model"]) == 2
    assert "no such model" in capsys.readouterr().err


def test_what_is_in_the_way_is_kept_unless_told(unbraid_main, song):
    Path("separated/song").mkdir(parents=True)
    Path("separated/song/low.wav").write_text("mine")
    code, _, err = unbraid_main("song.wav", "--quiet")
    assert code == 1
    assert "--overwrite" in err
    assert Path("separated/song/low.wav").read_text() == "mine"
    assert not Path("separated/song/high.wav").exists()
    assert unbraid_main("song.wav", "--overwrite")[0] == 0


def test_quiet_is_quiet(unbraid_main, song):
    assert unbraid_main("song.wav", "--quiet") == (0, "", "")


def test_a_report_lies_beside_the_stems(unbraid_main, song):
    assert unbraid_main("song.wav", "--report", "--residual")[0] == 0
    page = Path("separated/song/report.html").read_text()
    for stem in ("low", "high", "residual"):
        assert f"{stem}.wav" in page
    assert "null test" in page.lower()
    assert not re.search(r'(src|href)="https?:', page)


def test_a_report_is_named_after_its_song_where_songs_share_a_folder(unbraid_main, tmp_path):
    for name in ("a", "b"):
        write_song(tmp_path / f"{name}.wav", noise(0.1))
    code, _, _ = unbraid_main("a.wav", "b.wav", "--report", "--filename", "{track}-{stem}.{ext}")
    assert code == 0
    assert {"a-report.html", "b-report.html"} <= set(files(Path("separated")))


def test_a_current_report_of_skipped_songs_is_left_alone(unbraid_main, song):
    command = ("song.wav", "--skip-existing", "--report", "-v")
    page = Path("separated/song/report.html")
    assert unbraid_main(*command)[0] == 0
    first = page.stat()
    code, _, err = unbraid_main(*command)
    assert (code, page.stat().st_mtime_ns) == (0, first.st_mtime_ns)
    assert "1 skipped" in err
    assert f"report: {page}" in err


@pytest.mark.parametrize("change", ["no page", "another page", "moved song", "other stems"])
def test_a_report_that_is_not_current_is_written_again(unbraid_main, song, change):
    page = Path("separated/song/report.html")
    assert unbraid_main("song.wav", "--report")[0] == 0
    name = "song.wav"
    if change == "no page":
        page.unlink()
    elif change == "another page":
        page.write_text(page.read_text().replace("unbraid-about", "unbraid-of-old"))
    elif change == "moved song":
        name = "elsewhere/song.wav"
        Path("elsewhere").mkdir()
        Path("song.wav").rename(name)
    else:
        assert unbraid_main(name, "--overwrite", "--shifts", "1")[0] == 0
    before = page.stat() if page.exists() else None
    settings = ("--shifts", "1") if change == "other stems" else ()
    code, _, err = unbraid_main(name, "--skip-existing", "--report", *settings)
    assert code == 0
    assert "1 skipped" in err
    assert before is None or page.stat().st_mtime_ns > before.st_mtime_ns


def test_a_page_of_someone_else_is_kept(unbraid_main, song):
    Path("separated/song").mkdir(parents=True)
    Path("separated/song/report.html").write_text("mine")
    code, _, err = unbraid_main("song.wav", "--report", "--quiet")
    assert code == 1
    assert "not a report of unbraid" in err
    assert Path("separated/song/report.html").read_text() == "mine"


def test_the_bars_of_a_terminal_work(unbraid_main, song, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    write_song(Path("[red]two.wav"), noise(0.1))
    code, _, err = unbraid_main("song.wav", "[red]two.wav", "gone.wav")
    assert code == 1
    assert "2 done, 1 failed" in err
    assert "[red]two.wav" in err


def test_missing_kernels_are_told_in_one_line(unbraid_main, song, monkeypatch):
    monkeypatch.delenv("UNBRAID_RUNTIME", raising=False)
    missing = "this installation has no kernels"
    monkeypatch.setattr("unbraid.engines.choose._native_missing", lambda *place: missing)
    code, _, err = unbraid_main(str(song), "--out", "out")
    told = [line for line in err.splitlines() if missing in line]
    assert code == 0 and len(told) == 1 and "compiler" in told[0]
