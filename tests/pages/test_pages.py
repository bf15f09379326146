from __future__ import annotations

import json
import re
from functools import partial
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile
from small_evaluations import STEMS, write_evaluation, write_sounds

from figures import check_figures, embedded_data
from unbraid.cli.main import main
from unbraid.errors import AudioWriteError
from unbraid.evaluation import page_data
from unbraid.evaluation.baselines import BASELINES
from unbraid.evaluation.page import render_scores
from unbraid.evaluation.page_data import load_evaluation
from unbraid.pages.charts import Row, box_of, chart
from unbraid.pages.page import Figures, embedded, plain, pointer
from unbraid.pages.previews import choose_preview, encode_excerpt, read_spans
from unbraid.song_page.hints import hints_of_files
from unbraid.song_page.page import SongReport, render_report, write_report


class Addresses(HTMLParser):
    """Everything a page would load."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("src", "href", "srcset", "action", "poster"):
                self.found.append((tag, value))


def loaded(page):
    parser = Addresses()
    parser.feed(page)
    return parser.found


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    folder = write_sounds(tmp_path_factory.mktemp("song"), seconds=3.0)
    parts = {stem: folder / f"{stem}.flac" for stem in STEMS}
    return SongReport(
        title="A </script> & song\u2028.ogg",
        mixture=folder / "mixture.flac",
        parts=parts,
        result={"null_test_db": -91.256, "gain_db": 0.0, "channels": 2, "seconds_audio": 3.0},
        hints=hints_of_files(folder / "mixture.flac", parts),
        notes=["Mind <this>."],
        settings={"overlap": "0.25", "shifts": 0},
        provenance={"model": "mini"},
    ), folder


@pytest.fixture(scope="module")
def song_page(song):
    return render_report(song[0], song[1])


@pytest.fixture(scope="module")
def evaluations(tmp_path_factory):
    root = tmp_path_factory.mktemp("scores")
    sounds = root / "sounds"
    first = write_evaluation(root / "ours", better=1.0, sounds=sounds)
    second = write_evaluation(root / "theirs", seed=1, leaked="it was trained on this very set")
    return first, second


@pytest.fixture(scope="module")
def scores_page(evaluations):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_data, "compare", partial(page_data.compare, resamples=100))
        return render_scores([load_evaluation(folder) for folder in evaluations], "Both")


def test_every_figure_of_a_song_is_in_its_data(song, song_page):
    data = embedded_data(song_page)
    assert check_figures(song_page, data) > 30
    report = song[0]
    assert data["result"] == report.result
    assert data["hints"] == report.hints.as_dict()
    sound, _ = soundfile.read(report.parts["bass"])
    assert data["parts"]["bass"]["peak_db"] == pytest.approx(20 * np.log10(np.abs(sound).max()))
    assert data["parts"]["bass"]["rms_db"] == pytest.approx(10 * np.log10(np.mean(sound**2)))


def test_every_figure_of_an_evaluation_is_in_its_files(evaluations, scores_page):
    data = embedded_data(scores_page)
    assert check_figures(scores_page, data) > 200
    for folder, system in zip(evaluations, data["systems"], strict=True):
        summary = json.loads((folder / "summary.json").read_text())
        assert system["name"] == summary["system"]
        assert system["leaked"] == summary["leaked"]
        assert system["figures"] == summary["figures"]
        assert system["baselines"] == summary["baselines"]
        for track, stems in summary["per_track"].items():
            for stem, scores in stems.items():
                shown = system["tracks"][track]["stems"][stem]
                assert shown["nSDR"] == pytest.approx(scores["nSDR"], abs=1e-6)
                assert shown["cSDR"] == pytest.approx(scores["cSDR"], abs=1e-6)
    (comparison,) = data["comparisons"]
    assert 0.7 < comparison["figures"]["uSDR"]["all"]["value"] < 1.3
    assert comparison["figures"]["uSDR"]["all"]["wins"] == 6


def test_pages_load_nothing(song_page, scores_page):
    for page in (song_page, scores_page):
        for tag, address in loaded(page):
            assert address.startswith("data:") or (tag == "a" and address.startswith("./")), tag
        assert "default-src 'none'" in page
        assert not re.search(r"https?://(?!www\.w3\.org)", re.sub(r"data:[^\"]*", "", page))


def test_no_name_can_break_out_of_the_page(song_page, scores_page):
    assert "A </script>" not in song_page and "<this>" not in song_page
    assert "song 1 <b>" not in scores_page
    assert "a &amp; b" in scores_page


def test_a_leaked_model_is_marked_wherever_its_scores_stand(scores_page):
    assert "these scores say nothing" in scores_page
    assert scores_page.count("theirs (has seen these songs)") >= 4
    assert scores_page.count("ours (has seen these songs)") == 0


def test_baselines_stand_around_the_system_that_has_them(scores_page):
    (ours, theirs) = embedded_data(scores_page)["systems"]
    assert (list(ours["baselines"]), theirs["baselines"]) == (list(BASELINES), {})
    assert scores_page.count(">signal processing</th>") == 2  # uSDR and cSDR
    assert [one["stem"] for one in ours["unbeaten"]] == ["vocals"]
    assert scores_page.count("is no better than") == 1


def test_worst_excerpts_have_players_where_files_are(scores_page):
    data = embedded_data(scores_page)
    assert len(data["excerpts"]) == 2 * len(STEMS) * 2
    assert scores_page.count("<audio") == 3 * len(STEMS) * 2  # of one system only
    for excerpt in data["excerpts"]:
        assert excerpt["seconds"] == 6.0


def test_published_results_stand_beside_ours_and_say_what_differs(scores_page):
    assert "KUIELAB-MDX-Net" in scores_page and "7.68" in scores_page
    assert "measured on 6 tracks of another set" in scores_page


def test_a_song_of_four_minutes_stays_below_10_mb():
    for parts in (3, 5, 6, 8):
        preview = choose_preview(240.0, parts, 2)
        assert preview.seconds == 240.0
        assert parts * preview.kbps * 1000 / 8 * 240 * 4 / 3 < 8_700_000
    long = choose_preview(3600.0, 5, 2)
    assert 300 < long.seconds < 3600


def test_previews_of_all_parts_have_the_same_length(tmp_path):
    import av

    lengths = set()
    for level in (0.0, 0.5):
        mp3 = encode_excerpt(np.full((2, 12345), level, np.float32), 44100)
        (tmp_path / "a.mp3").write_bytes(mp3)
        with av.open(str(tmp_path / "a.mp3")) as file:
            lengths.add(sum(frame.samples for frame in file.decode(audio=0)))
    assert len(lengths) == 1 and abs(lengths.pop() - 12345) < 1500


def test_spans_are_read_where_they_are(tmp_path):
    ramp = np.arange(5000) / 10000
    soundfile.write(tmp_path / "ramp.wav", ramp, 8000, subtype="FLOAT")
    pieces = read_spans(tmp_path / "ramp.wav", [(100, 50), (4990, 100), (6000, 5)])
    np.testing.assert_allclose(pieces[0][0], ramp[100:150], atol=1e-7)
    assert [piece.shape[1] for piece in pieces] == [50, 10, 0]


def test_only_our_own_pages_are_replaced(tmp_path):
    soundfile.write(tmp_path / "beep.wav", np.zeros((800, 1)), 8000)
    small = SongReport("beep", tmp_path / "beep.wav", {})
    path = tmp_path / "report.html"
    path.write_text("mine")
    with pytest.raises(AudioWriteError, match="not a report of unbraid"):
        write_report(small, path)
    assert path.read_text() == "mine"
    write_report(small, path, overwrite=True)
    write_report(small, path)


def test_the_command_writes_either_page(evaluations, song, tmp_path, capsys):
    out = tmp_path / "page.html"
    assert main(["report", f"b={evaluations[1]}", "-o", str(out)]) == 0
    assert embedded_data(out.read_text())["systems"][0]["name"] == "b"
    assert main(["report", str(song[1]), "-o", str(out)]) == 0
    assert list(embedded_data(out.read_text())["parts"]) == ["mixture", *STEMS]
    assert main(["report", str(tmp_path / "none")]) == 2
    assert main(["report", str(evaluations[0]), str(evaluations[0])]) == 2
    assert "the same name" in capsys.readouterr().err


def test_boxes_are_tukeys():
    box = box_of([1, 2, 3, 4, 5, 6, 7, 8, 30])
    assert (box.median, box.low, box.high, box.least, box.most) == (5, 3, 7, 1, 8)
    assert box.outliers == (30.0,) and box_of([]) is None
    assert box_of([2.0]).median == 2.0


def test_charts_hold_any_values():
    rows = [
        Row("a<b", "a: 1", 0, 1.0, 0.5, 1.5, group="g"),
        Row("none", "nothing", 1, None),
        Row("box", "box", 2, 0.0, -1.0, 1.0, -2.0, 2.0, (9.0,)),
        Row("point", "point", 3, 4.0),
    ]
    svg = chart(rows, "dB", "a chart")
    assert svg.count("<title>") == 4 and "a&lt;b" in svg and "nan" not in svg
    assert "<svg" in chart([], "dB", "empty")
    assert "<svg" in chart([Row("x", "x", 0, 3.0)], "dB", "one value")


def test_pointers_reach_any_name():
    data = {"a/b~c": [{"x": None}]}
    assert Figures(data).at(pointer("a/b~c", 0, "x")) is None
    assert Figures(data).show(pointer("a/b~c", 0, "x"), none="–").endswith(">–</data>")


def test_no_text_ends_the_block_of_data():
    text = embedded(plain({"title": "</script><!--", "x": float("nan")}))
    assert "</script>" not in text and "<!--" not in text
    assert json.loads(text) == {"title": "</script><!--", "x": None}
