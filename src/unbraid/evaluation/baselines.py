"""What the same songs score without a model: the mixture, signal processing, and ideal masks.

mixture             the mixture itself as each stem: what separating nothing scores
signal processing   drums, bass, other and vocals by median filters, a low-pass filter and what
                    both channels have in common; nothing is trained
ideal ratio mask    the mixture shared out by the magnitudes of the true stems: about the best that
                    masks of positive numbers can do

On a stem where a system does not beat the first two, it is of no use. Silence needs no row:
its nSDR is 0 dB.

Frames of 93 ms (4096 samples at 44.1 kHz), half overlapping, sine window. Drums are what median
filters along frequency keep and those along time do not (Fitzgerald, DAFx 2010); bass is what is
left below 200 Hz, other what is left then. This starts from the mixture without the vocals: those
that the system found, so that its other stems are compared on equal terms. Vocals are what both
channels share (mid against side, a power ratio to the fourth) above 200 Hz.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from unbraid.shapes import Complex64, Float32

MIXTURE = "mixture"
PROCESSING = "signal processing"
IDEAL = "ideal ratio mask"
BASELINES = (MIXTURE, PROCESSING, IDEAL)
"""In the order of tables."""

TRIVIAL = (MIXTURE, PROCESSING)
"""What every system should beat."""

_WINDOW_S = 0.093
_FRAMES, _BINS = 11, 17
"""Lengths of the median filters: 0.55 s, and 183 Hz."""
_BASS_HZ = 200.0
_MARGIN = 2 + _FRAMES // 2
"""Hops around a chunk on which its samples depend."""
_CHUNK = 64
"""Hops that are worked on at a time."""

_REST = ("other", "instrumental", "accompaniment", "no_vocals")
_SPLIT = ("drums", "bass")
_TINY = 1e-12

Estimates = Mapping[str, np.ndarray]
"""Baseline -> the stems that it has, (stems, channels, samples), in the order of `stems_of`."""


def stems_of(baseline: str, stems: Sequence[str]) -> list[str]:
    """The stems of which a baseline has an estimate, in the order given.

    >>> stems_of("signal processing", ["vocals", "bass", "guitar"])
    ['vocals', 'bass']
    """
    known = {*_REST, *_SPLIT, "vocals"} if baseline == PROCESSING else set(stems)
    return [stem for stem in stems if stem in known]


class Baselines:
    """Estimates of all baselines, for a song that comes in blocks of any length.

    Args:
        references: stems of the song.
        estimates: stems that are scored, each of them also a reference.
        sample_rate: in Hz.
        channels: of all of them.
    """

    def __init__(
        self, references: Sequence[str], estimates: Sequence[str], sample_rate: int, channels: int
    ) -> None:
        self._references, self._estimates = list(references), list(estimates)
        self._own = [self._references.index(stem) for stem in self._estimates]
        self._takes_vocals = "vocals" in estimates and not {*_SPLIT}.isdisjoint(estimates)
        self._sample_rate, self._n_fft = sample_rate, _frame_length(sample_rate)
        rows = len(self._references) + 1 + self._takes_vocals
        self._chunks = _Chunks(rows, channels, self._n_fft // 2)

    def push(
        self, references: np.ndarray, estimates: np.ndarray, mixture: np.ndarray
    ) -> Iterator[tuple[np.ndarray, Estimates]]:
        """Take the next samples: stems as (stems, channels, samples), and (channels, samples).

        Yields:
            what is complete now: references and the baselines' estimates at the same time.
        """
        rows = [*references, mixture]
        if self._takes_vocals:
            rows.append(estimates[self._estimates.index("vocals")])
        yield from map(self._made, self._chunks.push(np.stack(rows)))

    def finish(self) -> Iterator[tuple[np.ndarray, Estimates]]:
        """What is left, at the end of the song."""
        yield from map(self._made, self._chunks.finish())

    def _made(self, chunk: _Chunk) -> tuple[np.ndarray, Estimates]:
        around, middle = chunk
        count = len(self._references)
        mixture = around[count, :, middle]
        unchanged = np.broadcast_to(mixture, (len(self._own), *mixture.shape))
        spectra = _stft(around, self._n_fft)
        processed = _processed(
            spectra[count],
            spectra[-1] if self._takes_vocals else None,
            self._sample_rate,
            self._references,
        )
        wanted = [processed[stem] for stem in stems_of(PROCESSING, self._estimates)]
        found = {MIXTURE: unchanged}
        for name, made in ((PROCESSING, wanted), (IDEAL, self._shared(spectra))):
            signals = [_istft(spectrum, self._n_fft)[:, middle] for spectrum in made]
            found[name] = np.stack(signals) if signals else unchanged[:0]
        return around[:count, :, middle], found

    def _shared(self, spectra: np.ndarray) -> list[np.ndarray]:
        """Spectra by ideal ratio masks of all stems that are scored."""
        count = len(self._references)
        stems, mixture = spectra[:count], spectra[count]
        sizes = np.abs(stems)
        # What is in the mixture and in no stem takes its share.
        total = sizes.sum(axis=0) + np.abs(mixture - stems.sum(axis=0)) + _TINY
        return [mixture * (sizes[row] / total) for row in self._own]


def by_signal_processing(
    mixture: Float32[np.ndarray, "c t"], stems: Sequence[str], sample_rate: int
) -> Float32[np.ndarray, "s c t"]:
    """Estimates of a whole song by signal processing, without anybody's vocals.

    Args:
        mixture: (channels, samples).
        stems: names of the estimates; those that signal processing does not know stay silent.
        sample_rate: in Hz.
    """
    estimates = np.zeros((len(stems), *mixture.shape), np.float32)
    known, n_fft = stems_of(PROCESSING, stems), _frame_length(sample_rate)
    chunks = _Chunks(1, len(mixture), n_fft // 2)
    start = 0
    for around, middle in [*chunks.push(mixture[None]), *chunks.finish()]:
        made = _processed(_stft(around, n_fft)[0], None, sample_rate, stems)
        stop = start + middle.stop - middle.start
        for stem in known:
            estimates[stems.index(stem), :, start:stop] = _istft(made[stem], n_fft)[:, middle]
        start = stop
    return estimates


_Chunk = tuple[np.ndarray, slice]
"""Signals (rows, channels, samples), and which of the samples are new."""


class _Chunks:
    """Cuts a stream into chunks that overlap by all that their new samples depend on."""

    def __init__(self, rows: int, channels: int, hop: int) -> None:
        self._margin, self._new = _MARGIN * hop, _CHUNK * hop
        self._held = np.zeros((rows, channels, self._margin), np.float32)
        self._left = 0  # samples that no chunk had as new ones

    def push(self, signals: np.ndarray) -> Iterator[_Chunk]:
        """Take the next samples, (rows, channels, samples)."""
        self._left += signals.shape[-1]
        self._held = np.concatenate([self._held, signals.astype(np.float32)], axis=-1)
        while self._held.shape[-1] >= self._new + 2 * self._margin:
            yield self._next()

    def finish(self) -> Iterator[_Chunk]:
        """The end, followed by silence."""
        while self._left > 0:
            missing = self._new + 2 * self._margin - self._held.shape[-1]
            self._held = np.pad(self._held, ((0, 0), (0, 0), (0, max(missing, 0))))
            yield self._next()

    def _next(self) -> _Chunk:
        around = self._held[..., : self._new + 2 * self._margin]
        count = min(self._new, self._left)
        self._held = self._held[..., self._new :]
        self._left -= count
        return around, slice(self._margin, self._margin + count)


def _processed(
    mixture: Complex64[np.ndarray, "c n f"],
    own_vocals: Complex64[np.ndarray, "c n f"] | None,
    sample_rate: int,
    references: Sequence[str],
) -> dict[str, np.ndarray]:
    """Spectra by signal processing of a song of these stems, by name.

    Args:
        own_vocals: those that a system found, to start the other stems from.
    """
    low = _low_pass(2 * (mixture.shape[-1] - 1), sample_rate)
    vocals = mixture * (_in_both(mixture) * (1 - low))
    if "vocals" not in references:
        vocals[:] = 0
    rest = mixture - (vocals if own_vocals is None else own_vocals)
    parts = _struck_and_low(rest, low) if not {*_SPLIT}.isdisjoint(references) else {}
    parts = {stem: part for stem, part in parts.items() if stem in references}
    left = rest - sum(parts.values(), np.zeros_like(rest))
    return {**parts, "vocals": vocals, **dict.fromkeys(_REST, left)}


def _struck_and_low(
    rest: Complex64[np.ndarray, "c n f"], low: Float32[np.ndarray, " f"]
) -> dict[str, np.ndarray]:
    """Drums and bass of music without vocals."""
    sizes = np.abs(rest).mean(axis=0)
    lasting, struck = _medians(sizes, _FRAMES, 0) ** 2, _medians(sizes, _BINS, 1) ** 2
    share = struck / (struck + lasting + _TINY)
    return {"drums": rest * share, "bass": rest * ((1 - share) * low)}


def _in_both(spectrum: Complex64[np.ndarray, "c n f"]) -> Float32[np.ndarray, "n f"]:
    """How much of each bin all channels share, 0 to 1."""
    middle = np.square(np.abs(spectrum.mean(axis=0)))
    power = np.square(np.abs(spectrum)).mean(axis=0)
    share: np.ndarray = (middle / (power + _TINY)) ** 4
    return share


def _medians(values: Float32[np.ndarray, "n f"], length: int, axis: int) -> np.ndarray:
    """Running medians; the ends are mirrored."""
    half = length // 2
    padding = [(half, half) if number == axis else (0, 0) for number in range(2)]
    padded = np.pad(values, padding, mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, length, axis=axis)
    middle: np.ndarray = np.partition(windows, half, axis=-1)[..., half]
    return middle


def _stft(signals: Float32[np.ndarray, "s c t"], n_fft: int) -> Complex64[np.ndarray, "s c n f"]:
    framed = np.lib.stride_tricks.sliding_window_view(signals, n_fft, axis=-1)[
        ..., :: n_fft // 2, :
    ]
    return np.fft.rfft(framed * _window(n_fft)).astype(np.complex64, copy=False)


def _istft(spectrum: Complex64[np.ndarray, "c n f"], n_fft: int) -> Float32[np.ndarray, "c t"]:
    """Back to samples; half a frame at either end is incomplete."""
    framed = np.fft.irfft(spectrum, n_fft).astype(np.float32) * _window(n_fft)
    channels, frames, _ = framed.shape
    halves = np.zeros((channels, frames + 1, n_fft // 2), np.float32)
    halves[:, :-1] += framed[..., : n_fft // 2]
    halves[:, 1:] += framed[..., n_fft // 2 :]
    return halves.reshape(channels, -1)


def _frame_length(sample_rate: int) -> int:
    """The power of two nearest to 93 ms."""
    return int(1 << round(np.log2(_WINDOW_S * sample_rate)))


@functools.lru_cache(maxsize=2)
def _window(n_fft: int) -> Float32[np.ndarray, " w"]:
    return np.sin(np.pi * (np.arange(n_fft) + 0.5) / n_fft).astype(np.float32)


@functools.lru_cache(maxsize=2)
def _low_pass(n_fft: int, sample_rate: int) -> Float32[np.ndarray, " f"]:
    """Gains of a Butterworth filter's square of order 6."""
    hz = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    return (1 / (1 + (hz / _BASS_HZ) ** 12)).astype(np.float32)
