"""A study of the paper's size, answered by 20 simulated raters who hear what the paper's did."""

from __future__ import annotations

import json

import pytest
from small_studies import silent_study

from unbraid.cli.main import main
from unbraid.evaluation.published import human_study
from unbraid.listening.simulate import simulate_raters

STEMS = ("drums", "bass", "other", "vocals")
RATERS = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """50 tracks, 4 stems, 4 systems, 25 samples a rater."""
    folder = tmp_path_factory.mktemp("paper")
    wanted = human_study()["questions"]
    systems = tuple(wanted["quality"])
    study = silent_study(folder, systems, STEMS, tracks=50, raters=RATERS)
    liked = {s: {q: wanted[q][s]["All"] for q in wanted} for s in systems}
    (folder / "exports").mkdir()
    for number, export in enumerate(simulate_raters(study, liked, RATERS, careless=2, seed=0)):
        (folder / "exports" / f"{number:02}.json").write_text(json.dumps(export))
    return folder


def test_the_papers_means_come_back_from_twenty_raters(folder, capsys):
    assert main(["listen", "analyse", str(folder)]) == 0
    assert "counted: 18 of 20 raters" in capsys.readouterr().out
    analysis = json.loads((folder / "results" / "analysis.json").read_text())
    assert list(analysis["excluded"]) == ["r19", "r20"]
    for question, systems in human_study()["questions"].items():
        for system, means in systems.items():
            cell = analysis["means"][question][system]["All"]
            # A scale that ends at 5 draws a mean of 4.4 down a little.
            assert abs(cell["mean"] - means["All"]) < 0.3, (question, system, cell)
            assert 0.1 < cell["high"] - cell["low"] < 0.8
    assert analysis["agreement"]["quality"]["sounds_rated_twice"] > 100
    assert 0.2 < analysis["agreement"]["quality"]["alpha"] < 0.8
    corrected = {(p["question"], p["better"], p["worse"]): p["p_holm"] for p in analysis["pairs"]}
    for question in ("quality", "contamination"):
        for system in ("Hybrid Demucs", "KUIELAB-MDX-Net", "Original Demucs"):
            assert corrected[(question, "Ground truth", system)] < 0.001
    # The paper's claim: much less bleeding than both others; equal quality to KUIELAB's.
    assert corrected[("contamination", "Hybrid Demucs", "KUIELAB-MDX-Net")] < 0.01
    assert corrected[("contamination", "Hybrid Demucs", "Original Demucs")] < 0.01
    alike = [
        p
        for (question, *pair), p in corrected.items()
        if question == "quality" and set(pair) == {"Hybrid Demucs", "KUIELAB-MDX-Net"}
    ]
    assert alike[0] > 0.05
