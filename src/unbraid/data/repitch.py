"""Change of pitch and tempo, alike for all stems of an excerpt, as in the public Demucs recipe.

Two programs can do it: the library Signalsmith Stretch (PyPI python-stretch, MIT), which is the
default, and the external program `soundstretch` (SoundTouch) of the original recipe. Both change
pitch and tempo independently of each other.
"""

from __future__ import annotations

import importlib.util
import math
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import soundfile

from unbraid.audio.signal import OtherSignal, Signal
from unbraid.errors import SettingsError, how_to_install
from unbraid.scratch import temporary
from unbraid.shapes import Float32

_CLAMP = np.float32(0.99)
_HEADROOM = 0.5  # soundstretch may overshoot, and clips where it does
_SPEECH_BLOCK_S, _SPEECH_STEP_S = 0.08, 0.02  # music: 0.12 and 0.03


@dataclass(frozen=True)
class RepitchSettings:
    """How often and how far pitch and tempo change.

    Attributes:
        probability: of a change, for each excerpt; all others are only cut.
        max_semitones: pitch moves by a whole number of semitones of at most this.
        tempo_std: deviation of the tempo's change, in percent.
        max_tempo: the change is clipped to this, in percent; also the share cut off every excerpt.
        speech_stems: stems to treat as a voice.
        backend: "stretch" or "soundstretch".
        clip: the quirk of the original recipe: stems pass through 16-bit integers, clamped to
            ±0.99, although they are normalized to a mixture of deviation 1. Off, they keep their
            full range.
        quick: less work and quality.
    Raises:
        SettingsError: if a value makes no sense.
    """

    probability: float = 0.2
    max_semitones: int = 2
    tempo_std: float = 5.0
    max_tempo: float = 12.0
    speech_stems: tuple[str, ...] = ("vocals",)
    backend: Literal["stretch", "soundstretch"] = "stretch"
    clip: bool = False
    quick: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise SettingsError(f"a probability lies within 0 and 1, got {self.probability}")
        if not 0 <= self.max_semitones <= 24:
            raise SettingsError(f"pitch moves by 0 to 24 semitones, got {self.max_semitones}")
        if not 0 <= self.max_tempo <= 50 or not (0 <= self.tempo_std < math.inf):
            raise SettingsError(
                f"tempo changes by at most 0 to 50 %, got {self.max_tempo} (std {self.tempo_std})"
            )
        if self.backend not in ("stretch", "soundstretch"):
            raise SettingsError(
                f"pitch and tempo are changed by 'stretch' or 'soundstretch', got {self.backend!r}"
            )

    def check_backend(self) -> None:
        """Make sure that what changes pitch and tempo is there.

        Raises:
            SettingsError: if it is not, with how to get it.
        """
        if self.backend == "soundstretch" and shutil.which("soundstretch") is None:
            raise SettingsError(
                "the program 'soundstretch' is not on the PATH (Debian: soundstretch); "
                "the backend 'stretch' needs none"
            )
        if self.backend == "stretch" and importlib.util.find_spec("python_stretch") is None:
            raise SettingsError(
                f"changing pitch and tempo needs python-stretch: {how_to_install('train')}"
            )


def repitched_samples(samples: int, settings: RepitchSettings) -> int:
    """What is left of an excerpt, changed or not: what the fastest change leaves.

    >>> repitched_samples(485100, RepitchSettings())
    426888
    """
    return int((1 - settings.max_tempo / 100) * samples)


def repitch(
    sources: Float32[np.ndarray, "s c t"],
    stems: Sequence[str],
    sample_rate: int,
    settings: RepitchSettings,
    rng: np.random.Generator,
) -> Float32[np.ndarray, "s c u"]:
    """Now and then another pitch and tempo, the same for all stems; always cut alike.

    Args:
        sources: (stems, channels, samples).
        stems: their names; some can be voices.
        sample_rate: Hz.
        settings: how often and how far.
        rng: three draws, whether there is a change or not.
    Returns:
        (stems, channels, `repitched_samples`).
    Raises:
        SettingsError: if the program that should do it is missing or fails.
    Source: the augmentation of the public Demucs recipe.
    """
    coin = rng.random()
    semitones = int(rng.integers(-settings.max_semitones, settings.max_semitones + 1))
    drawn = settings.tempo_std * rng.standard_normal()
    tempo = float(np.clip(drawn, -settings.max_tempo, settings.max_tempo))
    samples = repitched_samples(sources.shape[-1], settings)
    if coin >= settings.probability:
        return np.ascontiguousarray(sources[..., :samples])
    changed = [
        change(
            source,
            sample_rate,
            semitones,
            tempo,
            speech=stem in settings.speech_stems,
            backend=settings.backend,
            clip=settings.clip,
            quick=settings.quick,
        )[:, :samples]
        for stem, source in zip(stems, sources, strict=True)
    ]
    out = np.zeros((*sources.shape[:2], samples), np.float32)
    for target, signal in zip(out, changed, strict=True):  # programs round the length their way
        target[:, : signal.shape[1]] = signal
    return out


