"""Runs of `unbraid train` in processes that can be killed, or that work as a team.

    python forked.py DIR < [{"arguments": [...], "kill_at_step": N | null, "processes": N}]

torch is imported once, with what it imports at the first optimizer; each run is a fork of this
process, so that many runs take seconds. Prints the exit codes as JSON; -9 is a kill.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

import torch
import torch._dynamo
import torch.utils.tensorboard

from unbraid.cli.main import main
from unbraid.training import board, page, session  # noqa: F401  imported once, before the forks

PATIENCE_S = 120.0


def run_forked(arguments: list[str], kill_at_step: int | None, processes: int) -> list[int]:
    """One run, in one or several processes; their exit codes."""
    port = free_port()
    pids = [fork(arguments, rank, processes, port) for rank in range(processes)]
    if kill_at_step is not None:
        folder = Path(arguments[arguments.index("--run") + 1])
        wait_for_step(folder / "log.jsonl", kill_at_step)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def fork(arguments: list[str], rank: int, processes: int, port: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    if processes > 1:
        os.environ.update(
            RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(processes),
            MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port),
        )  # fmt: skip
    code = 99
    try:
        code = main(["train", "--quiet", *arguments])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return 0


def wait_for_step(log: Path, step: int) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if log.exists() and f'"kind": "step", "step": {step},' in log.read_text():
            return
        time.sleep(0.002)
    raise TimeoutError(f"no step {step} in {log}")


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


if __name__ == "__main__":
    torch.set_num_threads(1)
    codes = [
        run_forked(job["arguments"], job.get("kill_at_step"), job.get("processes", 1))
        for job in json.load(sys.stdin)
    ]
    print(json.dumps(codes))
