"""One made-up song: its parts are drawn, played, mixed and limited, all from its seed."""

from __future__ import annotations

from typing import Any

import numpy as np

from unbraid.songs import effects as fx
from unbraid.songs.deep_bass import Line, deep_bass
from unbraid.songs.ingredients import Ingredients
from unbraid.songs.other_parts import midi_stems, other
from unbraid.songs.rhythm_parts import bass, drums
from unbraid.songs.singing import vocals
from unbraid.songs.song import Seed, Song, SongSettings


def make_song(
    seed: Seed,
    ingredients: Ingredients,
    settings: SongSettings | None = None,
    kind: str | None = None,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """A song of up to four stems.

    Args:
        seed: of everything; the same seed, ingredients, settings and kind make the same song.
        ingredients: what it is made from.
        settings: length and singers.
        kind: "electronic", "band" or "midi"; drawn if None.
    Returns:
        stems (samples, 2), whose plain sum stays below full scale, without silent ones; and what
        there is to know: style, tempo, licences.
    """
    song = Song(seed, ingredients, settings or SongSettings(), kind)
    stems: dict[str, np.ndarray] = {}
    if song.kind == "midi":
        stems = midi_stems(song)
    else:
        if not song.chance(0.04):
            stems["drums"] = drums(song)
        if not song.chance(0.03):
            stems["bass"] = bass(song)
        stems["other"] = other(song)
    if not song.chance(0.12) and (singing := vocals(song)) is not None:
        stems["vocals"] = singing
    stems = {stem: audio for stem, audio in stems.items() if fx.rms(audio) > 1e-5}
    if not stems:  # a piece that begins with a long rest
        stems = {"other": other(song)}
    return _mix(song, stems), _facts(song, song.kind)


def make_low_end(
    seed: Seed,
    ingredients: Ingredients,
    settings: SongSettings | None = None,
    *,
    line: Line = "pattern",
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Drums and a deep bass alone, as `make_song`: what shares the lowest octaves is heard most.

    Args:
        seed, ingredients, settings: as for `make_song`.
        line: "loose", the bass is played as a player feels it, in no pattern; "punch", so too, and
            its notes begin as a kick does; "mono", one voice that jumps and slides.
    """
    song = Song(seed, ingredients, settings or SongSettings(), "electronic")
    stems = _mix(song, {"drums": drums(song), "bass": deep_bass(song, line)})
    return stems, _facts(song, "low end")


def _facts(song: Song, style: str) -> dict[str, Any]:
    return {
        "style": style,
        "tempo": round(song.plan.tempo, 1),
        "licences": sorted(song.credits),
    }


def _mix(song: Song, stems: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Levels, EQ, pumping and a limiter; the stems' sum stays below full scale."""
    rng = song.rng
    drum_db = rng.uniform(-28, -20)
    bass_db = drum_db + rng.uniform(-8, 10)
    if song.kind == "electronic" and song.chance(0.45):
        bass_db = drum_db + rng.uniform(7, 16)
    levels = {"drums": drum_db, "bass": bass_db}
    levels |= {"other": rng.uniform(-33, -23), "vocals": rng.uniform(-33, -21)}
    pumping = song.kind == "electronic" and song.chance(0.5)
    depth, release = rng.uniform(0.2, 0.8), rng.uniform(0.05, 0.2)
    mixed = {}
    for stem, audio in stems.items():
        tilted = fx.tilt(audio, rng.uniform(-3, 3) * (0.4 if stem == "bass" else 1))
        if pumping and stem in ("bass", "other"):
            tilted = fx.duck(tilted, song.kicks, depth, release)
        mixed[stem] = tilted * (10 ** (levels[stem] / 20) / fx.rms(tilted))
    peak = float(np.abs(_sum(mixed)).max())
    ceiling = 0.95
    if song.chance(0.35):  # a loud master: the limiter works on the sum, stems get its gain curve
        curve = fx.limiter_curve(_sum(mixed), peak * rng.uniform(0.35, 0.8))
        mixed = {stem: audio * curve for stem, audio in mixed.items()}
        peak = float(np.abs(_sum(mixed)).max())
    gain = min(ceiling / peak, 10 ** (rng.uniform(-2, 8) / 20))
    loudest = max(float(np.abs(audio).max()) for audio in mixed.values())
    gain = min(gain, 0.99 / loudest)
    return {stem: (audio * gain).astype(np.float32) for stem, audio in mixed.items()}


def _sum(stems: dict[str, np.ndarray]) -> np.ndarray:
    first, *others = stems.values()
    total: np.ndarray = sum(others, first)
    return total
