"""What recordings and mixers do to sources, on batches: strong changes for little data.

As in `augment`, every function takes (batch, stems, channels, samples), a generator on the CPU and
a share, and returns a new tensor. Each source (of `band_limit`: each item, all its stems alike) is
changed with a probability and left unchanged otherwise. Filters are curves on the spectrum of the
whole excerpt, without delay; what wraps around its ends is as short as they are smooth.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from unbraid.data.shares import WHOLE, Share, shared
from unbraid.shapes import Float, Sources

_BANDS_HZ = (50.0, 125.0, 315.0, 800.0, 2000.0, 5000.0, 12500.0)
_BAND_DB, _MOST_DB = 4.0, 12.0
_LOWS_HZ = (100.0, 250.0)
_CODEC_HZ, _CODEC_EDGE_HZ = (4000.0, 16000.0), 400.0
_DRIVES = (0.3, 3.0)
_ROOM_S, _WET = (0.1, 0.5), (0.05, 0.5)


def equalizer(
    sources: Sources, sample_rate: int, generator: torch.Generator, probability: float,
    *, share: Share = WHOLE,
) -> Tensor:  # fmt: skip
    """A random equalizer for a source: gains of some 4 dB in seven bands, joined smoothly.

    Args:
        sources: (batch, stems, channels, samples).
        sample_rate: Hz.
        generator: on the CPU.
        probability: of a change, for each source.
        share: see `augment`.
    """
    chosen = _chosen(sources, generator, probability, share)
    drawn = torch.randn((*_counts(sources, share), len(_BANDS_HZ)), generator=generator)
    gains_db = (_BAND_DB * shared(drawn, share)).clamp(-_MOST_DB, _MOST_DB)
    curve = 10 ** (_joined(gains_db, _frequencies(sources, sample_rate)) / 20)
    return _where(chosen, _filtered(sources, curve[:, :, None]), sources)


def without_lows(
    sources: Sources, sample_rate: int, generator: torch.Generator,
    probabilities: Float[Tensor, " s"], *, share: Share = WHOLE,
) -> Tensor:  # fmt: skip
    """Take the lowest octaves, below 100 to 250 Hz, out of a source: a beat without its kick.

    Args:
        probabilities: of a change, for each stem.
    """
    batch, stems = _counts(sources, share)
    coins = torch.rand((batch, stems), generator=generator)
    edges = _between(torch.rand((batch, stems), generator=generator), *_LOWS_HZ)
    chosen = shared(coins, share) < probabilities
    ratio = shared(edges, share)[..., None] / _frequencies(sources, sample_rate).clamp(min=1e-3)
    curve = (1 + ratio**8).rsqrt()  # as a Butterworth filter of order 4 has it
    return _where(chosen, _filtered(sources, curve[:, :, None]), sources)


def band_limit(
    sources: Sources, sample_rate: int, generator: torch.Generator, probability: float,
    *, share: Share = WHOLE,
) -> Tensor:  # fmt: skip
    """Cut all stems of an item off above 4 to 16 kHz, as lossy codecs and old recordings do.

    All alike, so that their sum is the mixture with the same cut.
    """
    items = sources.shape[0] * share[1]
    coins = torch.rand((items, 1), generator=generator)
    edges = _between(torch.rand((items, 1), generator=generator), *_CODEC_HZ)
    chosen = (shared(coins, share) < probability).expand(-1, sources.shape[1])
    beyond = _frequencies(sources, sample_rate) - shared(edges, share)[..., None]
    curve = (1 - beyond / _CODEC_EDGE_HZ).clamp(0, 1)
    return _where(chosen, _filtered(sources, curve[:, :, None]), sources)


def saturate(
    sources: Sources, generator: torch.Generator, probability: float, *, share: Share = WHOLE
) -> Tensor:
    """Bend a source as tape and tubes do: tanh, from a trace to heavy, around its own level."""
    chosen = _chosen(sources, generator, probability, share)
    drawn = torch.rand(_counts(sources, share), generator=generator)
    drives = _between(shared(drawn, share), *_DRIVES).to(sources)[..., None, None]
    level = sources.square().mean((2, 3), keepdim=True).sqrt()
    scale = drives / (4 * level.clamp(min=1e-6))
    return _where(chosen, torch.tanh(sources * scale) / scale, sources)


def reverberate(
    sources: Sources, sample_rate: int, generator: torch.Generator, probability: float,
    *, share: Share = WHOLE,
) -> Tensor:  # fmt: skip
    """Add a small room, different for each source: decaying noise of 0.1 to 0.5 s."""
    channels, samples = sources.shape[2:]
    chosen = _chosen(sources, generator, probability, share)
    drawn = torch.rand((*_counts(sources, share), 2), generator=generator)
    seeds = torch.randint(2**62, _counts(sources, share), generator=generator)
    seconds, wet = (
        _between(shared(drawn, share)[..., i], *r) for i, r in enumerate((_ROOM_S, _WET))
    )
    longest = min(samples, math.ceil(_ROOM_S[1] * sample_rate))
    time = torch.arange(longest) / sample_rate
    out = sources.clone()
    for item, stem in chosen.nonzero().tolist():
        own = torch.Generator().manual_seed(int(shared(seeds, share)[item, stem]))
        noise = torch.randn((channels, longest), generator=own)
        room = noise * torch.exp(-6.9 * time / seconds[item, stem])
        room = room * (wet[item, stem] / room.square().sum(1, keepdim=True).sqrt())
        size = samples + longest
        tail = torch.fft.irfft(
            torch.fft.rfft(sources[item, stem], size)
            * torch.fft.rfft(room.to(sources.device, sources.dtype), size),
            size,
        )
        out[item, stem] += tail[:, :samples]
    return out


def _counts(sources: Tensor, share: Share) -> tuple[int, int]:
    """Items of the global batch, and stems."""
    return sources.shape[0] * share[1], sources.shape[1]


def _chosen(
    sources: Tensor, generator: torch.Generator, probability: float, share: Share
) -> Tensor:
    return shared(torch.rand(_counts(sources, share), generator=generator), share) < probability


def _between(drawn: Tensor, low: float, high: float) -> Tensor:
    """Map uniform numbers in [0, 1) to numbers with uniform logarithms between two limits."""
    return low * (high / low) ** drawn


def _where(chosen: Tensor, changed: Tensor, sources: Tensor) -> Tensor:
    here = chosen[..., None, None].to(sources.device)
    return torch.where(here, changed, sources)


def _frequencies(sources: Tensor, sample_rate: int) -> Tensor:
    frequencies: Tensor = torch.fft.rfftfreq(sources.shape[-1], 1 / sample_rate)
    return frequencies


def _filtered(sources: Tensor, curve: Tensor) -> Tensor:
    spectrum = torch.fft.rfft(sources) * curve.to(sources.device, sources.dtype)
    filtered: Tensor = torch.fft.irfft(spectrum, sources.shape[-1])
    return filtered


def _joined(gains_db: Float[Tensor, "b s k"], frequencies: Float[Tensor, " f"]) -> Tensor:
    """Gains at the bands' centres as a curve over frequency, (b, s, f): half cosines between."""
    places = torch.tensor(_BANDS_HZ).log2()
    at = frequencies.clamp(_BANDS_HZ[0], _BANDS_HZ[-1]).log2()
    right = torch.searchsorted(places, at).clamp(1, len(_BANDS_HZ) - 1)
    part = ((at - places[right - 1]) / (places[right] - places[right - 1])).clamp(0, 1)
    weight = (1 - torch.cos(math.pi * part)) / 2
    return gains_db[..., right - 1] * (1 - weight) + gains_db[..., right] * weight
