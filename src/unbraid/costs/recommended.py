"""Which model to take: the recommended ones by use, and the time that a song takes with each."""

from __future__ import annotations

from collections.abc import Iterable

from unbraid.costs.processor_rate import estimated_seconds
from unbraid.zoo.cards import ModelCard

USES = (
    "fast, on any CPU",
    "four stems",
    "best vocals",
    "vocals",
    "six stems",
    "karaoke",
    "drum kit",
)
"""The uses of recommended models, the most common first."""

SONG_S = 240.0
"""Length of the song that times are given for."""


def recommended(cards: Iterable[ModelCard]) -> list[ModelCard]:
    """Those that are recommended for a use, the most common use first."""
    return sorted(
        (card for card in cards if card.use in USES), key=lambda card: USES.index(card.use)
    )


def song_seconds(card: ModelCard, rate: float) -> float | None:
    """Seconds for a song of `SONG_S`, within a factor of two; None if the model's work is unknown.

    Args:
        rate: of this processor, see `multiply_adds_per_s`.
    """
    return estimated_seconds(card.work, SONG_S, rate) if card.work else None
