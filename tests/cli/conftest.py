from __future__ import annotations

import signal

import pytest

from small_songs import LowHigh
from unbraid.cli.main import main
from unbraid.engines import prepare


@pytest.fixture
def unbraid_main(monkeypatch, tmp_path, capsys):
    """The command in `tmp_path`, a stand-in for models: arguments -> (code, stdout, stderr)."""
    monkeypatch.setattr(prepare, "load_to_run", lambda *place, **more: LowHigh())
    monkeypatch.chdir(tmp_path)
    handlers = {name: signal.getsignal(name) for name in (signal.SIGTERM, signal.SIGHUP)}

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    yield run
    for name, handler in handlers.items():
        signal.signal(name, handler)
