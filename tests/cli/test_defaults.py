"""A config file gives defaults; the command line overrides them."""

from __future__ import annotations

from pathlib import Path

import pytest

from unbraid.cli.commands import make_parser
from unbraid.cli.defaults import with_defaults
from unbraid.errors import SettingsError


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    monkeypatch.setenv("UNBRAID_CONFIG", str(path))
    return path


def _options(*arguments: str):
    parser = make_parser("separate")
    return parser.parse_intermixed_args(with_defaults("separate", parser, arguments))


def test_without_a_file_nothing_changes(config: Path) -> None:
    assert _options("song.mp3").format == "wav"


def test_the_file_sets_values_flags_lists_and_home_folders(config: Path) -> None:
    config.write_text(
        '[separate]\nformat = "flac"\nresidual = true\nreport = false\n'
        'stems = ["drums", "bass"]\nout = "~/stems"\nmax_memory = "2GB"\n'
    )
    options = _options("song.mp3")
    assert (options.format, options.residual, options.report) == ("flac", True, False)
    assert (options.stems, options.max_memory) == ("drums,bass", "2GB")
    assert options.out == str(Path.home() / "stems")


def test_the_command_line_wins(config: Path) -> None:
    config.write_text('[separate]\nformat = "flac"\n')
    assert _options("song.mp3", "--format", "mp3").format == "mp3"
    assert _options("song.mp3", "--no-config").format == "wav"


def test_another_command_is_not_affected(config: Path) -> None:
    config.write_text('[evaluate]\nsplit = "test"\n')
    assert _options("song.mp3").format == "wav"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('[separate]\nfromat = "flac"\n', "format"),
        ('[seperate]\nformat = "flac"\n', "separate"),
        ('format = "flac"\n', "[separate]"),
        ("[separate]\nresidual = 1\n", "true or false"),
        ("[separate]\nformat = true\n", "a value"),
        ("[separate\n", "cannot be read"),
    ],
)
def test_a_wrong_file_is_refused_with_a_hint(config: Path, text: str, hint: str) -> None:
    config.write_text(text)
    with pytest.raises(SettingsError) as error:
        _options("song.mp3")
    assert hint in str(error.value)
