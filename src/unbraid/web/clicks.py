"""The metronome of a downloaded mix: the same clicks as in the page, at the same beats."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from unbraid.web.music import MusicEdit

_FIRST_HZ, _OTHER_HZ, _OTHER_LEVEL = 1760.0, 1320.0, 0.6
_CLICK_S, _DECAY_S, _ATTACK_S, _END_S = 0.05, 0.012, 0.001, 0.005


@dataclass(frozen=True)
class Clicks:
    """Clicks at the beats of a song.

    Attributes:
        music: its beats and bars.
        gain: linear, of the first beat of a bar.
    """

    music: MusicEdit
    gain: float

    def add_to(self, blocks: Iterable[np.ndarray], sample_rate: int) -> Iterator[np.ndarray]:
        """Sound with clicks, block by block; (channels, samples) each."""
        sounds = [
            self.gain * _sound(hz, level, sample_rate)
            for hz, level in ((_OTHER_HZ, _OTHER_LEVEL), (_FIRST_HZ, 1.0))
        ]
        length = len(sounds[0])
        starts = np.rint(np.array(self.music.beats) * sample_rate).astype(np.int64)
        position = 0
        for block in blocks:
            mixed = block.copy()
            end = position + block.shape[1]
            low, high = np.searchsorted(starts, (position - length, end), side="right")
            for beat in range(low, high):
                first = (beat - self.music.first) % self.music.beats_in_bar == 0
                at = int(starts[beat]) - position
                sound = sounds[first][max(0, -at) : block.shape[1] - at]
                mixed[:, max(0, at) : max(0, at) + len(sound)] += sound
            yield mixed
            position = end


def _sound(hz: float, level: float, sample_rate: int) -> np.ndarray:
    time = np.arange(round(_CLICK_S * sample_rate)) / sample_rate
    edges = np.minimum(1, time / _ATTACK_S) * np.minimum(1, (_CLICK_S - time) / _END_S)
    tone = level * edges * np.exp(-time / _DECAY_S) * np.sin(2 * np.pi * hz * time)
    return tone.astype(np.float32)
