"""Going on from other models, grids, and what the command says when it cannot."""

from __future__ import annotations

import csv
import dataclasses
import io
import re

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from training.small_runs import train, write_dataset, write_recipe_file
from unbraid.cli.train_display import PlainTrainDisplay, epoch_text, step_text
from unbraid.training import grid
from unbraid.training.config import model_member
from unbraid.training.recipes import read_recipe
from unbraid.training.runlog import read_log
from unbraid.training.start import new_model, start_from
from unbraid.zoo.checkpoint import read_info, save_checkpoint

HEAD = re.compile(r"(spec_decoder|time_decoder)\.\d+\.conv\.")


@pytest.fixture
def parent(tmp_path, small_recipe):
    """A model to start from."""
    path = tmp_path / "parent.safetensors"
    recipe = read_recipe(small_recipe, ["seed=7"])
    save_checkpoint(path, new_model(recipe), licence="CC0-1.0", provenance={"leaked": "it was"})
    return path


def test_equal_seeds_make_equal_weights_and_leave_the_global_generator_alone(small_recipe):
    before = torch.get_rng_state()
    a, b, c = (
        new_model(read_recipe(small_recipe, [f"seed={seed}"])).state_dict() for seed in (1, 1, 2)
    )
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not all(torch.equal(a[key], c[key]) for key in a)
    assert torch.equal(before, torch.get_rng_state())


def test_the_same_stems_take_all_weights(small_recipe, parent):
    model, line = start_from(read_recipe(small_recipe), str(parent))
    there = load_file(parent)
    assert all(torch.equal(value, there[key]) for key, value in model.state_dict().items())
    assert "all of them" in line


def test_other_stems_begin_the_last_layers_anew_and_nothing_else(small_recipe, parent):
    recipe = read_recipe(small_recipe, ['model.stems=["a", "b", "c"]', "seed=3"])
    model, line = start_from(recipe, str(parent))
    assert "start from new weights for a, b, c" in line and "\n" not in line
    there, fresh = load_file(parent), new_model(recipe).state_dict()
    anew = [k for k, v in model.state_dict().items() if not torch.equal(v, there.get(k, v[:0]))]
    assert len(anew) == 4 and all(HEAD.match(key) for key in anew)
    assert all(torch.equal(model.state_dict()[key], fresh[key]) for key in anew)


def test_the_parents_config_holds_whatever_the_recipe_says(small_recipe, parent):
    recipe = read_recipe(small_recipe, ["model.width=8"])
    model, _ = start_from(recipe, str(parent))
    assert model.config.width == 4


def test_another_network_is_named_before_the_keys_that_follow_from_it(
    tmp_path, small_recipe, small_data, capsys
):
    run = tmp_path / "run"
    assert train(small_recipe, "--data", small_data, "--run", run, "--max-steps", "1") == 0
    assert train("scnet", "--run", run) == 2
    said = capsys.readouterr().err
    assert "model.architecture = 'hybrid_demucs', now it is 'scnet'" in said
    assert f"unbraid train --run {run}" in said


def test_a_setting_that_the_parent_decides_is_refused(
    tmp_path, small_recipe, small_data, parent, capsys
):
    def start(run, setting):
        more = ("--start-from", parent, "--set", setting, "--max-steps", "1")
        return train(small_recipe, "--data", small_data, "--run", tmp_path / run, *more)

    assert start("a", "model.width=8") == 2
    assert "model.width is that of" in capsys.readouterr().err
    assert start("b", "model.width=4") == start("c", "model.segment_s=0.5") == 0


