"""What a notebook shows: players that need no files, and no text that breaks out of the page."""

from __future__ import annotations

import numpy as np
import soundfile

from unbraid.tracks.result import TrackResult


def test_a_result_in_a_notebook_has_a_player_for_each_part(tmp_path):
    paths = {stem: tmp_path / f"{stem}.wav" for stem in ("drums", "<b>vocals")}
    for path in paths.values():
        soundfile.write(path, np.zeros((4000, 2)), 8000)
    shown = TrackResult("a <i>song</i>.mp3", "done", paths)._repr_html_()
    assert shown.count("<audio") == 2 and shown.count("data:audio/webm;base64,") == 2
    assert "<i>" not in shown and "<b>" not in shown


def test_a_result_without_its_files_still_shows_what_it_is(tmp_path):
    gone = TrackResult("song.mp3", "done", {"drums": tmp_path / "drums.wav"})
    failed = TrackResult("song.mp3", "failed", error="'song.mp3' is empty")
    assert "<audio" not in gone._repr_html_() and "song.mp3" in gone._repr_html_()
    assert "is empty" in failed._repr_html_()
