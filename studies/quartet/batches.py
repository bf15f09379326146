"""Batches for the drums-bass-other network: stems of different songs, mixed anew for every step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view

RATE = 44_100
STEMS = ("drums", "bass", "other")
N_FFT, HOP = 4096, 2048
LEVELS = {"drums": (0.0, 3.5), "bass": (-1.0, 4.5), "other": (-1.0, 4.5)}  # dB: mean, deviation
WINDOW = np.sin(np.pi * (np.arange(N_FFT, dtype=np.float32) + 0.5) / N_FFT).astype(np.float32)


class Pool:
    """Stems of songs, int16 (3, samples, 2) in `.npy` files, mapped.

    Args:
        folders: of files; new files are found by `look`.
        weights: how often a folder is drawn from, relative.
    """

    def __init__(self, folders: list[Path], weights: list[float]) -> None:
        self.folders, self.weights = folders, np.asarray(weights, float)
        self.songs: dict[Path, dict[str, np.ndarray]] = {}
        self.by_folder: list[list[Path]] = []
        self.look()

    def look(self) -> None:
        """Find files that were written since."""
        self.by_folder = []
        for folder in self.folders:
            paths = [p for p in sorted(folder.glob("*.npy")) if not p.name.startswith("tmp")]
            self.by_folder.append(paths)
            for path in paths:
                if path not in self.songs:
                    audio = np.load(path, mmap_mode="r")
                    sound = np.asarray(audio[:, ::7]).astype(np.float32) / 32768
                    power = np.square(sound).mean(2)
                    block = power[:, : power.shape[1] // 2000 * 2000]
                    block = block.reshape(3, -1, 2000).mean(2)
                    loud = np.sqrt(
                        [np.mean(b[b > 1e-3 * b.max()]) if b.max() > 0 else 0 for b in block]
                    )
                    self.songs[path] = {"audio": audio, "rms": loud}

    def song(self, rng: np.random.Generator) -> Path:
        there = np.array([len(paths) > 0 for paths in self.by_folder]) * self.weights
        folder = rng.choice(len(self.folders), p=there / there.sum())
        paths = self.by_folder[folder]
        return paths[rng.integers(len(paths))]

    def stem(self, rng, stem: int, samples: int, path: Path | None = None, start=None):
        """(samples, 2) float32 at about rms 0.1, or None if it does not sound there."""
        for _ in range(6):
            chosen = path or self.song(rng)
            song = self.songs[chosen]
            if song["rms"][stem] < 1e-4:
                if path is not None:
                    return None
                continue
            audio = song["audio"][stem]
            at = start if start is not None else rng.integers(0, max(1, len(audio) - samples))
            piece = audio[at : at + samples].astype(np.float32) * (0.1 / song["rms"][stem] / 32768)
            if len(piece) < samples:
                piece = np.pad(piece, ((0, samples - len(piece)), (0, 0)))
            if path is not None or np.sqrt(np.mean(piece[::5] ** 2)) > 0.02:
                return piece
        return None


def spectrum(audio: np.ndarray) -> np.ndarray:
    """(t, 2) -> complex64 (2, frames, bins); no padding."""
    frames = sliding_window_view(np.ascontiguousarray(audio.T), N_FFT, axis=1)[:, ::HOP] * WINDOW
    return scipy.fft.rfft(frames)


EDGES_HZ = np.array([20, 60, 120, 250, 500, 1000, 2000, 4000, 8000, 20000.0])
BALANCE = {  # dB in each of these bands, against the whole, as records have it
    "drums": (-9, -4, -8, -13, -15, -17, -17, -17, -20),
    "bass": (-17, -4, -4, -13, -22, -32, -42, -56, -70),
    "other": (-36, -20, -10, -8, -8, -8, -10, -18, -36),
}
NEAR = {"drums": (0.0, 0.6), "bass": (0.2, 0.9), "other": (0.2, 0.9)}  # how far towards it
BINS = np.round(EDGES_HZ / RATE * N_FFT).astype(int)
OCTAVES = np.log2(np.maximum(np.arange(N_FFT // 2 + 1) * RATE / N_FFT, 8.0))
CENTRES = np.log2(np.sqrt(EDGES_HZ[:-1] * EDGES_HZ[1:]))


def random_curve(rng, stem: str, power: np.ndarray, share: float = 1.0) -> np.ndarray:
    """Amplitudes of a random equalizer, (bins,), that brings a stem nearer to how records sound.

    Args:
        power: of the stem at each bin.
        share: of the way; 0 leaves the balance as it is.
    """
    shares = np.add.reduceat(power[: BINS[-1]], BINS[:-1])
    there = 10 * np.log10(shares / (shares.sum() + 1e-9) + 1e-9)
    wanted = np.array(BALANCE[stem]) + rng.normal(0, 3, len(CENTRES))
    moved = share * rng.uniform(*NEAR[stem]) * np.clip(wanted - there, -14, 14)
    curve = np.interp(OCTAVES, CENTRES, moved + np.cumsum(rng.normal(0, 0.6, len(CENTRES))))
    return (10 ** (curve / 20)).astype(np.float32)


class Mixer:
    """Draws excerpts and gives what the loss needs: sums of products over bands.

    `batch` gives float32 arrays: own (2 f n), shared (f n) of the mixture; cross (s 2 f n), the
    real part of mixture times stem; source (s 2 f n), power of the stem. Stems are drums, bass,
    other and, of four, what a first model left of the vocals.

    Args:
        voices: recordings for traces of vocals that are made up; `sung`: how often.
        left: files of `make_sung.py`, where a model took the vocals out; `behind`: how often.
    """

    def __init__(
        self,
        pool: Pool,
        edges,
        frames: int,
        seed,
        apart=0.4,
        absent=0.05,
        voices=None,
        sung=0.2,
        stems=3,
        left=None,
        behind=0.3,
    ) -> None:
        self.pool, self.edges, self.frames = pool, np.asarray(edges), frames
        self.rng = np.random.default_rng(seed)
        self.apart, self.absent = apart, absent
        paths = sorted(voices.glob("*.npy")) if voices else []
        self.voices = [np.load(path, mmap_mode="r") for path in paths]
        self.sung, self.count, self.behind = sung, stems, behind
        self.folder, self.left = left, list[Path]()
        self.look()
        self.kept: list[list[np.ndarray]] = []

    def look(self) -> None:
        """Find files that were written since."""
        self.pool.look()
        if self.folder:
            self.left = [p for p in sorted(self.folder.glob("*.npy")) if p.name[:3] != "tmp"]

    def stems(self) -> list[np.ndarray]:
        rng, pool = self.rng, self.pool
        samples = (self.frames + 1) * HOP
        speed = [1.0, 1.0, 1.0]
        if rng.random() < 0.5:
            speed = [float(rng.uniform(0.88, 1.13)) for _ in STEMS]
        path = None
        if rng.random() > self.apart:
            path = pool.song(rng)
            speed = [speed[0]] * 3
        start = None
        if path is not None:
            length = pool.songs[path]["audio"].shape[1]
            start = int(rng.integers(0, max(1, length - samples)))
        out = []
        for number in range(3):
            count = int(np.ceil(samples * speed[number])) + 2 if speed[number] != 1 else samples
            piece = pool.stem(rng, number, count, path, start)
            if piece is None and path is not None and rng.random() < 0.7:
                piece = pool.stem(rng, number, count)
            if piece is None or rng.random() < self.absent:
                piece = np.zeros((samples, 2), np.float32)
            elif speed[number] != 1:
                at = np.arange(samples) * speed[number]
                index = np.arange(len(piece))
                piece = np.stack([np.interp(at, index, side) for side in piece.T], 1)
            if rng.random() < 0.25:  # a dry take, somewhere
                place = rng.choice((0.0, rng.uniform(-1, 1)))
                angle = (place + 1) * np.pi / 4
                mono = piece.mean(1)
                piece = np.stack([mono * np.cos(angle), mono * np.sin(angle)], 1) * 1.41
            if rng.random() < 0.5:
                piece = piece[:, ::-1]
            out.append(np.ascontiguousarray(piece, np.float32))
        return out

    @property
    def near(self) -> float:
        """How far equalizers go towards the balance of records: a third of all stay as they are."""
        return float(self.rng.random() > 0.33)

    def item(self, spectra: list[np.ndarray]) -> dict[str, np.ndarray]:
        """What the loss needs of one excerpt: of a file of `left`, or of these stems, mixed."""
        if self.left and self.rng.random() < self.behind:
            return self.sums(self.left_behind())
        s = self.mixed(spectra)
        if self.rng.random() < 0.12:  # what a codec leaves
            s[..., int(self.rng.uniform(3500, 16000) / RATE * N_FFT) :] *= 0.02
        return self.sums(s)

    def sums(self, s: np.ndarray) -> dict[str, np.ndarray]:
        """Sums over bands of stems (s 2 frames bins)."""
        z = s.sum(0)
        return {
            "own": self.banded(_product(z, z)),
            "shared": self.banded(_product(z[0], z[1])),
            "cross": self.banded(_product(z[None], s)),
            "source": self.banded(_product(s, s)),
        }

    def left_behind(self) -> np.ndarray:
        """An excerpt without its vocals, as a model leaves it, (s 2 frames bins), equalized."""
        rng = self.rng
        audio = np.load(self.left[rng.integers(len(self.left))], mmap_mode="r")
        samples = (self.frames + 1) * HOP
        at = int(rng.integers(0, audio.shape[1] - samples))
        piece = audio[:, at : at + samples].astype(np.float32) / 32768
        level = np.sqrt(np.square(piece.sum(0)).mean()) + 1e-4
        tilt = np.interp(OCTAVES, CENTRES, np.cumsum(rng.normal(0, 0.6, len(CENTRES))))
        curve = (10 ** (tilt / 20) * 0.15 / level).astype(np.float32)
        s = np.stack([spectrum(stem) for stem in piece]) * curve
        if rng.random() < 0.5:
            s = s[:, ::-1]
        return s if self.count == 4 else np.stack([s[0], s[1], s[2] + s[3]])

    def mixed(self, spectra: list[np.ndarray]) -> np.ndarray:
        """Gains and an equalizer for each stem, perhaps traces of a voice: (s 2 frames bins)."""
        rng, parts = self.rng, []
        louder = np.zeros(3)
        if rng.random() < 0.08:  # one stem is far louder than the others
            louder[rng.choice(3, p=(0.2, 0.6, 0.2))] = rng.uniform(5, 14)
        for name, z, more in zip(STEMS, spectra, louder, strict=True):
            mean, deviation = LEVELS[name]
            gain = 10 ** ((rng.normal(mean, deviation) + more) / 20) * rng.choice((-1, 1))
            power = _product(z, z).sum((0, 1))
            curve = random_curve(rng, name, power, self.near)
            gain *= np.sqrt(power.sum() / ((power * curve**2).sum() + 1e-9))
            parts.append(z * (curve * gain).astype(np.float32))
        s = np.stack(parts)
        if self.voices and rng.random() < self.sung:
            s = self.behind_vocals(s)
        elif self.count == 4:
            s = np.concatenate([s, np.zeros_like(s[:1])])
        return s

    def behind_vocals(self, s: np.ndarray) -> np.ndarray:
        """What is left of stems (3 2 frames bins) when a model has taken a voice out of the mix.

        Its mask is the ideal one with errors: parts of all stems go with the voice, and what stays
        of the voice is a stem of its own, or belongs to "other".
        """
        rng = self.rng
        audio = self.voices[rng.integers(len(self.voices))]
        samples = (self.frames + 1) * HOP
        at = rng.integers(0, max(1, len(audio) - samples))
        piece = audio[at : at + samples].astype(np.float32)
        piece = np.pad(piece, ((0, samples - len(piece)), (0, 0)))
        v = spectrum(piece)
        z = s.sum(0)
        gain = np.sqrt(np.square(np.abs(z)).sum() / (np.square(np.abs(v)).sum() + 1e-6))
        v *= gain * 10 ** (rng.normal(-5, 4) / 20)
        size, rest = np.abs(v).sum(0) * self.field(6), np.abs(z).sum(0) + 1e-6
        sharp = rng.uniform(1, 2)
        left = 1 - size**sharp / (size**sharp + rest**sharp)
        s = s * left
        if self.count == 4:
            return np.concatenate([s, (v * left)[None]])
        s[2] += v * left
        return s

    def field(self, decibels: float) -> np.ndarray:
        """Random gains (frames bins) that change slowly along both axes."""
        rows, columns = self.frames // 8 + 2, 20
        coarse = self.rng.normal(0, decibels, (rows, columns)).astype(np.float32)
        across = OCTAVES - OCTAVES[0]
        across = across / across[-1] * (columns - 1)
        along = np.arange(self.frames) / 8
        low = np.stack([np.interp(across, np.arange(columns), row) for row in coarse])
        first = along.astype(int)
        part = (along - first)[:, None]
        return (10 ** ((low[first] * (1 - part) + low[first + 1] * part) / 20)).astype(np.float32)

    def banded(self, x: np.ndarray) -> np.ndarray:
        """(..., frames, bins) -> (..., bands, frames)."""
        sums = np.add.reduceat(x, self.edges[:-1], axis=-1)
        return np.ascontiguousarray(sums.swapaxes(-1, -2))

    def batch(self, size: int) -> dict[str, np.ndarray]:
        """New excerpts, or those of the last time with their stems swapped."""
        if self.kept:
            turned = [[self.kept[(i + k) % size][k] for k in range(3)] for i in range(size)]
            spectra, self.kept = turned, []
        else:
            spectra = [[spectrum(piece) for piece in self.stems()] for _ in range(size)]
            self.kept = spectra
        items = [self.item(one) for one in spectra]
        return {key: np.stack([item[key] for item in items]) for key in items[0]}


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Real part of a times the conjugate of b."""
    return a.real * b.real + a.imag * b.imag
