"""Notes played by soundfonts, through the program fluidsynth."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import mido
import numpy as np
import soundfile

from unbraid.errors import SettingsError
from unbraid.scratch import temporary
from unbraid.songs.effects import RATE
from unbraid.songs.notes import Note

KNOWN = {
    "FluidR3_GM.sf2": "MIT: Fluid (R3) General MIDI SoundFont by Frank Wen",
    "MuseScore_General.sf3": "MIT: MuseScore_General by S. Christian Collins and others",
}
"""Soundfonts that are looked for, and their licences; Debian: fluid-soundfont-gm and
musescore-general-soundfont."""

_FOLDERS = ("/usr/share/sounds/sf2", "/usr/share/sounds/sf3", "/usr/local/share/soundfonts")
_TICKS_PER_S = 960  # 480 for a beat, at 120 beats a minute

Part = tuple[int | None, Sequence[Note]]
"""A General MIDI program (None for drums) and what it plays."""


def find_soundfont() -> Path | None:
    """The first known soundfont of this machine, if fluidsynth is there to play it."""
    if shutil.which("fluidsynth") is None:
        return None
    for name in KNOWN:
        for folder in _FOLDERS:
            if (Path(folder) / name).exists():
                return Path(folder) / name
    return None


def play(
    font: Path, parts: Sequence[Part], samples: int, reverb: bool = False, kit: int = 0
) -> np.ndarray:
    """All parts together, (samples, 2).

    Args:
        font: a soundfont.
        parts: what is played.
        samples: length.
        reverb: with the player's own reverberation and chorus.
        kit: program of the drums; 0 is the standard kit.
    Raises:
        SettingsError: if fluidsynth cannot be run or does not take the soundfont.
    """
    with temporary() as scratch:
        midi, wav = scratch.folder / "song.mid", scratch.folder / "song.wav"
        _midi_file(parts, kit).save(midi)
        space = "1" if reverb else "0"
        command = [
            "fluidsynth",
            "-ni",
            "-q",
            "-r",
            str(RATE),
            "-g",
            "0.4",
            "-R",
            space,
            "-C",
            space,
        ]
        command += ["-o", "synth.dynamic-sample-loading=1", "-T", "wav", "-O", "float"]
        command += ["-F", str(wav), str(font), str(midi)]
        try:
            subprocess.run(command, check=True, capture_output=True)
            audio, _ = soundfile.read(wav, dtype="float32", always_2d=True)
        except (OSError, subprocess.CalledProcessError, soundfile.SoundFileError) as error:
            said = getattr(error, "stderr", None) or str(error).encode()
            line = " ".join(said.decode(errors="replace").split())[:200]
            raise SettingsError(f"fluidsynth cannot play {str(font)!r}: {line}") from error
    out = np.zeros((samples, 2), np.float32)
    out[: len(audio)] = audio[:samples]
    return out


def _midi_file(parts: Sequence[Part], kit: int = 0) -> mido.MidiFile:
    song = mido.MidiFile(ticks_per_beat=480)
    channels = [channel for channel in range(16) if channel != 9]
    for part, (program, notes) in enumerate(parts):
        channel = 9 if program is None else channels[part % 15]
        track = mido.MidiTrack()
        song.tracks.append(track)
        if program is not None or kit:
            played = kit if program is None else program
            track.append(mido.Message("program_change", program=played, channel=channel))
        events: list[tuple[int, str, int, int]] = []
        for note in notes:
            end = note.start + max(0.03, note.length)
            events.append((int(note.start * _TICKS_PER_S), "note_on", note.pitch, note.velocity))
            events.append((int(end * _TICKS_PER_S), "note_off", note.pitch, 0))
        now = 0
        for tick, kind, pitch, velocity in sorted(events):
            message = mido.Message(
                kind, note=pitch, velocity=velocity, channel=channel, time=tick - now
            )
            track.append(message)
            now = tick
    return song
