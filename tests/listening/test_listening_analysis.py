from __future__ import annotations

import csv
import itertools
import json
import random
from dataclasses import astuple

import numpy as np
import pytest
from small_studies import silent_study, small_study

from unbraid.errors import SettingsError
from unbraid.listening.analysis import ALL, analyse
from unbraid.listening.ratings import Answer, read_answers
from unbraid.listening.results import write_results
from unbraid.listening.simulate import simulate_raters
from unbraid.listening.statistics import (
    RaterBootstrap,
    holm,
    krippendorff_alpha,
    wilcoxon_signed_rank,
)
from unbraid.listening.store import FILE, Rating, Store

LIKED = {
    "truth": {"quality": 4.5, "contamination": 4.6},
    "good": {"quality": 3.4, "contamination": 3.0},
    "bad": {"quality": 2.2, "contamination": 3.0},
}


def send(folder, exports):
    """Put files that raters sent where the analysis finds them."""
    (folder / "exports").mkdir()
    for number, export in enumerate(exports):
        (folder / "exports" / f"{number:03}.json").write_text(json.dumps(export))


def rows_of(path):
    """A CSV file as dicts."""
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """20 raters of whom the last two answer anything."""
    folder = tmp_path_factory.mktemp("simulated")
    study = silent_study(folder, raters=20)
    send(folder, simulate_raters(study, LIKED, 20, careless=2, seed=4))
    answers = read_answers(study, folder)
    return study, folder, answers, analyse(study, answers)


def test_twenty_simulated_raters_are_understood(simulated):
    _, _, _, analysis = simulated
    assert set(analysis["excluded"]) == {"r19", "r20"}
    for question, systems in analysis["means"].items():
        for system, cells in systems.items():
            cell = cells[ALL]
            # The scale ends at 5, which pulls a mean near it down a little.
            assert cell["low"] - 0.3 < LIKED[system][question] < cell["high"] + 0.3
            assert cell["high"] - cell["low"] < 1.0
            assert cell["raters"] == 18
    found = {
        (pair["question"], pair["better"], pair["worse"]): pair["p_holm"]
        for pair in analysis["pairs"]
    }
    for better, worse in (("truth", "good"), ("truth", "bad"), ("good", "bad")):
        assert found[("quality", better, worse)] < 0.01
    assert found[("contamination", "truth", "bad")] < 0.01
    alike = [p for (q, a, b), p in found.items() if q == "contamination" and "truth" not in (a, b)]
    assert alike[0] > 0.05
    assert 0.3 < analysis["agreement"]["quality"]["alpha"] < 0.9


def test_practice_does_not_count(tmp_path):
    study, folder = small_study(tmp_path, samples=3, practice=2)
    send(folder, simulate_raters(study, LIKED, 2))
    answers = read_answers(study, folder)
    assert len(answers) == 2 * 3 * 2
    practice = [trial for playlist in study.playlists for trial in playlist if trial.practice]
    assert len(practice) == 2 * 5


def test_every_figure_on_the_page_is_in_the_json(simulated, tmp_path):
    from figures import check_figures

    study, _, answers, analysis = simulated
    paths = {path.name: path for path in write_results(analysis, answers, tmp_path)}
    data = json.loads(paths["analysis.json"].read_text())
    shown = check_figures(paths["report.html"].read_text(), data, also={"paper"})
    assert shown > 60
    rows = rows_of(paths["means.csv"])
    assert len(rows) == 2 * 3 * (1 + len(study.stems))
    for row in rows:
        cell = data["means"][row["question"]][row["system"]][row["stem"]]
        assert float(row["mean"]) == cell["mean"] and float(row["low"]) == cell["low"]
    assert len(rows_of(paths["ratings.csv"])) == len(answers)
    assert len(rows_of(paths["pairs.csv"])) == 6


def test_the_database_counts_like_exported_files(tmp_path):
    study, folder = small_study(tmp_path, samples=2)
    (export,) = simulate_raters(study, LIKED, 1)
    (tmp_path / "sent.json").write_text(json.dumps(export))
    by_file = read_answers(study, folder, [tmp_path / "sent.json", tmp_path / "sent.json"])
    store = Store(folder / FILE)
    token, playlist = store.join({})
    assert playlist == 0
    for rating in export["ratings"]:
        store.rate(token, Rating(**rating))
    by_database = read_answers(study, folder)
    assert sorted(map(astuple, by_database)) == sorted(map(astuple, by_file))
    assert len(by_file) == 4


