"""However a run ends, files are complete or absent, and the next run clears up."""

from __future__ import annotations

import errno
import gc
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import small_songs
from mounts import mounted
from small_songs import integers, noise, write_song

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")

COMMAND = [sys.executable, small_songs.__file__]


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        # A shell lets what it starts in the background ignore interrupts, tests and all.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def visible(root: Path) -> list[Path]:
    return [
        path
        for path in root.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(root).parts)
    ]


def wait_for_stems(run: subprocess.Popen[str], root: Path) -> None:
    while run.poll() is None and not any(root.glob(".unbraid-*/stems.f32")):
        time.sleep(0.01)


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("songs")
    for number in range(2):
        write_song(folder / f"{number}.wav", noise(3, seed=number))
    return folder


def test_killed_at_any_moment_it_leaves_whole_files_only(songs, tmp_path):
    root = tmp_path / "out"
    arguments = ["0.wav", "1.wav", "--residual", "--overwrite", "-o", str(root)]
    rng = np.random.default_rng(0)
    for _ in range(3):
        run = start(songs, *arguments)
        wait_for_stems(run, root)
        time.sleep(rng.uniform(0, 0.5))
        run.kill()
        run.communicate()
        for path in visible(root):
            assert integers(path).shape == (2, 3 * 44100)
    run = start(songs, *arguments[:-3], "-o", str(root))  # what the dead left is known as ours
    _, err = run.communicate()
    assert run.returncode == 0, err
    assert not list(root.glob(".unbraid-*"))
    for name in ("0", "1"):
        total = sum(integers(path) for path in (root / name).iterdir())
        np.testing.assert_array_equal(total, integers(songs / f"{name}.wav"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_cleans_up_and_says_130(songs, tmp_path, number):
    root = tmp_path / "new" / "out"
    run = start(songs, "0.wav", "-o", str(root))
    wait_for_stems(run, root)
    run.send_signal(number)
    _, err = run.communicate()
    assert run.returncode == 130
    assert err == "unbraid: interrupted\n"
    assert not (tmp_path / "new").exists()


def test_a_reader_that_goes_away_is_no_error(songs, tmp_path):
    with start(songs, "0.wav", "1.wav", "--json", "-o", str(tmp_path)) as run:
        assert run.stdout is not None
        run.stdout.close()
        assert run.stderr is not None
        err = run.stderr.read()
    assert run.returncode == 0
    assert "Broken" not in err
    assert len(visible(tmp_path)) == 4


def open_below(folder: Path) -> list[str]:
    """Files that this process holds open, where the system tells."""
    found = [os.path.realpath(link) for link in Path("/proc/self/fd").glob("*")]
    return [name for name in found if name.startswith(str(folder))]


@pytest.fixture
def small_disk(tmp_path):
    with mounted(tmp_path / "disk", "3m") as folder:
        yield folder


@pytest.mark.parametrize("knows", [True, False])
def test_a_full_disk_fails_one_song_and_the_others_go_on(
    songs, small_disk, tmp_path, monkeypatch, capsys, knows
):
    from unbraid import Separator
    from unbraid.tracks.names import InputTrack

    if not knows:  # a disk that fills up on the way, by someone else's doing
        free = shutil.disk_usage(small_disk)._replace(free=10**12)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    short = write_song(tmp_path / "short.wav", noise(0.2))
    separator = Separator(small_songs.LowHigh())
    tracks = [InputTrack(songs / "0.wav"), InputTrack(short)]
    plans = separator.plan(tracks, small_disk / "out")
    gc.disable()  # what is open is closed without it
    try:
        failed, done = (separator.attempt(plan) for plan in plans)
        assert not open_below(small_disk)
    finally:
        gc.enable()
    assert (failed.status, done.status) == ("failed", "done")
    assert "\n" not in failed.error
    assert ("are free" if knows else os.strerror(errno.ENOSPC).lower()) in failed.error
    assert {path.parent.name for path in visible(small_disk)} == {"short"}
    assert not list((small_disk / "out").glob(".unbraid-*"))


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_one_line(songs, tmp_path):
    tmp_path.chmod(0o500)
    run = start(songs, "0.wav", "-o", str(tmp_path / "out"), "--quiet")
    _, err = run.communicate()
    assert run.returncode == 1
    assert err.count("\n") == 1
