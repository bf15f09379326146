"""Training material for the bundled model ``mini``: real songs and synthetic ones.

    python -m studies.mini.make_data --data INGREDIENTS --out ../mini-data [--seed 0]

Writes one folder per item: int16 stereo 44.1 kHz ``drums.npy bass.npy other.npy vocals.npy`` of
shape ``(samples, 2)``, mix gain included, so that the mixture is their plain sum and does not clip
(a silent stem has no file), and ``meta.json``. Same seed, same bytes.
Needs ``pip install unbraid[train] pyworld`` and the Debian packages fluidsynth and
fluid-soundfont-gm. ``--what synth`` borrows vocals from the real songs, so make those first.
`unbraid data songs --low-end 0.5` makes all of this as an ordinary dataset, for `unbraid train`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np

from unbraid.songs.ingredients import find_ingredients
from unbraid.songs.make_song import make_low_end, make_song
from unbraid.songs.multitracks import (
    CROSSOVERS_HZ,
    find_multitracks,
    low_line,
    low_register,
    multitrack_stems,
)
from unbraid.songs.song import STEMS, SongSettings

REAL = "CC0-1.0: Software-Entwicklungskit, Everything is Free"
SINGERS = ("Lithium", "Caesium", "Francium")  # whose vocals the synthetic songs borrow

DULL_SONGS = ("Hydrogen",)  # nearly nothing above 9-10 kHz: low-pass whatever is mixed with it
LOW_ENDS = {
    "low": "pattern",
    "loose": "loose",
    "punch": "punch",
    "mono": "mono",
}  # drums and a deep bass alone
BASS_IN_OTHER = ("Caesium", "Francium")  # a bass line is classed other: bass is not known there


def save_item(
    folder: Path, stems: Mapping[str, np.ndarray], meta: dict[str, Any]
) -> dict[str, Any]:
    """Write one item; stems are float ``(samples, 2)`` whose sum stays below 1."""
    folder.mkdir(parents=True, exist_ok=True)
    levels = {}
    for stem in STEMS:
        audio = stems.get(stem)
        (folder / f"{stem}.npy").unlink(missing_ok=True)
        if audio is None or not np.any(np.abs(audio) > 1e-4):
            continue
        samples = np.clip(np.rint(audio * 32767), -32768, 32767).astype(np.int16)
        np.save(folder / f"{stem}.npy", samples)
        levels[stem] = round(float(10 * np.log10(np.mean(np.square(audio, dtype=np.float64)))), 1)
    samples = len(next(iter(stems.values())))
    meta = {
        **meta,
        "samples": samples,
        "rms_db": levels,
        "silent": [stem for stem in STEMS if stem not in levels],
    }
    (folder / "meta.json").write_text(json.dumps(meta, indent=1) + "\n")
    return meta


def mixture_nsdr(stems: Mapping[str, np.ndarray]) -> dict[str, float]:
    """nSDR in dB of the mixture as the estimate of each stem."""
    mixture = sum(stem.astype(np.float64) for stem in stems.values())
    return {
        name: round(
            float(10 * np.log10((np.sum(s**2) + 1e-7) / (np.sum((s - mixture) ** 2) + 1e-7))),
            2,
        )
        for name, s in ((name, stem.astype(np.float64)) for name, stem in stems.items())
    }


def make_real(data: Path, out: Path) -> None:
    """All real songs; the validation song goes to ``valid/``."""
    songs = find_multitracks(data / "songs")
    for song in sorted(songs, key=lambda song: (not song.is_valid, song.title)):
        title, stems = song.title, multitrack_stems(song)
        meta = {
            "title": title,
            "kind": "real",
            "bass_known": title not in BASS_IN_OTHER,
            "bandlimited": title in DULL_SONGS,
            "weight": 1.0,
            "licences": [REAL],
        }
        folder = out / "valid" / title if song.is_valid else out / "train" / f"real-{title}"
        meta = save_item(folder, stems, meta)
        peak = float(np.abs(sum(stems.values())).max())
        print(title, meta["rms_db"], f"peak {peak:.3f}", mixture_nsdr(stems), flush=True)
    (out / "READY_REAL").touch()


def make_real_basses(data: Path, out: Path) -> None:
    """The low register of recorded synthesizers, cut at several frequencies, as basses alone."""
    for song in find_multitracks(data / "songs"):
        line = low_line(song)
        if line is None or song.is_valid:
            continue
        for cutoff in CROSSOVERS_HZ:
            meta = {
                "title": f"{song.title} below {cutoff} Hz",
                "kind": "bass",
                "bass_known": True,
                "bandlimited": False,
                "weight": 1.0,
                "licences": [REAL],
            }
            low = low_register(line, cutoff)
            meta = save_item(out / "train" / f"lowline-{song.title}-{cutoff}", {"bass": low}, meta)
            print(meta["title"], meta["rms_db"], flush=True)


def _synthetic_item(job: tuple[int, int, Path, Path, str]) -> str:
    index, seed, data, out, name = job
    ingredients = find_ingredients(data)
    if name in LOW_ENDS:
        stream = 1 + list(LOW_ENDS).index(name)
        stems, meta = make_low_end((seed, stream, index), ingredients, line=LOW_ENDS[name])
    else:
        vocals = tuple(out / "train" / f"real-{title}" / "vocals.npy" for title in SINGERS)
        settings = SongSettings(recorded_vocals=vocals, recorded_credit=REAL)
        stems, meta = make_song((seed, index), ingredients, settings)
    meta = {
        "title": f"{name} {index}",
        "kind": "synthetic",
        "bass_known": True,
        "bandlimited": False,
        "weight": 1.0,
        **meta,
    }
    meta = save_item(out / "train" / f"{name}-{index:03d}", stems, meta)
    return f"{meta['title']}: {meta['style']}, {meta['samples'] / 44_100:.0f} s, {meta['rms_db']}"


def make_synthetic(
    data: Path, out: Path, seed: int, first: int, count: int, name: str = "synth"
) -> None:
    """Songs ``first`` to ``first + count - 1``, each from its own seed, on two processes."""
    jobs = [(index, seed, data, out, name) for index in range(first, first + count)]
    with Pool(2, maxtasksperchild=4) as pool:
        for line in pool.imap(_synthetic_item, jobs):
            print(line, flush=True)
    (out / f"READY_{name.upper()}").touch()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="ingredients, see docs/data.md")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--what", choices=("all", "real", "lowline", "synth", *LOW_ENDS), default="all"
    )
    parser.add_argument("--songs", type=int, default=60, help="how many synthetic songs")
    parser.add_argument(
        "--low", type=int, default=60, help="how many items of drums and deep bass, of each kind"
    )
    parser.add_argument("--first", type=int, default=0, help="index of the first of them")
    args = parser.parse_args()
    if args.what in ("all", "real"):
        make_real(args.data, args.out)
    if args.what in ("all", "lowline"):
        make_real_basses(args.data, args.out)
    for name in LOW_ENDS:
        if args.what in ("all", name):
            make_synthetic(args.data, args.out, args.seed, args.first, args.low, name)
    if args.what in ("all", "synth"):
        make_synthetic(args.data, args.out, args.seed, args.first, args.songs)


if __name__ == "__main__":
    main()
