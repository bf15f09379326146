"""Real processes: killed at any moment, or several at work on one run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_a_run_killed_twice_ends_with_the_bytes_of_an_unbroken_one(
    tmp_path, small_recipe, small_data
):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    same = (small_recipe, small_data, "--set", "run.save_steps=2", "--set", "epochs=4")
    codes = run_jobs(
        job(whole, *same),
        job(broken, *same, kill_at_step=3),  # in the middle of an epoch
        job(broken, *same, kill_at_step=9),
        job(broken, *same),
    )
    assert codes == [[0], [-9], [-9], [0]]
    for name in ("last", "best"):
        file = f"checkpoints/{name}.safetensors"
        assert (whole / file).read_bytes() == (broken / file).read_bytes()
    assert losses(whole) == losses(broken) and len(losses(whole)) > 9
    assert not list(broken.glob(".*.part")) or losses(broken)  # leftovers harm nothing


@pytest.mark.parametrize("accumulate", [1, 2])
def test_two_processes_learn_what_one_learns(tmp_path, small_recipe, small_data, accumulate):
    more = ("--set", f"optimizer.accumulate={accumulate}")
    more += ("--set", "svd.weight=1e-3", "--set", "svd.min_size_mb=0.0005", "--max-steps", "5")
    codes = run_jobs(
        job(tmp_path / "one", small_recipe, small_data, *more),
        job(tmp_path / "two", small_recipe, small_data, *more, processes=2),
    )
    assert codes == [[0], [0, 0]]
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(one) == 5 and two == pytest.approx(one, rel=1e-5)
    epochs = [
        [row for row in read_log(tmp_path / name / "log.jsonl") if row["kind"] == "epoch"]
        for name in ("one", "two")
    ]
    assert epochs[1][-1]["nsdr"] == pytest.approx(epochs[0][-1]["nsdr"], abs=1e-3)


@pytest.mark.slow
def test_torchrun_starts_a_team(tmp_path, small_recipe, small_data):
    arguments = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "unbraid",
        *("train", small_recipe, "--data", small_data, "--run", tmp_path / "run"),
        *("--max-steps", "2", "--device", "cpu"),
    ]  # fmt: skip
    done = subprocess.run(list(map(str, arguments)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(losses(tmp_path / "run")) == 2
