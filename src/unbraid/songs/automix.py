"""Realistic remixes: stems of different songs, brought to one tempo and key, beat on beat.

A model that was trained on random remixes gains a little by a last stage on these; training
on them alone does worse (Défossez, arXiv:2111.03600).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from unbraid.data.index import TrackIndex
from unbraid.data.indexed_track import IndexedTrack
from unbraid.data.repitch import RepitchSettings, change
from unbraid.data.whole_tracks import read_mixture, read_sources
from unbraid.errors import SettingsError
from unbraid.music.analysis import find_beats
from unbraid.music.beats import Beats
from unbraid.music.keys import key_shift, pitch_classes
from unbraid.shapes import Float32
from unbraid.songs.alignment import delay_s, lay_together
from unbraid.songs.dataset_writer import (
    OnTrack,
    TrackDone,
    TrackFormat,
    begin,
    check_request,
    finish,
    make_tracks,
    read_facts,
    run_jobs,
    write_track,
)

MANIFEST = "automix.json"
SPLIT = "train"

_TEMPO_FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
_START = 0.01  # of the mixture's deviation: where a song begins
_SILENT_COPIES = 2


@dataclass(frozen=True)
class AutomixSettings:
    """How songs are mixed.

    Attributes:
        copies: mixes that each song is the host of.
        seed: of all that is drawn.
        max_tempo: by how much a stem's tempo may change, in percent.
        max_semitones: by how much its pitch may.
        quiet: share of the mixture's level below which drums or bass are too quiet to go by; such
            songs are only copied.
        drums, bass: the stems used for beats and key; without them, the mixture is used.
        speech_stems: stems to treat as a voice.
        backend: what changes pitch and tempo, as in `RepitchSettings`.
        format: "flac" or "wav", both with 16 bits.
    Raises:
        SettingsError: if a value makes no sense.
    """

    copies: int = 6
    seed: int = 0
    max_tempo: float = 15.0
    max_semitones: int = 3
    quiet: float = 0.01
    drums: str = "drums"
    bass: str = "bass"
    speech_stems: tuple[str, ...] = ("vocals",)
    backend: Literal["stretch", "soundstretch"] = "stretch"
    format: TrackFormat = "flac"

    def __post_init__(self) -> None:
        if self.copies < 1:
            raise SettingsError(f"copies is 1 or more, got {self.copies}")
        check_request("mixes", self.seed, self.format)
        if not 0 <= self.max_tempo <= 50 or not 0 <= self.max_semitones <= 6:
            raise SettingsError(
                "tempo changes by at most 0 to 50 % and pitch by 0 to 6 semitones, got "
                f"{self.max_tempo:g} and {self.max_semitones}"
            )


@dataclass(frozen=True)
class Groove:
    """What a song can be fitted by.

    Attributes:
        start: where it begins, in samples.
        beats: from there on.
        classes: how often each pitch class is the strongest of the bass.
    """

    start: int
    beats: Beats
    classes: tuple[float, ...]


@dataclass(frozen=True)
class Fit:
    """How a stem of one song is made to fit another.

    Attributes:
        tempo: change in percent.
        semitones: change of pitch.
    """

    tempo: float
    semitones: int


@dataclass(frozen=True)
class _Song:
    """A song of the catalogue, and what it can be fitted by; None if it is only copied."""

    track: IndexedTrack
    groove: Groove | None


@dataclass(frozen=True)
class _Common:
    """What all jobs share."""

    out: Path
    stems: tuple[str, ...]
    sample_rate: int
    settings: AutomixSettings


@dataclass(frozen=True)
class _Look:
    common: _Common
    number: int
    track: IndexedTrack


@dataclass(frozen=True)
class _Job:
    common: _Common
    name: str
    host: int
    copy: int
    catalogue: tuple[_Song, ...]


def automix(
    index: TrackIndex,
    out: Path,
    settings: AutomixSettings | None = None,
    *,
    sample_rate: int | None = None,
    workers: int = 1,
    on_mix: OnTrack | None = None,
) -> list[TrackDone]:
    """Make a dataset of mixes from one of songs; all of it is for training.

    Args:
        index: the songs.
        out: folder of the dataset; new, or begun with the same request.
        settings: how.
        sample_rate: Hz of the mixes (that of the first song).
        workers: processes at once.
        on_mix: called with each finished mix.
    Returns:
        all mixes, by name. Each has a track.json that says what its stems were made from.
    Raises:
        SettingsError: if there are no two songs, or `out` was begun with another request.
        UnbraidError: if a file cannot be read or written.
    """
    settings = settings or AutomixSettings()
    RepitchSettings(backend=settings.backend).check_backend()
    if len(index.tracks) < 2:
        raise SettingsError(f"mixes need at least 2 songs, got {len(index.tracks)}")
    rate = sample_rate or index.tracks[0].sample_rate
    content = {
        "request": {**asdict(settings), "speech_stems": list(settings.speech_stems)},
        "stems": list(index.stems),
        "sample_rate": rate,
        "songs": index.fingerprint(),
    }
    begin(out, MANIFEST, content)
    common = _Common(out, index.stems, rate, settings)
    looks = [_Look(common, number, track) for number, track in enumerate(index.tracks)]
    grooves = {look.number: groove for look, groove in run_jobs(looks, _look, workers)}
    catalogue = tuple(_Song(track, grooves[n]) for n, track in enumerate(index.tracks))
    jobs = [
        _Job(common, _name(song.track, copy), number, copy, catalogue)
        for number, song in enumerate(catalogue)
        for copy in range(settings.copies if song.groove else _SILENT_COPIES)
    ]
    done: list[TrackDone] = []
    for mix in make_tracks(out, jobs, lambda job: f"{SPLIT}/{job.name}", _make, workers):
        done.append(mix)
        if on_mix is not None:
            on_mix(mix, len(done), len(jobs))
    done.sort(key=lambda mix: mix.track)
    finish(out, MANIFEST, content)
    return done


def find_groove(
    sources: Float32[np.ndarray, "s c t"],
    mixture: Float32[np.ndarray, "c t"],
    stems: Sequence[str],
    sample_rate: int,
    settings: AutomixSettings,
) -> Groove | None:
    """Tempo, beats and key of a song; None if its drums or bass are too quiet.

    Args:
        sources: (stems, channels, samples).
        mixture: (channels, samples).
        stems: names of the sources.
        sample_rate: Hz.
        settings: which stems are used, and how loud they have to be.
    """
    mono = mixture.mean(axis=0)
    level = float(mono.std())
    loud = np.flatnonzero(np.abs(mono) >= _START * level) if level > 0 else np.zeros(0, int)
    if len(loud) == 0:
        return None
    start = int(loud[0])
    telling = []
    for name in (settings.drums, settings.bass):
        of = sources[list(stems).index(name)].mean(axis=0) if name in stems else mono
        if float(of.std()) < settings.quiet * level:
            return None
        telling.append(of[start:])
    beats = find_beats(telling[0], sample_rate)
    classes = pitch_classes(telling[1], sample_rate)
    if beats is None or classes is None:
        return None
    return Groove(start, beats, tuple(map(float, classes)))


def fit(host: Groove, other: Groove, settings: AutomixSettings) -> Fit | None:
    """How a stem of `other` is made to fit `host`; None if they lie too far apart.

    The other may also run at twice or four times the tempo, or a half or a quarter of it.
    """
    changes = [
        100 * (host.beats.tempo / (other.beats.tempo * factor) - 1) for factor in _TEMPO_FACTORS
    ]
    tempo = min(changes, key=abs)
    semitones = key_shift(np.array(other.classes), np.array(host.classes))
    if abs(tempo) >= settings.max_tempo or abs(semitones) > settings.max_semitones:
        return None
    return Fit(tempo, semitones)


def _look(look: _Look) -> Groove | None:
    common = look.common
    sources = read_sources(look.track, common.stems, common.sample_rate, 2).numpy()
    mixture = read_mixture(look.track, common.sample_rate, 2).numpy()
    return find_groove(sources, mixture, common.stems, common.sample_rate, common.settings)


def _make(job: _Job) -> dict[str, Any]:
    common, settings = job.common, job.common.settings
    rng = np.random.default_rng((settings.seed, job.host, job.copy))
    host = job.catalogue[job.host]
    chosen: dict[str, tuple[_Song, Fit]] = dict.fromkeys(common.stems, (host, Fit(0.0, 0)))
    if host.groove is not None:
        order = [common.stems[i] for i in rng.permutation(len(common.stems))]
        for stem in order[1:]:  # the first one stays with its song
            chosen[stem] = _partner(host, job.catalogue, settings, rng) or chosen[stem]
    parts, delays, origins = [], [], {}
    for stem in common.stems:
        song, fitted = chosen[stem]
        part, delay = _part(stem, song, fitted, host, common)
        parts.append(part)
        delays.append(round(delay * common.sample_rate))
        origins[stem] = {"song": song.track.name, **asdict(fitted), "delay_s": delay}
    laid = lay_together(parts, delays)
    peak = max(float(np.abs(part).max(initial=0.0)) for part in (*laid, sum(laid[1:], laid[0])))
    gain = np.float32(1 / (1.01 * peak) if peak > 1 else 1.0)
    facts = {
        "kind": "copy" if all(song is host for song, _ in chosen.values()) else "automix",
        "host": host.track.name,
        "tempo": round(host.groove.beats.tempo, 2) if host.groove else None,
        "stems": origins,
        "licences": _licences([song for song, _ in chosen.values()]),
    }
    stems = {stem: part * gain for stem, part in zip(common.stems, laid, strict=True)}
    folder = common.out / SPLIT / job.name
    return write_track(folder, stems, common.sample_rate, facts, settings.format)


def _partner(
    host: _Song, catalogue: Sequence[_Song], settings: AutomixSettings, rng: np.random.Generator
) -> tuple[_Song, Fit] | None:
    """Any other song that fits."""
    assert host.groove is not None
    for number in rng.permutation(len(catalogue)):
        other = catalogue[number]
        if other is host or other.groove is None:
            continue
        fitted = fit(host.groove, other.groove, settings)
        if fitted is not None:
            return other, fitted
    return None


def _part(
    stem: str, song: _Song, fitted: Fit, host: _Song, common: _Common
) -> tuple[np.ndarray, float]:
    """A stem, from where its song begins, fitted to the host; and its delay in seconds."""
    signal_ = read_sources(song.track, (stem,), common.sample_rate, 2).numpy()[0]
    if song.groove is None or host.groove is None:
        return signal_, 0.0
    signal_ = signal_[:, song.groove.start :]
    if song is host:
        return signal_, 0.0
    changed = change(
        signal_,
        common.sample_rate,
        fitted.semitones,
        fitted.tempo,
        speech=stem in common.settings.speech_stems,
        backend=common.settings.backend,
    )
    faster = 1 + fitted.tempo / 100
    beats = [time / faster for time in song.groove.beats.times_s]
    return changed, delay_s(host.groove.beats.times_s, beats)


def _licences(songs: Sequence[_Song]) -> list[str]:
    """Licences of all songs, as far as they say."""
    found = (read_facts(song.track.folder) or {} for song in songs)
    return sorted({str(line) for facts in found for line in facts.get("licences", [])})


def _name(track: IndexedTrack, copy: int) -> str:
    return f"{track.name.replace('/', ' - ')} mix {copy + 1}"
