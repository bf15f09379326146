"""Renew the README's picture from what `make demo` wrote: python scripts/picture.py SEPARATED."""

from __future__ import annotations

import sys
from pathlib import Path

from unbraid.pages.pictures import stems_picture

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Song and stems, one below the other."""
    song = next((ROOT / "demo").glob("*.ogg"))
    stems = Path(sys.argv[1]) / song.stem
    parts = {stem: stems / f"{stem}.wav" for stem in ("drums", "bass", "other", "vocals")}
    stems_picture({"song": song, **parts}, ROOT / "docs" / "images" / "demo.png")


if __name__ == "__main__":
    main()