def test_files_of_other_studies_are_refused(simulated, tmp_path):
    study, _, _, _ = simulated
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"unbraid_listening": 1, "study": "no", "ratings": []}))
    with pytest.raises(SettingsError, match="another study"):
        read_answers(study, tmp_path, [path])
    path.write_text("[]")
    with pytest.raises(SettingsError, match="not a file of ratings"):
        read_answers(study, tmp_path, [path])
    with pytest.raises(SettingsError, match="no ratings yet"):
        analyse(study, [])


def test_careless_raters_are_mostly_left_out_and_careful_ones_kept(tmp_path):
    study = silent_study(tmp_path, samples=15, raters=40)
    send(tmp_path, simulate_raters(study, LIKED, 40, careless=20))
    analysis = analyse(study, read_answers(study, tmp_path))
    numbers = {int(rater[1:]) for rater in analysis["excluded"]}
    assert len(numbers & set(range(21, 41))) >= 14
    assert len(numbers & set(range(1, 21))) <= 1


def test_mushra_leaves_out_who_misses_the_hidden_reference(tmp_path):
    study = silent_study(tmp_path, mode="mushra", samples=10, raters=6)
    liked = {"truth": {"quality": 99}, "good": {"quality": 60}, "bad": {"quality": 30}}
    liked["anchor"] = {"quality": 15}
    send(tmp_path, simulate_raters(study, liked, 6, careless=1, spread=2, bias=0.5))
    analysis = analyse(study, read_answers(study, tmp_path))
    assert list(analysis["excluded"]) == ["r6"]
    means = {system: cells[ALL]["mean"] for system, cells in analysis["means"]["quality"].items()}
    assert sorted(means, key=means.get) == ["anchor", "bad", "good", "truth"]


def test_the_signed_rank_test_counts_every_sign():
    differences = [1.5, -0.5, 2.0, 2.0, -0.25, 3.0, 0.0]
    values = [d for d in differences if d]
    order = sorted(abs(d) for d in values)
    ranks = [np.mean([k + 1 for k, other in enumerate(order) if other == abs(d)]) for d in values]
    total = sum(ranks)
    seen = sum(r for r, d in zip(ranks, values, strict=True) if d < 0)
    sums = [
        sum(r for r, sign in zip(ranks, signs, strict=True) if sign)
        for signs in itertools.product((0, 1), repeat=len(values))
    ]
    far = sum(min(s, total - s) <= seen for s in sums) / len(sums)
    assert wilcoxon_signed_rank(differences) == (pytest.approx(far), 6)
    assert wilcoxon_signed_rank([0.0, 0.0]) == (1.0, 0)


def test_the_signed_rank_test_agrees_with_scipy():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    for count in (6, 11, 25):
        differences = list(rng.normal(0.3, 1, count))
        expected = stats.wilcoxon(differences, method="exact").pvalue
        assert wilcoxon_signed_rank(differences)[0] == pytest.approx(expected, rel=1e-9)
    many = list(rng.normal(0.05, 1, 400))
    assert 0 < wilcoxon_signed_rank(many)[0] <= 1


def test_holm_never_turns_an_order_around():
    corrected = holm([0.04, 0.001, 0.03, 0.5])
    assert corrected == [pytest.approx(0.09), pytest.approx(0.004), pytest.approx(0.09), 0.5]
    assert holm([]) == []


def test_alpha_equals_krippendorffs_own_example():
    # Krippendorff 2011, "Computing Krippendorff's alpha-reliability", example of section C:
    # four observers, twelve units, interval data.
    table = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
        [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
    ]
    units = {k: [row[k] for row in table if row[k] is not None] for k in range(12)}
    assert krippendorff_alpha(units) == pytest.approx(0.849, abs=5e-4)
    assert krippendorff_alpha({"a": [1.0]}) is None
    rng = np.random.default_rng(0)
    noise = {k: list(rng.uniform(1, 5, 3)) for k in range(300)}
    assert abs(krippendorff_alpha(noise)) < 0.08


def test_intervals_by_raters_are_wider_when_raters_lean():
    rng = np.random.default_rng(0)
    leaning = [(r, "x", lean) for r in range(20) for lean in [rng.normal()] for _ in range(30)]
    shuffled = [value for _, _, value in leaning]
    random.Random(0).shuffle(shuffled)
    mixed = [(row[0], "x", value) for row, value in zip(leaning, shuffled, strict=True)]
    wide = RaterBootstrap(leaning, rng).mean_of(["x"])
    narrow = RaterBootstrap(mixed, rng).mean_of(["x"])
    assert wide.mean == pytest.approx(narrow.mean)
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


def test_one_rater_has_means_but_no_intervals(simulated):
    study, _, answers, _ = simulated
    alone = analyse(study, [answer for answer in answers if answer.rater == "r1"])
    cell = alone["means"]["quality"]["truth"][ALL]
    assert cell["low"] is None and cell["mean"] > 3
    assert isinstance(answers[0], Answer)
