"""Songs for tests of the web app: noise, and jobs that look as if they had been separated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from unbraid.web.choices import JobSettings, Model
from unbraid.web.job import Job
from unbraid.web.limits import Limits
from unbraid.web.messages import SongFacts
from unbraid.web.peaks import PeakMeter, write_peaks
from unbraid.web.service import Service

RATE = 44100
STEMS = ("drums", "bass", "other", "vocals")
MODELS = {"mini": Model("mini", "mini", STEMS, "MIT", "small", True)}
LIMITS = Limits(
    upload_bytes=2_000_000, seconds=60, queue=5, free_bytes=1, idle_s=1.0, library=20, listeners=4
)


def noise(samples: int, seed: int = 0, channels: int = 2) -> np.ndarray:
    """(samples, channels) at a quarter of full scale."""
    return np.random.default_rng(seed).uniform(-0.25, 0.25, (samples, channels)).astype(np.float32)


def as_file(path: Path, signal: np.ndarray, subtype: str = "PCM_16") -> bytes:
    soundfile.write(path, signal, RATE, subtype)
    return path.read_bytes()


def separated(service: Service, name: str = "A song.wav", samples: int = RATE) -> Job:
    """A job as a worker leaves it, with noise for stems."""
    id = f"{service.store.count() + 1:020x}"
    folder = service.storage.song(id)
    (folder / "stems").mkdir(parents=True)
    (folder / "listen").mkdir()
    parts = {stem: noise(samples, seed) for seed, stem in enumerate(STEMS)}
    for stem, signal in parts.items():
        soundfile.write(folder / "stems" / f"{stem}.wav", signal, RATE, "PCM_16")
    whole = sum(parts.values())
    soundfile.write(folder / "original.wav", whole, RATE, "PCM_16")
    soundfile.write(folder / "listen" / "original.flac", whole, RATE, "PCM_16")
    meters = {}
    for part, signal in {"original": whole, **parts}.items():
        meters[part] = PeakMeter()
        meters[part].push(signal.T)
    write_peaks(folder / "peaks.json", RATE, meters)
    settings = JobSettings("mini")
    service.store.add(id, name, ".wav", settings, bytes=service.storage.used_bytes(id))
    claimed = service.store.claim()
    assert claimed is not None and claimed.id == id
    facts = SongFacts(
        parts=STEMS,
        stems=STEMS,
        samples=samples,
        channels=2,
        sample_rate=RATE,
        bit_depth="16",
        seconds_audio=samples / RATE,
    )
    service.store.learn(id, facts)
    service.store.finish(id, "succeeded")
    return service.job(id)