def change(
    signal: Signal,
    sample_rate: int,
    semitones: float,
    tempo: float,
    *,
    speech: bool = False,
    backend: Literal["stretch", "soundstretch"] = "stretch",
    clip: bool = False,
    quick: bool = False,
) -> OtherSignal:
    """A signal at another pitch and tempo.

    Args:
        signal: (channels, samples), of any level.
        sample_rate: Hz.
        semitones: by how much the pitch goes up; frequencies grow by 2^(semitones / 12).
        tempo: by how much it gets faster, in percent; the length shrinks by 1 + tempo / 100.
        speech: treat it as a voice: shorter windows, which keep syllables crisp.
        backend, clip, quick: as in `RepitchSettings`.
    Raises:
        SettingsError: if the program that should do it is missing or fails.
    """
    samples = round(signal.shape[1] / (1 + tempo / 100))
    if clip:
        steps = np.rint(np.clip(signal, -_CLAMP, _CLAMP) * np.float32(2**15))
        signal = (steps / np.float32(2**15)).astype(np.float32)
    if not signal.any() or (semitones == 0 and tempo == 0):
        fitted = np.zeros((signal.shape[0], samples), np.float32)
        fitted[:, : signal.shape[1]] = signal[:, :samples]
        return fitted
    if backend == "soundstretch":
        return _soundstretch(signal, sample_rate, semitones, tempo, speech, clip, quick)
    return _stretch(signal, sample_rate, semitones, tempo, speech, quick)


def _stretch(
    signal: np.ndarray,
    sample_rate: int,
    semitones: float,
    tempo: float,
    speech: bool,
    quick: bool,
) -> np.ndarray:
    try:
        from python_stretch.Signalsmith import Stretch
    except ImportError as error:
        raise SettingsError(
            f"changing pitch and tempo needs python-stretch: {how_to_install('train')}"
        ) from error
    stretch = Stretch(0)
    channels = signal.shape[0]
    if speech and not quick:
        block, step = (round(s * sample_rate) for s in (_SPEECH_BLOCK_S, _SPEECH_STEP_S))
        stretch.configure(channels, block, step)
    else:
        stretch.preset(channels, sample_rate, quick)
    stretch.setTransposeSemitones(semitones)
    stretch.timeFactor = 1 + tempo / 100
    changed: np.ndarray = np.asarray(stretch.process(np.ascontiguousarray(signal)), np.float32)
    return changed


def _soundstretch(
    signal: np.ndarray,
    sample_rate: int,
    semitones: float,
    tempo: float,
    speech: bool,
    clip: bool,
    quick: bool,
) -> np.ndarray:
    # Clipped as the original recipe has it, or scaled so that nothing clips, at 24 bits.
    gain = 1.0 if clip else _HEADROOM / float(np.abs(signal).max())
    with temporary() as scratch:
        before, after = scratch.folder / "before.wav", scratch.folder / "after.wav"
        subtype = "PCM_16" if clip else "PCM_24"
        soundfile.write(before, (signal * np.float32(gain)).T, sample_rate, subtype=subtype)
        command = ["soundstretch", str(before), str(after)]
        command += [f"-pitch={semitones:g}", f"-tempo={tempo:.6f}"]
        command += ["-speech"] * speech + ["-quick"] * quick
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            raise SettingsError(
                "the program 'soundstretch' is not on the PATH (Debian: soundstretch); "
                "the backend 'stretch' needs none"
            ) from error
        if done.returncode != 0 or not after.exists():
            said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
            raise SettingsError(f"soundstretch failed: {said}")
        changed, _ = soundfile.read(after, dtype="float32", always_2d=True)
    louder: np.ndarray = np.ascontiguousarray(changed.T) / np.float32(gain)
    return louder
