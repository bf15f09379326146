from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import soundfile

from figures import embedded_data
from unbraid.errors import SettingsError
from unbraid.separation.progress import Watch
from unbraid.song_page.report import write_song_report
from unbraid.tracks.result import TrackResult


@pytest.fixture
def result(tmp_path):
    rng = np.random.default_rng(0)
    stems = {name: 0.05 * rng.standard_normal((12000, 2)) for name in ("drums", "bass")}
    (tmp_path / "stems").mkdir()
    soundfile.write(tmp_path / "song <i>.wav", sum(stems.values()), 8000)
    outputs = {name: tmp_path / "stems" / f"{name}.wav" for name in stems}
    for name, sound in stems.items():
        soundfile.write(outputs[name], sound, 8000)
    return TrackResult(str(tmp_path / "song <i>.wav"), "done", outputs, null_test_db=-90.0)


def test_a_report_needs_no_more_than_a_result(result, tmp_path):
    path = write_song_report(result)
    assert path == tmp_path / "stems" / "report.html"
    page = path.read_text()
    data = embedded_data(page)
    assert list(data["parts"]) == ["mixture", "drums", "bass"]
    assert data["hints"]["residual_db"] < -60
    assert data["hints"]["stems"]["drums"]["disagreement_db"] is None
    assert "<i>" not in page.replace("<i aria-hidden=true>", "")


def test_progress_of_a_report_rises_to_1(result):
    seen = []
    write_song_report(result, watch=Watch(seen.append))
    fractions = [progress.fraction for progress in seen]
    assert {progress.stage for progress in seen} == {"report"}
    assert len(fractions) == 6 and fractions == sorted(fractions) and fractions[-1] == 1.0


def test_an_exact_null_test_is_called_so(result):
    page = write_song_report(replace(result, null_test_db=-330.0)).read_text()
    assert "exact" in page and "-330" not in page.partition("<script")[0]


def test_a_result_without_stems_has_no_report(tmp_path):
    with pytest.raises(SettingsError, match="no stems on disk"):
        write_song_report(TrackResult(str(tmp_path / "song.wav"), "failed"))
