"""Hashes of files: read once, and again as soon as the file is another."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from unbraid.errors import CheckpointError
from unbraid.zoo.hashes import sha256_of


def test_a_file_is_read_once_for_its_hash(tmp_path, monkeypatch):
    path = tmp_path / "model.th"
    path.write_bytes(b"weights")
    opened = []
    real = Path.open

    def counted(self, *how):
        opened.append(self)
        return real(self, *how)

    monkeypatch.setattr(Path, "open", counted)
    assert sha256_of(path) == sha256_of(path) == hashlib.sha256(b"weights").hexdigest()
    assert opened == [path]


def test_a_file_that_is_replaced_or_written_to_has_another_hash(tmp_path):
    path, other = tmp_path / "model.th", tmp_path / "other.th"
    path.write_bytes(b"weights")
    before = sha256_of(path)
    other.write_bytes(b"weighed")  # of the same size
    other.replace(path)
    assert sha256_of(path) == hashlib.sha256(b"weighed").hexdigest() != before
    path.write_bytes(b"weighed down")
    assert sha256_of(path) == hashlib.sha256(b"weighed down").hexdigest()


def test_a_file_that_cannot_be_read_has_no_hash(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be read"):
        sha256_of(tmp_path / "gone.th")
