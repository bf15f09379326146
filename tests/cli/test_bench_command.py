"""The command bench: a table, JSON, and what separate makes of it."""

from __future__ import annotations

import json

import torch

from small_songs import write_song


def test_bench_shows_keeps_and_separate_takes_it(unbraid_main, monkeypatch, tmp_path):
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path / "cache"))
    code, out, _ = unbraid_main("bench", "--json", "--seconds", "1")
    assert code == 0
    found = json.loads(out)
    assert found["choice"] in [trial["choice"] for trial in found["trials"]]
    code, table, _ = unbraid_main("bench")
    assert code == 0
    assert table.splitlines()[0].split()[:2] == ["device", "threads"]
    assert "*" in table
    kept = tmp_path / "cache" / "tuning"
    (file,) = kept.iterdir()
    file.write_text(json.dumps({"device": "cpu", "threads": 3, "batch_size": 1}))
    song = write_song(tmp_path / "song.wav")
    assert unbraid_main(song, "--quiet")[0] == 0
    assert torch.get_num_threads() == 3
    assert unbraid_main(song, "--quiet", "--threads", "1", "--overwrite")[0] == 0
    assert torch.get_num_threads() == 1


def test_wrong_requests_are_told(unbraid_main):
    assert unbraid_main("bench", "--seconds", "0")[0] == 2
    assert unbraid_main("bench", "--device", "tpu")[0] == 2
    assert unbraid_main("bench", "--max-memory", "much")[0] == 2
