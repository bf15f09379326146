"""nSDR of models on real songs whose stems are known, beside the trivial and the ideal.

    python -m studies.quartet.measure --songs FOLDER [--model NAME ...] [--first NAME] [--brief]
        [--json OUT]

FOLDER has one folder a song, with drums, bass, other and vocals (.ogg, .flac, .wav; a stem that is
not there is silent); the mixture is their sum. Models run through `unbraid.Separator` with its
default settings. Rows:

    silence             0 dB, to know where nothing begins
    ten lines           median filters split what is not vocals into what lasts and what is struck
                        (Fitzgerald, DAFx 2010); bass is what lasts below 200 Hz. Behind the true
                        vocals, and with --first behind those that this model finds
    --model             each of them; with --first also behind it, if it has vocals of its own
    ideal ratio mask    magnitudes of the true stems, STFT of 4096 samples

A stem that a song lacks is left out of the means.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.ndimage
import scipy.signal
import soundfile

import unbraid

RATE, SIZE = 44_100, 4096
STEMS = ("drums", "bass", "other", "vocals")
Stems = dict[str, np.ndarray]


def read_song(folder: Path) -> Stems:
    """Stems (samples, 2), of equal lengths; those without a file are left out."""
    stems = {}
    for path in sorted(folder.iterdir()):
        if path.stem in STEMS and path.suffix in (".ogg", ".flac", ".wav"):
            audio, rate = soundfile.read(path, always_2d=True)
            if rate != RATE:
                raise SystemExit(f"{path} has {rate} Hz; songs to measure by have {RATE}")
            stems[path.stem] = np.repeat(audio, 2, axis=1) if audio.shape[1] == 1 else audio
    samples = min(map(len, stems.values()))
    return {stem: audio[:samples] for stem, audio in stems.items()}


def nsdr(true: np.ndarray, estimate: np.ndarray) -> float:
    """10 log10 of the source's energy over the error's, in dB."""
    error = np.square(true - estimate).sum()
    return float(10 * np.log10((np.square(true).sum() + 1e-7) / (error + 1e-7)))


def ten_lines(rest: np.ndarray) -> Stems:
    """Drums, bass and other of music without vocals, (samples, 2), by median filters."""
    z = _stft(rest)
    size = np.abs(z)
    lasting = scipy.ndimage.median_filter(size, size=(1, 1, 17))
    struck = scipy.ndimage.median_filter(size, size=(1, 17, 1))
    share = struck**2 / (struck**2 + lasting**2 + 1e-12)
    hertz = np.arange(z.shape[1]) * RATE / SIZE
    low = 1 / (1 + (hertz / 200.0) ** 12)
    drums, bass = z * share, z * low[None, :, None] * (1 - share)
    parts = {"drums": drums, "bass": bass, "other": z - drums - bass}
    return {stem: _istft(part, len(rest)) for stem, part in parts.items()}


def ideal_masks(stems: Stems) -> Stems:
    """The mixture shared out by the true magnitudes."""
    mixture = sum(stems.values(), start=np.zeros((1, 1)))
    z, sizes = _stft(mixture), {stem: np.abs(_stft(audio)) for stem, audio in stems.items()}
    total = sum(sizes.values()) + 1e-8
    return {stem: _istft(z * size / total, len(mixture)) for stem, size in sizes.items()}


def separate(separator: unbraid.Separator, mixture: np.ndarray) -> Stems:
    """Estimates (samples, 2) of a mixture (samples, 2)."""
    found = separator.separate(np.ascontiguousarray(mixture.T, np.float32), RATE)
    return {stem: np.asarray(audio).T for stem, audio in found.items()}


def with_vocals(vocals: np.ndarray, rest: Stems) -> Stems:
    """A second link's estimates behind a first one's vocals; its own vocals go to "other"."""
    other = rest["other"] + rest.get("vocals", 0)
    return {"drums": rest["drums"], "bass": rest["bass"], "other": other, "vocals": vocals}


def score(stems: Stems, estimates: Stems) -> dict[str, float]:
    """nSDR of each stem that the song has."""
    return {
        stem: nsdr(audio, estimates[stem])
        for stem, audio in stems.items()
        if stem in estimates and np.square(audio).sum() > 1e-6
    }


Row = Callable[[Stems, np.ndarray], Stems]
"""True stems and mixture -> estimates."""


def make_rows(models: list[str], first: str | None) -> dict[str, Row]:
    """What is measured, by name."""
    rows: dict[str, Row] = {
        "silence": lambda stems, mixture: {stem: np.zeros_like(mixture) for stem in STEMS},
        "ten lines behind true vocals": lambda stems, mixture: ten_lines(
            mixture - stems.get("vocals", 0)
        ),
    }
    opened = {name: unbraid.Separator(model=name) for name in models}
    if first is not None:
        lead = unbraid.Separator(model=first)
        kept: dict[int, np.ndarray] = {}

        def vocals_of(mixture: np.ndarray) -> np.ndarray:
            if id(mixture) not in kept:
                kept.clear()
                kept[id(mixture)] = separate(lead, mixture)["vocals"]
            return kept[id(mixture)]

        def behind(separator: unbraid.Separator) -> Row:
            def row(stems: Stems, mixture: np.ndarray) -> Stems:
                vocals = vocals_of(mixture)
                return with_vocals(vocals, separate(separator, mixture - vocals))

            return row

        rows[f"{first}, ten lines"] = lambda stems, mixture: with_vocals(
            vocals_of(mixture), ten_lines(mixture - vocals_of(mixture))
        )
        rows |= {f"{first}, {name}": behind(separator) for name, separator in opened.items()}
    for name, separator in opened.items():
        rows[name] = lambda stems, mixture, by=separator: separate(by, mixture)
    rows["ideal ratio mask"] = lambda stems, mixture: ideal_masks(stems)
    return rows


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--songs", type=Path, required=True)
    parser.add_argument("--model", nargs="*", default=[], help="names or paths (the default one)")
    parser.add_argument("--first", help="a model whose vocals are taken out first")
    parser.add_argument("--json", type=Path, help="all figures, to a file")
    parser.add_argument("--brief", action="store_true", help="the models alone")
    args = parser.parse_args()
    rows = make_rows(args.model, args.first)
    if args.brief:
        wanted = {*args.model, *(f"{args.first}, {name}" for name in args.model)}
        rows = {name: row for name, row in rows.items() if name in wanted}
    table: dict[str, dict[str, dict[str, float]]] = {name: {} for name in rows}
    for folder in sorted(path for path in args.songs.iterdir() if path.is_dir()):
        stems = read_song(folder)
        mixture = sum(stems.values(), start=np.zeros((1, 1)))
        for name, row in rows.items():
            table[name][folder.name] = score(stems, row(stems, mixture))
    print("\n".join(lines(table)))
    if args.json:
        args.json.write_text(json.dumps(table, indent=1) + "\n")


def lines(table: dict[str, dict[str, dict[str, float]]]) -> list[str]:
    """The table in Markdown: a row each of means, then of every song."""
    songs = next(iter(table.values()))
    out = [f"| | {' | '.join(STEMS)} |", "|---|" + "---|" * len(STEMS)]
    for name, scores in table.items():
        means = [[s[stem] for s in scores.values() if stem in s] for stem in STEMS]
        out.append(_line(f"**{name}**", [float(np.mean(m)) if m else None for m in means]))
    for song in songs:
        out += [_line(f"{song}: {n}", [s[song].get(t) for t in STEMS]) for n, s in table.items()]
    return out


def _line(name: str, values: list[float | None]) -> str:
    return f"| {name} | " + " | ".join("" if v is None else f"{v:.2f}" for v in values) + " |"


def _stft(audio: np.ndarray) -> np.ndarray:
    return scipy.signal.stft(audio.T, RATE, nperseg=SIZE, noverlap=SIZE * 3 // 4)[2]


def _istft(z: np.ndarray, samples: int) -> np.ndarray:
    audio: np.ndarray = scipy.signal.istft(z, RATE, nperseg=SIZE, noverlap=SIZE * 3 // 4)[1]
    return audio.T[:samples]


if __name__ == "__main__":
    main()
