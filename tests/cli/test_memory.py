"""When Python looks for garbage."""

from __future__ import annotations

import gc

import pytest

from unbraid.cli.main import main
from unbraid.cli.memory import no_collection


@pytest.fixture(autouse=True)
def _all_is_collected_again():
    yield
    gc.unfreeze()


def test_garbage_is_looked_for_after_a_start_and_not_in_what_was_there():
    gc.unfreeze()
    with no_collection():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 1000


def test_garbage_is_looked_for_after_a_start_that_fails():
    with pytest.raises(ValueError, match="broken"), no_collection():
        raise ValueError("broken")
    assert gc.isenabled()


def test_a_process_that_goes_on_after_a_command_collects_everything(tmp_path, capsys):
    assert main(["separate", str(tmp_path / "missing.wav")]) == 1
    assert "missing.wav" in capsys.readouterr().err
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
