"""Augmentation of batches of sources, on whatever device they are (after the public Demucs recipe).

Every function takes (batch, stems, channels, samples) and a generator on the CPU, so that all
devices draw the same numbers, and returns a new tensor. `share` is for distributed training: `(1,
4)` says that the batch is the second of four equal shares of a global batch; see `shares`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from unbraid.data import augment_effects as effects
from unbraid.data.shares import WHOLE, Share, shared
from unbraid.errors import SettingsError, ShapeError
from unbraid.shapes import Sources

_PROBABILITIES = (
    *("scale_probability", "remix_probability", "equalizer", "saturation", "reverb", "codec"),
)


@dataclass(frozen=True)
class AugmentSettings:
    """What is done to a batch, in this order.

    Attributes:
        shift_s: sources are shifted by up to this against each other, in seconds, and batches get
            as much shorter; 0 for none.
        shift_same: all sources of an item are shifted alike.
        flip: swap left and right, and flip the sign, of half of the sources each.
        scale: range of the sources' gains; None for none.
        scale_probability: of scaling, for each batch.
        remix_group: batches are cut into groups of this many items, in which sources are swapped;
            0 for none.
        remix_probability: of remixing, for each batch.
        gain_db: by stem, mean and deviation in dB of its own random gain, in addition to `scale`.
        absent: by stem, how often it is silent.
        without_lows: by stem, how often its lowest octaves are taken out.
        equalizer, saturation, reverb: how often a source passes through each.
        codec: how often all stems of an item lose their treble alike.
    Raises:
        SettingsError: if a value makes no sense.
    """

    shift_s: float = 1.0
    shift_same: bool = False
    flip: bool = True
    scale: tuple[float, float] | None = (0.25, 1.25)
    scale_probability: float = 1.0
    remix_group: int = 4
    remix_probability: float = 1.0
    gain_db: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    absent: Mapping[str, float] = field(default_factory=dict)
    without_lows: Mapping[str, float] = field(default_factory=dict)
    equalizer: float = 0.0
    saturation: float = 0.0
    reverb: float = 0.0
    codec: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.shift_s) and self.shift_s >= 0):
            raise SettingsError(f"sources are shifted by 0 s or more, got {self.shift_s}")
        if self.scale is not None and not 0 <= self.scale[0] <= self.scale[1] < math.inf:
            raise SettingsError(f"gains lie between two numbers from 0 on, got {self.scale}")
        for name in _PROBABILITIES:
            if not 0 <= getattr(self, name) <= 1:
                raise SettingsError(f"{name} lies within 0 and 1, got {getattr(self, name)}")
        if self.remix_group < 0:
            raise SettingsError(f"groups to remix have 0 items or more, got {self.remix_group}")
        for name in ("absent", "without_lows"):
            for stem, share in getattr(self, name).items():
                if not 0 <= share <= 1:
                    raise SettingsError(f"{name}.{stem} lies within 0 and 1, got {share}")
        for stem, (mean, deviation) in self.gain_db.items():
            if not (math.isfinite(mean) and 0 <= deviation < math.inf):
                raise SettingsError(
                    f"gain_db.{stem} is a mean and a deviation of 0 or more, got {mean, deviation}"
                )

    def shift_samples(self, sample_rate: int) -> int:
        """By how much batches get shorter, in samples."""
        return int(self.shift_s * sample_rate)


def augment(
    sources: Sources,
    settings: AugmentSettings,
    sample_rate: int,
    generator: torch.Generator,
    *,
    stems: Sequence[str] = (),
    share: Share = WHOLE,
) -> Tensor:
    """Shift, flip, scale and remix, in the order of the paper; then what else there is.

    Args:
        sources: (batch, stems, channels, samples).
        settings: what to do.
        sample_rate: Hz.
        generator: on the CPU.
        stems: names, for settings that go by them; a stem that is not named keeps its defaults.
        share: see the module.
    Returns:
        (batch, stems, channels, samples - settings.shift_samples).
    Raises:
        ShapeError: if items are shorter than the shift, or groups do not fit.
    """
    sources = shift(
        sources,
        settings.shift_samples(sample_rate),
        generator,
        settings.shift_same,
        share=share,
    )
    if settings.flip:
        sources = flip_channels(sources, generator, share=share)
        sources = flip_sign(sources, generator, share=share)
    if settings.scale is not None:
        low, high = settings.scale
        probability = settings.scale_probability
        sources = scale(sources, low, high, generator, probability, share=share)
    if settings.remix_group > 1:
        group, probability = settings.remix_group, settings.remix_probability
        sources = remix(sources, group, generator, probability, share=share)
    sources = _effects(sources, settings, sample_rate, generator, stems, share)
    if settings.gain_db:
        mean, deviation = (
            torch.tensor([settings.gain_db.get(stem, (0.0, 0.0))[part] for stem in stems])
            for part in (0, 1)
        )
        sources = gain(sources, mean, deviation, generator, share=share)
    if settings.absent:
        sources = silence(sources, _by_stem(settings.absent, stems), generator, share=share)
    if settings.codec:
        sources = effects.band_limit(sources, sample_rate, generator, settings.codec, share=share)
    return sources


def _effects(
    sources: Sources, settings: AugmentSettings, sample_rate: int, generator: torch.Generator,
    stems: Sequence[str], share: Share,
) -> Tensor:  # fmt: skip
    """What is done to sources apart from each other; nothing is drawn for what is off."""
    if settings.without_lows:
        chances = _by_stem(settings.without_lows, stems)
        sources = effects.without_lows(sources, sample_rate, generator, chances, share=share)
    if settings.equalizer:
        chance = settings.equalizer
        sources = effects.equalizer(sources, sample_rate, generator, chance, share=share)
    if settings.saturation:
        sources = effects.saturate(sources, generator, settings.saturation, share=share)
    if settings.reverb:
        chance = settings.reverb
        sources = effects.reverberate(sources, sample_rate, generator, chance, share=share)
    return sources


def _by_stem(table: Mapping[str, float], stems: Sequence[str]) -> Tensor:
    return torch.tensor([table.get(stem, 0.0) for stem in stems])


def shift(
    sources: Sources,
    samples: int,
    generator: torch.Generator | None,
    same: bool = False,
    *,
    share: Share = WHOLE,
) -> Tensor:
    """Cut `samples` off, part of it at the start, by an offset uniform in [0, samples).

    Args:
        sources: (batch, stems, channels, t).
        samples: how much to cut off.
        generator: of the offsets; None cuts at the end alone, as in validation.
        same: one offset for all sources of an item.
        share: see the module.
    Returns:
        (batch, stems, channels, t - samples).
    Raises:
        ShapeError: if nothing would be left.
    """
    batch, stems, _, length = sources.shape
    if not 0 <= samples < length:
        raise ShapeError(f"a shift by {samples} samples leaves nothing of {length}")
    if samples == 0 or generator is None:
        return sources[..., : length - samples].clone()
    offsets = shared(
        torch.randint(samples, (batch * share[1], 1 if same else stems), generator=generator),
        share,
    )
    # Every window as a view; the two index tensors then pick one for each item and source.
    windows = sources.unfold(-1, length - samples, 1)
    item = torch.arange(batch, device=sources.device)[:, None]
    stem = torch.arange(stems, device=sources.device)[None, :]
    return windows[item, stem, :, offsets.expand(-1, stems).to(sources.device)]


def flip_channels(sources: Sources, generator: torch.Generator, *, share: Share = WHOLE) -> Tensor:
    """Swap left and right of half of the sources; the order of other channels is turned round."""
    swap = shared(_coins(sources, generator, share), share).to(sources.device)
    return torch.where(swap, sources.flip(2), sources)


def flip_sign(sources: Sources, generator: torch.Generator, *, share: Share = WHOLE) -> Tensor:
    """Multiply half of the sources by -1."""
    turn = shared(_coins(sources, generator, share), share).to(sources.device)
    return torch.where(turn, -sources, sources)


def scale(
    sources: Sources,
    low: float,
    high: float,
    generator: torch.Generator,
    probability: float = 1.0,
    *,
    share: Share = WHOLE,
) -> Tensor:
    """With `probability` for the whole batch, a gain uniform in [low, high) for each source."""
    batch, stems = sources.shape[:2]
    coin = torch.rand((), generator=generator)
    drawn = torch.rand((batch * share[1], stems, 1, 1), generator=generator)
    if coin >= probability:
        return sources.clone()
    gains = low + (high - low) * shared(drawn, share)
    return sources * gains.to(sources.device, sources.dtype)


def gain(
    sources: Sources,
    mean_db: Tensor,
    deviation_db: Tensor,
    generator: torch.Generator,
    *,
    share: Share = WHOLE,
) -> Tensor:
    """A gain for each source, normal in dB; mean and deviation are (stems,)."""
    batch, stems = sources.shape[:2]
    drawn = torch.randn((batch * share[1], stems), generator=generator)
    gains = 10 ** ((mean_db + deviation_db * shared(drawn, share)) / 20)
    return sources * gains[..., None, None].to(sources.device, sources.dtype)


def silence(
    sources: Sources, probabilities: Tensor, generator: torch.Generator, *, share: Share = WHOLE
) -> Tensor:
    """Leave sources out, each stem with its own probability, (stems,)."""
    batch, stems = sources.shape[:2]
    drawn = torch.rand((batch * share[1], stems), generator=generator)
    kept = shared(drawn, share) >= probabilities
    return sources * kept[..., None, None].to(sources.device, sources.dtype)


def remix(
    sources: Sources,
    group_size: int,
    generator: torch.Generator,
    probability: float = 1.0,
    *,
    share: Share = WHOLE,
) -> Tensor:
    """With `probability` for the whole batch, let sources change places within groups of items.

    Each stem is permuted on its own, so that a mixture takes its stems from up to as many songs as
    a group has.

    Raises:
        ShapeError: if the batch cannot be cut into groups of `group_size`.
    """
    batch, stems = sources.shape[:2]
    if group_size < 1 or batch % group_size:
        raise ShapeError(
            f"a batch of {batch} items cannot be cut into groups of {group_size}; "
            "choose a batch size that remix's group size divides"
        )
    coin = torch.rand((), generator=generator)
    groups = batch // group_size
    keys = torch.rand((groups * share[1], group_size, stems), generator=generator)
    if coin >= probability:
        return sources.clone()
    within = shared(keys.argsort(dim=1), share)
    first = torch.arange(groups)[:, None, None] * group_size
    item = (first + within).reshape(batch, stems).to(sources.device)
    return sources[item, torch.arange(stems, device=sources.device)[None, :]]


def _coins(sources: Tensor, generator: torch.Generator, share: Share) -> Tensor:
    shape = (sources.shape[0] * share[1], sources.shape[1], 1, 1)
    return torch.randint(2, shape, generator=generator).bool()
