"""The options of delivery, as settings."""

from __future__ import annotations

import argparse

import pytest

from unbraid.cli import batch, separate
from unbraid.errors import SettingsError


def settings(*arguments: str, command=separate):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    options = parser.parse_args(["song.wav", *arguments])
    options.skip_existing = False
    return separate.output_settings(options)


@pytest.mark.parametrize("command", [separate, batch])
def test_options_of_delivery_become_settings(command):
    output = settings(
        *("--format", "stem", "--group", "other=other+guitar", "--group", "a = b"),
        *("--only", "a,other", "--loudness", "-14"),
        command=command,
    )
    assert output.extension == "stem.mp4"
    assert output.groups == (("other", ("other", "guitar")), ("a", ("b",)))
    assert output.only == ("a", "other")
    assert output.loudness_lufs == -14
    assert output.filename == "{track}.{ext}"


def test_karaoke_is_one_file_without_vocals():
    output = settings("--karaoke", "--format", "mp3")
    assert (output.two_stems, output.only) == ("vocals", ("no_vocals",))
    assert output.filename == "{track} (karaoke).{ext}"
    assert settings("--karaoke", "--filename", "{track}.{ext}").filename == "{track}.{ext}"
    with pytest.raises(SettingsError, match="karaoke"):
        settings("--karaoke", "--stems", "drums")


def test_without_options_names_are_as_ever():
    assert settings().filename == "{track}/{stem}.{ext}"
    assert settings("--reaper").project
    with pytest.raises(SettingsError):
        settings("--group", "drums")
