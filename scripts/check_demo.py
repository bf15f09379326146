"""Check by their content what `make demo` wrote: python scripts/check_demo.py separated

Length, rate and channels of the song; stems that sound, differ and add up to it; a whole report.
Exits 1 and says why if one of them does not hold.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from unbraid.audio.files import read

SONG = Path("demo/Karissa Hobbs - Lets Go Fishin.ogg")
STEMS = ("drums", "bass", "other", "vocals")


def db(power: float) -> float:
    """Power in dB."""
    return 10 * float(np.log10(power + 1e-20))


def check(folder: Path) -> list[str]:
    """What is wrong, one line each."""
    song, rate = read(SONG)
    wrong, stems = [], {}
    for stem in STEMS:
        path = folder / f"{stem}.wav"
        if not path.exists():
            return [f"{path} is missing"]
        stems[stem], stem_rate = read(path)
        if (stems[stem].shape, stem_rate) != (song.shape, rate):
            wrong.append(
                f"{stem}: {stems[stem].shape} at {stem_rate} Hz, song {song.shape} at {rate}"
            )
    if wrong:
        return wrong
    for stem, sound in stems.items():
        level = db(float(np.mean(sound**2)))
        print(f"{stem:7} {level:6.1f} dBFS")
        if not -70 < level < 0:
            wrong.append(f"{stem} has a level of {level:.1f} dBFS")
    for one in STEMS:
        for other in STEMS[STEMS.index(one) + 1 :]:
            alike = float(np.corrcoef(stems[one].ravel(), stems[other].ravel())[0, 1])
            if abs(alike) > 0.95:
                wrong.append(f"{one} and {other} are the same (correlation {alike:.2f})")
    rest = song - np.sum(list(stems.values()), axis=0)
    left = db(float(np.mean(rest**2))) - db(float(np.mean(song**2)))
    print(f"song minus the sum of its stems: {left:.1f} dB")
    if left > -8:  # the model need not make its estimates add up, but most of the song is in them
        wrong.append(f"the stems do not add up to the song: {left:.1f} dB are left over")
    report = folder / "report.html"
    text = report.read_text(encoding="utf-8") if report.exists() else ""
    missing = [word for word in (*STEMS, "</html>") if word not in text]
    if missing:
        wrong.append(f"{report} lacks {', '.join(missing)}")
    return wrong


def main() -> int:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else "separated")
    wrong = check(root / SONG.stem)
    for line in wrong:
        print(f"wrong: {line}", file=sys.stderr)
    print("demo: " + ("FAILED" if wrong else "as it should be"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
