"""Real processes: killed at any moment, or several at work on one run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from torch.distributed.run import get_args_parser

from training.small_runs import write_recipe_file
from unbraid.training.runlog import read_log

DRIVER = Path(__file__).with_name("forked.py")


def run_jobs(*jobs):
    done = subprocess.run(
        [sys.executable, DRIVER], input=json.dumps(jobs), capture_output=True, text=True,
        timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def job(folder, recipe, data, *more, **how):
    arguments = ["--run", folder, "--data", data, "--device", "cpu", recipe, *more]
    return {"arguments": list(map(str, arguments)), **how}


def losses(folder):
    return [row["loss"] for row in read_log(folder / "log.jsonl") if row["kind"] == "step"]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory, small_data):
    """All runs of this file, from one process that imports torch once; folder and exit codes."""
    top = tmp_path_factory.mktemp("forked")
    recipe = write_recipe_file(top / "small.toml")
    long = ("--set", "run.save_steps=2", "--set", "epochs=3")
    short = ("--set", "svd.weight=1e-3", "--set", "svd.min_size_mb=0.0005", "--max-steps", "5")
    codes = run_jobs(
        job(top / "whole", recipe, small_data, *long),
        job(top / "broken", recipe, small_data, *long, kill_at_step=2),  # amid an epoch
        job(top / "broken", recipe, small_data, *long, kill_at_step=7),
        job(top / "broken", recipe, small_data, *long),
        job(top / "one", recipe, small_data, *short),
        job(top / "two", recipe, small_data, *short, processes=2),
    )
    return top, codes


def test_a_run_killed_twice_ends_with_the_bytes_of_an_unbroken_one(outcome):
    top, codes = outcome
    whole, broken = top / "whole", top / "broken"
    assert codes[:4] == [[0], [-9], [-9], [0]]
    for name in ("last", "best"):
        file = f"checkpoints/{name}.safetensors"
        assert (whole / file).read_bytes() == (broken / file).read_bytes()
    assert losses(whole) == losses(broken) and len(losses(whole)) == 9


def test_two_processes_learn_what_one_learns(outcome):
    top, codes = outcome
    assert codes[4:] == [[0], [0, 0]]
    one, several = losses(top / "one"), losses(top / "two")
    assert len(one) == 5 and several == pytest.approx(one, rel=1e-5)
    epochs = [
        [row for row in read_log(top / folder / "log.jsonl") if row["kind"] == "epoch"]
        for folder in ("one", "two")
    ]
    assert epochs[1][-1]["nsdr"] == pytest.approx(epochs[0][-1]["nsdr"], abs=1e-3)


@pytest.mark.parametrize(
    "command",
    [["-m", "--", "unbraid", "train", "--run", "R"], ["-m", "unbraid", "train", "-o", "R"]],
)
def test_torchrun_hands_on_what_the_guide_says(command):
    options = get_args_parser().parse_args(["--nproc-per-node", "2", *command])
    assert [options.training_script, *options.training_script_args] == [
        word for word in command if word not in ("-m", "--")
    ]


@pytest.mark.slow
def test_torchrun_starts_a_team(tmp_path, small_recipe, small_data):
    arguments = [
        *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "--"),
        *("unbraid", "train", small_recipe, "--data", small_data, "--run", tmp_path / "run"),
        *("--max-steps", "2", "--device", "cpu"),
    ]  # fmt: skip
    done = subprocess.run(list(map(str, arguments)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(losses(tmp_path / "run")) == 2
