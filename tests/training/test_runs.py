"""Whole runs, in this process."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from training.small_runs import STEMS, train, write_recipe_file
from unbraid.engines.load import load_model
from unbraid.errors import TrainingError
from unbraid.separation.engine import apply_model
from unbraid.training import loop, steps
from unbraid.training.runlog import read_log
from unbraid.training.state import read_state
from unbraid.training.stopping import alone_in
from unbraid.zoo.checkpoint import read_info


def rows(folder, kind):
    return [row for row in read_log(folder / "log.jsonl") if row["kind"] == kind]


@pytest.fixture(scope="module")
def done(tmp_path_factory, small_data):
    """A run that has come to its end."""
    top = tmp_path_factory.mktemp("done")
    recipe = write_recipe_file(top / "small.toml")
    assert train(recipe, "--data", small_data, "--run", top / "run") == 0
    return top / "run"


def test_a_run_leaves_ordinary_models_that_say_where_they_are_from(done):
    for name in ("last", "best"):
        path = done / "checkpoints" / f"{name}.safetensors"
        model, info = load_model(path), read_info(path)
        assert apply_model(model, torch.zeros(1, 1, 4000)).shape == (1, 2, 1, 4000)
        assert info.stems == STEMS and info.provenance["seed"] == 42
        assert info.provenance["recipe"]["optimizer"]["lr"] == 1e-3
        assert info.provenance["data"]["training_tracks"] == 3
    assert info.provenance["best"]["name"] in (
        "weights", "average 0.9 (steps)", "average 0.5 (epochs)",
    )  # fmt: skip


def test_the_log_is_in_jsonl_and_csv_alike(done):
    found = rows(done, "step")
    with (done / "steps.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in table] == [row["loss"] for row in found]
    assert {"stems.drums", "lr", "waiting", "examples_per_s"} <= table[0].keys()
    assert len(rows(done, "epoch")) == 2 and (done / "epochs.csv").exists()


def test_every_candidate_is_validated_and_the_best_is_chosen(done):
    for row in rows(done, "epoch"):
        names = [candidate["name"] for candidate in row["candidates"]]
        assert names == ["weights", "average 0.9 (steps)", "average 0.5 (epochs)"]
        assert row["loss"] == min(candidate["loss"] for candidate in row["candidates"])
    best = min(row["loss"] for row in rows(done, "epoch"))
    assert read_info(done / "checkpoints/best.safetensors").provenance["best"]["loss"] == best


def test_signal_processing_is_measured_once_and_shown_with_the_best(done):
    [baseline] = rows(done, "baseline")
    assert baseline["step"] == rows(done, "epoch")[0]["step"]
    assert set(baseline["stems"]) == set(STEMS)
    page = (done / "report.html").read_text(encoding="utf-8")
    assert ">signal processing</th>" in page
    assert f"{baseline['stems']['bass']:.2f}".replace("-", "−") + " dB" in page


def test_the_report_is_one_page_that_fetches_nothing(done):
    page = (done / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") >= 4 and "default-src 'none'" in page
    assert "http" not in page.replace("http-equiv", "")
    for word in ("Validation", "average 0.9 (steps)", "Environment", "[optimizer]"):
        assert word in page


def test_a_finished_run_is_left_as_it_is_and_can_be_made_longer(done, small_data):
    before = (done / "checkpoints/last.safetensors").read_bytes()
    assert train("--run", done) == 0  # recipe and data as they were
    assert (done / "checkpoints/last.safetensors").read_bytes() == before
    said = rows(done, "note")[-1]["text"]
    assert re.fullmatch(r"done already, at step \d+: all 2 epochs; --set epochs=4 .*", said)
    count = len(rows(done, "step"))
    assert train("--run", done, "--set", "epochs=3") == 0
    assert len(rows(done, "step")) == count * 3 // 2


def test_a_run_in_pieces_is_a_run_in_one(tmp_path, small_recipe, small_data):
    assert train(small_recipe, "--data", small_data, "--run", tmp_path / "a") == 0
    for steps_in_all in (1, 4, 99):
        more = ("--max-steps", steps_in_all)
        assert train(small_recipe, "--data", small_data, "--run", tmp_path / "b", *more) == 0
    a, b = (load_file(tmp_path / x / "checkpoints/last.safetensors") for x in "ab")
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_a_run_that_has_its_steps_says_so(tmp_path, small_recipe, small_data):
    begin = (small_recipe, "--data", small_data, "--run", tmp_path / "run", "--max-steps")
    assert train(*begin, 2) == 0
    for most in (2, 1):
        assert train(*begin, most) == 0
        said = f"done already, at step 2: --max-steps {most}; more --max-steps, or none, trains"
        assert rows(tmp_path / "run", "note")[-1]["text"].startswith(said)


def test_a_power_cut_leaves_all_rows_of_the_log_that_the_state_has_seen(
    tmp_path, small_recipe, small_data, monkeypatch
):
    synced = []
    keep, save = loop.RunLog.keep, loop.save_state

    def kept(log):
        keep(log)
        synced.append((tmp_path / "run" / "log.jsonl").read_text().count("\n"))

    def saved(path, state):
        there = [row for row in read_log(path.with_name("log.jsonl")) if row["kind"] != "note"]
        assert not there or synced[-1] == len(read_log(path.with_name("log.jsonl")))
        save(path, state)

    monkeypatch.setattr(loop.RunLog, "keep", kept)
    monkeypatch.setattr(loop, "save_state", saved)
    assert train(small_recipe, "--data", small_data, "--run", tmp_path / "run") == 0
    assert synced


def test_a_run_goes_on_with_its_own_tracks_wherever_they_are(
    tmp_path, small_recipe, small_data, capsys
):
    run, step = tmp_path / "run", ["--max-steps", "1"]
    assert train(small_recipe, "--data", small_data, "--run", run, *step) == 0
    moved = shutil.copytree(small_data, tmp_path / "moved")
    assert train("--data", moved, "--run", run, "--max-steps", "2") == 0
    (moved / "train" / "song 0").rename(moved / "train" / "another song")
    capsys.readouterr()
    for more in (["--data", moved], ["--data", small_data, "--data-weights", "2"]):
        assert train(*more, "--run", run, "--max-steps", "3") == 2
        assert "holds a run" in capsys.readouterr().err


def test_accumulating_and_recomputing_change_nothing_but_rounding(
    tmp_path, small_recipe, small_data
):
    losses = []
    for number, setting in enumerate(
        ("run.recompute=false", "run.recompute=true", "optimizer.accumulate=2")
    ):
        folder = tmp_path / str(number)
        more = ("--max-steps", "3", "--set", setting)
        assert train(small_recipe, "--data", small_data, "--run", folder, *more) == 0
        losses.append([row["loss"] for row in rows(folder, "step")])
    assert losses[1] == losses[0]
    assert losses[2] == pytest.approx(losses[0], rel=1e-5)


def test_bf16_learns_too(tmp_path, small_recipe, small_data):
    more = ("--max-steps", "2", "--set", "run.precision=bf16")
    assert train(small_recipe, "--data", small_data, "--run", tmp_path / "run", *more) == 0
    assert len(rows(tmp_path / "run", "step")) == 2


def broken_loss(monkeypatch, when):
    """Losses are NaN where `when(call number)`."""
    calls = []
    original = steps.training_losses

    def losses(estimates, sources, recipe):
        calls.append(None)
        value = original(estimates, sources, recipe)
        return value * float("nan") if when(len(calls)) else value

    monkeypatch.setattr(steps, "training_losses", losses)


def test_a_step_that_is_no_number_is_refused_recorded_and_gone_around(
    tmp_path, small_recipe, small_data, monkeypatch
):
    broken_loss(monkeypatch, lambda call: call == 3)
    run = tmp_path / "run"
    assert train(small_recipe, "--data", small_data, "--run", run, "--max-steps", "6") == 0
    [trouble] = [json.loads(line) for line in (run / "trouble.jsonl").read_text().splitlines()]
    assert trouble["step"] == 2 and trouble["trouble"] == "the loss is nan"
    assert len(trouble["indices"]) == 4 and trouble["seed"] == 42 and len(trouble["tracks"]) == 4
    state = read_state(run / "state.pt")
    assert state["guard"]["attempt"] == 1 and state["position"]["step"] == 6
    assert all(torch.isfinite(value).all() for value in state["model"].values())


def test_a_run_that_goes_wrong_again_and_again_is_given_up(
    tmp_path, small_recipe, small_data, monkeypatch, capsys
):
    broken_loss(monkeypatch, lambda call: call > 2)
    run = tmp_path / "run"
    more = ("--set", "guard.repeats=2")
    assert train(small_recipe, "--data", small_data, "--run", run, *more) == 2
    message = capsys.readouterr().err.strip()
    assert message.startswith("unbraid: given up at step 0") and "\n" not in message
    assert len((run / "trouble.jsonl").read_text().splitlines()) == 3
    assert "the loss is nan" in (run / "report.html").read_text()


def test_a_request_to_stop_saves_and_leaves_with_130(
    tmp_path, small_recipe, small_data, monkeypatch
):
    import os
    import signal

    original = loop._Clock.log

    def log(self, result, waited_s):
        original(self, result, waited_s)
        if self._run.state.position.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(loop._Clock, "log", log)
    run = tmp_path / "run"
    assert train(small_recipe, "--data", small_data, "--run", run) == 130
    assert read_state(run / "state.pt")["position"]["step"] == 3
    assert train("--run", run) == 0


def test_a_run_without_validation_tracks_keeps_its_last_weights(tmp_path, small_recipe, small_data):
    data = tmp_path / "data"
    data.mkdir()
    (data / "train").symlink_to(small_data / "train")
    code = train(small_recipe, "--data", data, "--run", tmp_path / "run", "--max-steps", "2")
    if code == 0:
        last, best = (
            load_file(tmp_path / f"run/checkpoints/{name}.safetensors") for name in ("last", "best")
        )
        assert all(torch.equal(last[key], best[key]) for key in last)
    assert code == 0


def test_what_a_killed_process_left_half_written_is_cleared_away(done):
    leftovers = [done / ".state.pt.1.part", done / "checkpoints" / ".last.safetensors.1.part"]
    for path in leftovers:
        path.write_bytes(b"half")
    assert train("--run", done) == 0
    assert not any(path.exists() for path in leftovers)


def test_two_runs_cannot_share_a_folder(tmp_path, small_recipe, small_data, capsys):
    with alone_in(tmp_path / "run"):
        assert train(small_recipe, "--data", small_data, "--run", tmp_path / "run") == 2
    assert "another process trains in" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()  # nothing came of either


COMPILED = """
import functools, sys, torch
from unbraid.cli.main import main
# The graph is taken and run as it is: generating code needs a C++ compiler, and minutes.
torch.compile = functools.partial(torch.compile, backend="aot_eager")
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_a_compiled_model_learns_what_the_plain_one_learns(tmp_path, small_recipe, small_data):
    losses = []
    for compiled in ("false", "true"):  # in a process without annotation checks, which it minds
        folder = tmp_path / compiled
        arguments = ["train", small_recipe, "--data", small_data, "--run", folder, "--max-steps"]
        arguments += ["2", "--device", "cpu", "--set", f"run.compile={compiled}"]
        command = [sys.executable, "-c", COMPILED, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        losses.append([row["loss"] for row in rows(folder, "step")])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_a_model_that_cannot_be_compiled_is_said_in_one_line():
    broken = type("BackendError", (RuntimeError,), {"__module__": "torch._inductor.exc"})
    with pytest.raises(TrainingError, match=r"run\.compile=false"), steps.compiling():
        raise broken("two hundred lines of a C++ compiler")
    with pytest.raises(RuntimeError, match="ours"), steps.compiling():
        raise RuntimeError("ours")
