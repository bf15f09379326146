"""Songs of any length, made of the demo song."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from unbraid.audio.files import read

DEMO = Path(__file__).parent.parent / "demo" / "Karissa Hobbs - Lets Go Fishin.ogg"


def write_song(path: Path, seconds: float) -> None:
    """The demo song, over and over, as 16-bit wav of the given length."""
    song, rate = read(DEMO)
    left = round(seconds * rate)
    with soundfile.SoundFile(path, "w", rate, len(song), subtype="PCM_16", format="RF64") as file:
        while left > 0:
            piece = song[:, :left]
            file.write(np.clip(piece.T, -1, 1))
            left -= piece.shape[1]