def test_output_scale_starts_near_silence(small_recipe):
    quiet = new_model(read_recipe(small_recipe, ["start.output_scale=0.001"]))
    loud = new_model(read_recipe(small_recipe))
    mixture = torch.randn(1, 1, 4000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert quiet(mixture).std() < 0.02 * loud(mixture).std()


def test_fine_tuning_on_other_stems_is_one_command(tmp_path, small_recipe, parent):
    data = write_dataset(tmp_path / "data", stems=("voice", "piano", "bells"))
    stems = 'model.stems=["voice", "piano", "bells"]'
    more = ("--start-from", parent, "--set", stems, "--max-steps", "2")
    assert train(small_recipe, "--data", data, "--run", tmp_path / "run", *more) == 0
    info = read_info(tmp_path / "run/checkpoints/last.safetensors")
    assert info.stems == ("voice", "piano", "bells") and info.licence == "CC0-1.0"
    assert (
        "start from new weights" in info.provenance["origin"]
        and info.provenance["leaked"] == "it was"
    )
    parent.unlink()  # from here on the run needs it no more
    assert train("--run", tmp_path / "run", "--max-steps", "3") == 0
    steps = [r for r in read_log(tmp_path / "run/log.jsonl") if r["kind"] == "step"]
    assert [row["step"] for row in steps] == [1, 2, 3]


def test_a_model_trains_through_ratio_masks_if_the_recipe_says_so(tmp_path, small_recipe, parent):
    data = write_dataset(tmp_path / "data")
    more = ("--data", data, "--max-steps", "2", "--start-from")
    masks = ("--set", "model.ratio_masks=true")
    assert train(small_recipe, "--run", tmp_path / "a", *masks, *more, parent) == 0
    masked = tmp_path / "a/checkpoints/last.safetensors"
    assert read_info(masked).architecture == "ratio_masks"
    losses = [r["loss"] for r in read_log(tmp_path / "a/log.jsonl") if r["kind"] == "step"]
    assert len(losses) == 2 and np.isfinite(losses).all()
    assert train(small_recipe, "--run", tmp_path / "b", *more, masked) == 0
    plain = read_info(tmp_path / "b/checkpoints/last.safetensors")
    assert plain.architecture == "hybrid_demucs"


def test_a_grid_runs_all_its_recipes_and_compares_them(tmp_path, small_data, capsys, monkeypatch):
    grid = tmp_path / "grid"
    grid.mkdir()
    write_recipe_file(grid / "a.toml")
    (grid / "b.toml").write_text('base = "a"\n[ema]\nbatch = []\nepoch = []')
    command = ("--grid", grid, "--data", small_data, "--run", tmp_path / "run", "--max-steps", "2")
    assert train(*command) == 0
    table = (tmp_path / "run/comparison.csv").read_text()
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [row["recipe"] for row in rows] == ["a", "b", "(signal processing)"]
    assert float(rows[2]["nsdr"]) == pytest.approx(
        (float(rows[2]["stems.bass"]) + float(rows[2]["stems.drums"])) / 2
    )
    assert rows[1]["candidate"] == "weights" and float(rows[0]["stems.bass"])
    text = (tmp_path / "run/comparison.md").read_text()
    assert "| recipe |" in text and text.count("\n| ") == 4
    assert train(*command) == 0  # all done: nothing changes
    assert (tmp_path / "run/comparison.csv").read_text() == table


def test_a_recipe_that_fails_costs_the_others_nothing(tmp_path, small_data, capsys, monkeypatch):
    grid_folder = tmp_path / "grid"
    grid_folder.mkdir()
    for name in ("a", "b", "c"):
        write_recipe_file(grid_folder / f"{name}.toml")
    real = grid.run_training

    def broken(request, team, listeners):
        if request.folder.name == "b":
            raise ValueError("batch of one\nin a norm")
        return real(request, team, listeners)

    monkeypatch.setattr(grid, "run_training", broken)
    run = tmp_path / "run"
    command = ("--grid", grid_folder, "--data", small_data, "--run", run, "--max-steps", "1")
    assert train(*command) == 1
    assert "unbraid: b failed: ValueError: batch of one in a norm\n" in capsys.readouterr().err
    rows = list(csv.DictReader(io.StringIO((run / "comparison.csv").read_text())))
    assert [(row["recipe"], row["steps"], bool(row["note"])) for row in rows] == [
        ("a", "1", False), ("b", "0", True), ("c", "1", False), ("(signal processing)", "", False),
    ]  # fmt: skip
    assert "in broken" in (run / "b/error.txt").read_text()
    monkeypatch.setattr(grid, "run_training", real)
    assert train(*command) == 0  # it resumes with what failed
    assert not (run / "b/error.txt").exists()


def test_a_grid_of_which_nothing_runs_says_why(tmp_path, small_data, capsys):
    grid_folder = tmp_path / "grid"
    grid_folder.mkdir()
    write_recipe_file(grid_folder / "a.toml")
    command = ("--grid", grid_folder, "--data", tmp_path / "nowhere", "--run", tmp_path / "run")
    assert train(*command) == 2
    error = capsys.readouterr().err
    assert "nowhere" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hybird"], "a run needs a folder"),
        (["hybird", "--run", "R"], "did you mean 'hybrid'"),
        (["--run", "R"], "holds no run to resume"),
        (["SMALL", "--run", "R"], "a run needs data"),
        (["SMALL", "--run", "SMALL", "--data", "DATA"], "is a file"),
        (["SMALL", "--run", "R", "--data", "NONE"], "NONE"),
        (["SMALL", "--run", "R", "--data", "DATA", "--set", "optimizer.batch_size=3"], "multiple"),
        (["SMALL", "--run", "R", "--data", "DATA", "--set", "optimizer.batch_size=64"], "fewer"),
        (["SMALL", "--run", "R", "--data", "DATA", "--set", "augment.shift_s=2"], "leave nothing"),
        (["SMALL", "--run", "R", "--data", "DATA", "--set", "run.precision=fp16"], "fp16"),
        (["SMALL", "--run", "R", "--data", "DATA", "--set", 'model.stems=["x"]'], "x"),
        (["SMALL", "--run", "R", "--data", "DATA", "--start-from", "nobody"], "nobody"),
        (["SMALL", "--run", "R", "--data", "DATA", "--start-from", "mini"], "sample_rate"),
        (["SMALL", "--run", "R", "--data", "DATA", "--data-weights", "a"], "list of numbers"),
        (["SMALL", "--grid", "ablations", "--run", "R"], "not both"),
        (["--grid", "nowhere", "--run", "R"], "nowhere"),
        (["--show"], "needs a RECIPE"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    tmp_path, small_recipe, small_data, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    named = {"SMALL": small_recipe, "DATA": small_data}
    assert train(*(named.get(argument, argument) for argument in arguments)) == 2
    error = capsys.readouterr().err.strip()
    assert message in error and error.startswith("unbraid: ") and "\n" not in error
    assert not (tmp_path / "R" / "state.pt").exists()


def test_a_run_goes_on_only_as_it_was_begun(tmp_path, small_recipe, small_data, capsys):
    command = (small_recipe, "--data", small_data, "--run", tmp_path / "run", "--max-steps", "1")
    assert train(*command) == 0
    assert train(*command, "--set", "optimizer.lr=1.0") == 2
    assert "holds a run with optimizer.lr = 0.001, now it is 1.0" in capsys.readouterr().err
    assert train(*command, "--seed", "3") == 2
    assert train(*command, "--set", "run.log_steps=5") == 0  # changes nothing that is learnt
    (tmp_path / "run/state.pt").write_bytes(b"cut short")
    assert train(*command) == 2
    assert "is not the state of a run" in capsys.readouterr().err


def test_recipes_are_listed_and_shown(capsys):
    assert train("--list") == 0
    assert "ablations/no-ema" in capsys.readouterr().out
    assert train("hybrid", "--show", "--set", "epochs=7") == 0
    shown = capsys.readouterr().out
    assert "epochs = 7" in shown and "[svd]" in shown and "\ndepth = 6" in shown


def test_what_is_shown_is_what_the_run_uses_and_can_be_read_again(
    tmp_path, small_recipe, small_data, parent, capsys
):
    more = ("--seed", "7", "--start-from", parent)
    assert train(small_recipe, "--show", *more) == 0
    shown = capsys.readouterr().out
    (tmp_path / "shown.toml").write_text(shown)
    run = ("--run", tmp_path / "run")
    steps = ("--data", small_data, "--max-steps", "1")
    assert train(small_recipe, *run, *steps, *more) == 0
    used = read_recipe(tmp_path / "run" / "recipe.toml")
    assert used.seed == 7 and read_recipe(tmp_path / "shown.toml") == used
    capsys.readouterr()
    assert train("--show", *run) == 0
    assert capsys.readouterr().out == shown


@pytest.mark.parametrize("name", ["hybrid", "mini", "scnet", "htdemucs", "two_rate_demucs"])
def test_a_recipe_shown_in_full_makes_the_same_model(name, capsys, tmp_path):
    settings = [f"model.architecture={name}"] if name == "two_rate_demucs" else []
    name = "hybrid" if settings else name
    capsys.readouterr()
    assert train(name, "--show", *(word for one in settings for word in ("--set", one))) == 0
    (tmp_path / "shown.toml").write_text(capsys.readouterr().out)
    recipe, shown = read_recipe(name, settings), read_recipe(tmp_path / "shown.toml")
    assert model_member(shown) == model_member(recipe)
    assert dataclasses.replace(shown, model=recipe.model) == recipe


def test_the_tracks_of_training_and_validation_are_told_apart(capsys):
    told = PlainTrainDisplay().listeners("").indexing
    for split, total in (("train", 3), ("valid", 1)):
        told(split, 1, total)
        told(split, total, total)
    assert "looked at 3 training tracks\nlooked at 1 validation track\n" in capsys.readouterr().err


def test_lines_for_people_say_what_matters():
    row = {"step": 7, "loss": 0.25, "examples_per_s": 12.3, "waiting": 0.02, "seconds_left": 75}
    assert step_text(row, "best 3.10 dB") == (
        "step 7, loss 0.25, 12.3 examples/s, 2% waiting for data, 1:15 left, best 3.10 dB"
    )
    scores = {"loss": 0.2, "nsdr": 3.1, "stems": {"bass": 3.1}, "chosen": "weights"}
    best = {"nsdr": 3.1, "epoch": 1}
    assert "nSDR 3.10 dB (bass 3.10)" in epoch_text({"epoch": 1, "step": 7, **scores, "best": best})
