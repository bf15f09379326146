from __future__ import annotations

import pytest

from durable import Disk
from unbraid.errors import SettingsError
from unbraid.web.storage import Storage, known_suffix, new_id


@pytest.fixture
def storage(tmp_path):
    made = Storage(tmp_path / "data")
    yield made
    made.close()


def arrived(storage, content=b"abc"):
    path = storage.arriving()
    path.write_bytes(content)
    return path


def test_a_folder_has_one_server(storage):
    with pytest.raises(SettingsError, match="another unbraid serve"):
        Storage(storage.root)


def test_a_folder_is_free_again_when_its_server_ends(tmp_path):
    Storage(tmp_path).close()
    Storage(tmp_path).close()


def test_a_folder_that_cannot_be_made_is_said_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="choose another --data"):
        Storage(tmp_path / "file" / "data")


@pytest.mark.parametrize("id", ["", "..", "../x", "a" * 20 + "/", "A" * 20, "0" * 19, "0" * 21])
def test_only_ids_become_paths(storage, id):
    with pytest.raises(ValueError, match="is not an id"):
        storage.song(id)


@pytest.mark.parametrize("name", ["a.mp3/../b", "a.exe", "a", ".", "a.mp3\0", "a.{stem}", "a. wav"])
def test_suffixes_are_known_ones_or_none(name):
    assert known_suffix(name) == ""


def test_a_power_cut_takes_no_upload(storage, monkeypatch):
    disk = Disk(monkeypatch)
    storage.take(new_id(), arrived(storage), ".mp3")
    disk.check("original.mp3")


def test_what_no_job_knows_is_swept_away(storage):
    kept, orphan = new_id(), new_id()
    storage.take(kept, arrived(storage), ".mp3")
    storage.take(orphan, arrived(storage), ".mp3")
    arrived(storage)
    assert storage.sweep({kept}) == 2
    assert [path.name for path in storage.songs.iterdir()] == [kept]
    assert list(storage.incoming.iterdir()) == []


def test_a_shared_upload_outlives_the_first_song(storage):
    first, second = new_id(), new_id()
    storage.take(first, arrived(storage), ".mp3")
    storage.share(first, second, ".mp3")
    storage.remove(first)
    assert storage.original(second, ".mp3").read_bytes() == b"abc"
    assert not storage.song(first).exists()


def test_clearing_results_keeps_the_upload(storage):
    id = new_id()
    storage.take(id, arrived(storage), "")
    (storage.song(id) / "stems").mkdir()
    (storage.song(id) / "stems" / "drums.wav").write_bytes(b"x")
    (storage.song(id) / "peaks.json").write_text("{}")
    assert storage.used_bytes(id) == 6
    storage.clear_results(id)
    assert [path.name for path in storage.song(id).iterdir()] == ["original"]
