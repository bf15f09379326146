"""The vocals of a made-up song: recorded singing, or speech turned into a melody."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from unbraid.songs import effects as fx
from unbraid.songs import synth, voices
from unbraid.songs.ingredients import VOICE_SHARES
from unbraid.songs.song import Song


def vocals(song: Song) -> np.ndarray | None:
    """Singing, (samples, 2); None if there is no voice to sing."""
    rng = song.rng
    if song.chance(0.35) and song.settings.recorded_vocals:
        return _recorded_vocals(song)
    if not song.ingredients.voices:
        return None
    pieces = _voice_pieces(song)
    audio = voices.lay_out(rng, pieces, song.plan, song.samples, rng.uniform(0.4, 0.8))
    audio = fx.compress(audio, rng.uniform(2, 5), 0.1)
    if song.chance(0.5):
        delay = rng.choice((0.5, 0.75, 1)) * 60 / song.plan.tempo
        audio = fx.echo(audio, delay, rng.uniform(0.2, 0.6), rng.uniform(0.05, 0.4))
    return fx.reverb(audio, rng, rng.uniform(0.4, 2.5), rng.uniform(0, 0.4))


def _recorded_vocals(song: Song) -> np.ndarray:
    """The loudest of six excerpts of real singing, at another speed now and then."""
    song.credits.add(song.settings.recorded_credit)
    paths = song.settings.recorded_vocals
    chosen = int(song.rng.choice(np.arange(len(paths))))
    recording = _Recording(paths[chosen])
    starts = song.rng.integers(0, max(1, recording.samples - song.samples), 6)
    excerpts = [recording.read(int(start), song.samples) for start in starts]
    levels = [np.mean(np.square(excerpt[::97])) for excerpt in excerpts]
    excerpt = excerpts[int(np.argmax(levels))]
    if song.chance(0.6):
        excerpt = synth.repitch(excerpt, 2 ** (song.rng.uniform(-2.5, 2.5) / 12))
    out = np.zeros((song.samples, 2), np.float32)
    out[: len(excerpt)] = excerpt[: song.samples]
    return out


def _voice_pieces(song: Song) -> list[np.ndarray]:
    """Phrases of one speaker: sung by WORLD, or unchanged."""
    rng, there = song.rng, song.ingredients.voices
    names = list(there)
    shares = [VOICE_SHARES.get(name, 0.1) for name in names]
    if names != list(VOICE_SHARES):
        shares = [share / sum(shares) for share in shares]
    folder = str(rng.choice(names, p=shares))
    song.credits.add(song.ingredients.credit(f"voices/{folder}"))
    entries = there[folder]
    entry = entries[rng.integers(len(entries))]
    top = song.ingredients.folder / "voices"
    is_sung = entry["kind"] == "sung"
    if is_sung and entry["dur"] < 3:  # shouts and vowels: no phrase by itself
        chosen = [entries[i] for i in rng.integers(len(entries), size=10)]
        return [voices.stereo(voices.load(top / one["file"]), rng) for one in chosen]
    if not is_sung and entry["dur"] < 20:
        same = [one for one in entries if one["speaker"] == entry["speaker"]]
        mono = np.concatenate([voices.load(top / one["file"]) for one in same])
    else:
        start = 0.0 if is_sung else rng.uniform(12, max(13, entry["dur"] - 18))
        mono = voices.load(top / entry["file"], start, 11)
    if is_sung or song.chance(0.25) or not song.ingredients.sing:
        return voices.phrases(voices.stereo(mono, rng))
    centre = (54 if (entry.get("f0_median") or 200) < 165 else 64) + int(rng.integers(-3, 5))
    choirs = song.settings.choirs
    many = choirs > 0 and song.chance(choirs)
    sung = (voices.choir_phrases if many else voices.sung_phrases)(rng, mono, song.plan, centre)
    return voices.phrases(fx.butter(sung, 90, "high"))


class _Recording:
    """Real singing, with random access: 16-bit .npy (samples, 2), or sound."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._array = np.load(path, mmap_mode="r") if path.suffix == ".npy" else None
        self.samples = soundfile.info(path).frames if self._array is None else len(self._array)

    def read(self, start: int, samples: int) -> np.ndarray:
        """(samples, 2), float32 within ±1."""
        if self._array is None:
            audio, _ = soundfile.read(self._path, samples, start, dtype="float32", always_2d=True)
            return audio if audio.shape[1] == 2 else np.repeat(audio[:, :1], 2, axis=1)
        stretch: np.ndarray = self._array[start : start + samples].astype(np.float32) / 32768
        return stretch
