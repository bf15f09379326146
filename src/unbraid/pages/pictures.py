"""Pictures of sounds: outlines and spectrograms, as PNG."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from unbraid.pages.soundprint import Soundprint, soundprint

COLOURS = {
    "mixture": (120, 124, 138),
    "drums": (230, 126, 34),
    "bass": (142, 84, 215),
    "other": (30, 160, 120),
    "vocals": (214, 60, 98),
    "residual": (140, 140, 140),
}
_MORE_COLOURS = ((41, 128, 205), (190, 150, 20), (20, 165, 175), (165, 90, 60))

# From black over violet and orange to pale yellow; even steps of lightness.
_HEAT = np.array(
    [
        *[(0, 0, 4), (31, 12, 72), (85, 15, 109), (136, 34, 106), (186, 54, 85), (227, 89, 51)],
        *[(249, 140, 10), (249, 201, 50), (252, 255, 164)],
    ],
    np.float64,
)
_RANGE_DB = 72.0


def colour_of(part: str, index: int = 0) -> tuple[int, int, int]:
    """The colour of a stem: its own, or one by its position."""
    own = COLOURS.get(part.removeprefix("no_"))
    return own or _MORE_COLOURS[index % len(_MORE_COLOURS)]


def waveform(
    print_: Soundprint, colour: tuple[int, int, int], size: tuple[int, int] = (900, 96)
) -> Image.Image:
    """The outline of a sound over time, on a transparent ground; full height is full scale."""
    width, height = size
    # Drawn at twice the size and then reduced, for smooth edges.
    image = Image.new("RGBA", (width, height * 2), (*colour, 0))
    draw = ImageDraw.Draw(image)
    middle = height - 0.5
    for x, (low, high) in enumerate(zip(*_stretched(print_, width), strict=True)):
        top = middle - min(1.0, high) * middle
        bottom = middle - max(-1.0, low) * middle
        draw.line([(x, top), (x, max(bottom, top + 1))], fill=(*colour, 255))
    return image.resize(size, Image.Resampling.BOX)


def spectrogram(
    print_: Soundprint, top_db: float, size: tuple[int, int] = (900, 120)
) -> Image.Image:
    """Power over time and log frequency, low at the bottom; black is 72 dB below `top_db`.

    Give all stems the top of their mixture (`loudest_db`), so that quiet ones look quiet.
    """
    level = np.clip((print_.bands_db[::-1] - top_db) / _RANGE_DB + 1.0, 0.0, 1.0)
    grey = Image.fromarray((level * 255).astype(np.uint8))
    scaled = np.asarray(grey.resize(size, Image.Resampling.BILINEAR), np.float64) / 255
    positions = scaled * (len(_HEAT) - 1)
    below = np.minimum(positions.astype(int), len(_HEAT) - 2)
    part = (positions - below)[..., None]
    colours = _HEAT[below] * (1 - part) + _HEAT[below + 1] * part
    return Image.fromarray(colours.astype(np.uint8))


def loudest_db(print_: Soundprint) -> float:
    """The loudest band of a sound, at least -60 dB."""
    return float(print_.bands_db.max(initial=-60.0))


def png(image: Image.Image) -> bytes:
    """The image as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def stems_picture(paths: Mapping[str, Path], out_png: Path, *, width: int = 1280) -> None:
    """One picture of a song and its stems: a row for each, with outline and spectrogram.

    Args:
        paths: name of each row to its sound file, in order; the first one sets the colours.
        out_png: picture to write.
        width: of the picture, in pixels.
    """
    row, label, gap = 84, 96, 8
    half = (width - label - 3 * gap) // 2
    picture = Image.new("RGB", (width, gap + len(paths) * (row + gap)), (252, 252, 253))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(17)
    top_db: float | None = None
    for index, (name, path) in enumerate(paths.items()):
        print_ = soundprint(path)
        top_db = loudest_db(print_) if top_db is None else top_db
        colour = colour_of(name, index)
        top = gap + index * (row + gap)
        draw.text((gap + 4, top + row // 2), name, fill=colour, font=font, anchor="lm")
        outline = waveform(print_, colour, (half, row))
        picture.paste(outline, (label, top), outline)
        picture.paste(spectrogram(print_, top_db, (half, row)), (label + half + gap, top))
    picture.save(out_png, "PNG", optimize=True)


def _stretched(print_: Soundprint, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The outline in `width` columns: extremes where there are more, repeated where fewer."""
    count = len(print_.low)
    if count == 0:
        return np.zeros(width), np.zeros(width)
    first = np.arange(width) * count // width
    last = np.maximum((np.arange(1, width + 1) * count + width - 1) // width, first + 1)
    pairs = list(zip(first, last, strict=True))
    low = np.array([print_.low[a:b].min() for a, b in pairs])
    high = np.array([print_.high[a:b].max() for a, b in pairs])
    return low, high
