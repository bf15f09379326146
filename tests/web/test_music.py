"""Beats and chords of a song: found, corrected, and found again."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from web_songs import RATE, as_file, noise, separated

from unbraid.music.analysis import Music
from unbraid.music.beats import Beats
from unbraid.music.chords import Chord
from unbraid.web.clicks import Clicks
from unbraid.web.music import MusicEdit, listen, parts_to_hear, write_found

EDIT = {
    "beats": [0.1, 0.6, 1.1],
    "beats_in_bar": 3,
    "first": 1,
    "chords": [{"start_s": 0.1, "name": "C7/G"}, {"start_s": 0.6, "name": ""}],
}


def address_of_music(service):
    job = separated(service)
    beats = Beats(120.0, (0.25, 0.75), 4, 1)
    write_found(service.storage.song(job.id), Music(beats, (Chord(0.25, "Am"),)))
    return f"/api/jobs/{job.id}/music"


@pytest.fixture
def address(client, service):
    return address_of_music(service)


@pytest.fixture(scope="module")
def shared_address(shared_client, shared_service):
    return address_of_music(shared_service)


def test_what_was_found_is_shown(shared_client, shared_address):
    assert shared_client.get(shared_address).json() == {
        "beats": [0.25, 0.75],
        "beats_in_bar": 4,
        "first": 1,
        "chords": [{"start_s": 0.25, "name": "Am"}],
        "edited": False,
    }


def test_a_correction_is_kept_until_it_is_deleted(client, address):
    found = client.get(address).json()
    assert client.put(address, json=EDIT).json() == EDIT | {"edited": True}
    assert client.get(address).json() == EDIT | {"edited": True}
    assert client.delete(address).json() == found
    assert client.get(address).json() == found


def test_a_song_separated_by_an_older_version_has_no_beats_but_takes_some(client, service):
    address = f"/api/jobs/{separated(service).id}/music"
    assert client.get(address).json()["beats"] == []
    assert client.put(address, json=EDIT).json()["beats"] == EDIT["beats"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"beats": [1.0, 0.5]},
        {"beats": [1.0, 1.01]},
        {"beats": [-1.0]},
        {"beats": [1e9]},
        {"beats": ["soon"]},
        {"beats_in_bar": 0},
        {"first": 3},
        {"chords": [{"start_s": 1, "name": "C"}, {"start_s": 1, "name": "D"}]},
        {"chords": [{"start_s": 1, "name": "C" * 17}]},
        {"chords": [{"start_s": 1, "name": "C\n"}]},
    ],
)
def test_a_correction_that_cannot_be_is_refused_in_one_sentence(
    shared_client, shared_address, wrong
):
    answer = shared_client.put(shared_address, json=EDIT | wrong)
    assert answer.status_code == 422
    assert answer.json()["error"]["message"].startswith("Not possible: ")
    assert shared_client.get(shared_address).json()["edited"] is False


def test_what_is_no_json_or_endless_is_refused(shared_client, shared_address):
    assert shared_client.put(shared_address, content=b"[NaN").status_code == 422
    assert shared_client.put(shared_address, content=b'{"beats": [NaN]}').status_code == 422
    assert shared_client.put(shared_address, content=b" " * 2_000_001).status_code == 413


def test_a_song_that_is_not_separated_has_none(client, service, wav):
    job = client.post("/api/jobs", files={"file": ("a.wav", wav)}).json()
    assert client.get(f"/api/jobs/{job['id']}/music").status_code == 409
    assert client.put(f"/api/jobs/{job['id']}/music", json=EDIT).status_code == 409
    assert client.get(f"/api/jobs/{'0' * 20}/music").status_code == 404


def test_beats_are_found_in_files(tmp_path):
    clicks = np.zeros((12 * RATE, 2), np.float32)
    for beat in range(24):
        clicks[beat * RATE // 2 :][:2000] += noise(2000) * np.linspace(1, 0, 2000)[:, None] ** 4
    as_file(tmp_path / "drums.wav", clicks)
    soundfile.write(tmp_path / "bass.flac", 1e-3 * noise(len(clicks)), RATE)
    files = {part: next(tmp_path.glob(f"{part}.*")) for part in ("drums", "bass")}
    assert listen(files, RATE).beats.tempo == pytest.approx(120, rel=2e-3)
    assert parts_to_hear(["vocals", "no_vocals"]) == ["no_vocals"]


def test_a_mix_has_the_clicks_of_its_beats(client, service, address):
    mix = address.replace("/music", "/mix?gains=drums:0.5")
    client.put(address, json=EDIT | {"beats": [0.1, 0.6], "beats_in_bar": 2})
    plain, clicked = (
        soundfile.read(io.BytesIO(client.get(mix + more).content))[0] for more in ("", "&click=0.3")
    )
    difference = np.abs(clicked - plain).max(axis=1)
    loud = np.flatnonzero(difference > 1e-3)
    starts = loud[np.diff(loud, prepend=-RATE) > 0.1 * RATE] / RATE
    assert starts == pytest.approx([0.1, 0.6], abs=2e-3)
    assert difference[: RATE // 2].max() < 0.8 * difference[RATE // 2 :].max()  # the accent
    assert client.get(mix + "&click=2").status_code == 422


def test_clicks_do_not_depend_on_the_blocks():
    clicks = Clicks(MusicEdit([0.0, 0.5, 0.99], 4, 0, []), 0.5)
    whole = np.concatenate(list(clicks.add_to([np.zeros((2, RATE), np.float32)], RATE)), axis=1)
    pieces = [np.zeros((2, size), np.float32) for size in (100, 22000, 1, 21999)]
    assert np.array_equal(whole, np.concatenate(list(clicks.add_to(pieces, RATE)), axis=1))
