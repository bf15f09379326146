"""Signals in memory: tensors or arrays, whole or in blocks, checked and returned in kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from unbraid import arrays
from unbraid.arrays import as_array, is_tensor
from unbraid.audio.channels import default_channel_names
from unbraid.engines.prepare import ReadyModel
from unbraid.errors import AudioError, ShapeError
from unbraid.scratch import temporary
from unbraid.separation.progress import UNWATCHED, Watch
from unbraid.separation.settings import SeparationSettings
from unbraid.tracks.route import Route, map_channels, meter_blocks
from unbraid.tracks.settings import whole_rate
from unbraid.tracks.spool import Spool
from unbraid.words import counted

if TYPE_CHECKING:
    from torch import Tensor

    Signal = TypeVar("Signal", Tensor, np.ndarray)
else:
    Signal = TypeVar("Signal")

_MOST_CHANNELS = 64


def separate_signal(
    ready: ReadyModel,
    settings: SeparationSettings,
    signal: Signal,
    sample_rate: Any,
    watch: Watch = UNWATCHED,
) -> dict[str, Signal]:
    """Separate a signal (c t); for each stem a signal of the same kind, shape, type and device.

    Raises:
        ShapeError: if it is not such a signal.
        AudioError: if it holds numbers that are not finite.
        SettingsError: if the rate is not a whole number of Hz.
    """
    source = as_source(signal)
    route = _route(ready, settings, len(source), whole_rate(sample_rate))
    samples = source.shape[1]
    loudness = meter_blocks(
        [source], route.channel_map, route.source_rate, route.model.spec.sample_rate
    )
    estimates = route.estimates(lambda: [source], loudness, samples, watch=watch)
    parts = np.concatenate(list(route.outgoing(estimates, samples)), axis=-1)
    return _by_stem(route, signal, parts)


def separate_stream(
    ready: ReadyModel,
    settings: SeparationSettings,
    blocks: Iterable[Signal],
    sample_rate: Any,
    watch: Watch = UNWATCHED,
) -> Iterator[dict[str, Signal]]:
    """Separate a signal that comes in blocks (c n) of any lengths, in constant memory.

    All blocks are taken before the first stems come: the loudness of the whole signal has to be
    known. Meanwhile they lie in a temporary file, 4 bytes a sample.

    Yields:
        for each stem the next block (c n), of the kind, type and device of the first block.
    Raises:
        ShapeError, AudioError, SettingsError: as `separate_signal`.
    """
    rate = whole_rate(sample_rate)
    given = iter(blocks)
    first = next(given, None)
    if first is None:
        raise ShapeError("a stream takes at least one block, (channels, samples), got none")
    channels = len(as_source(first))
    route = _route(ready, settings, channels, rate)
    with temporary() as scratch:
        with Spool(scratch.folder / "source.f32", channels) as sound:
            loudness = meter_blocks(
                _spooled(chain([first], given), sound),
                route.channel_map,
                rate,
                route.model.spec.sample_rate,
            )
        estimates = route.estimates(
            sound.blocks, loudness, sound.samples, scratch_dir=scratch.folder, watch=watch
        )
        for block in route.outgoing(estimates, sound.samples):
            yield _by_stem(route, first, block)


def as_source(signal: Any) -> np.ndarray:
    """A float32 copy (c t) of a signal, checked."""
    kind = "a tensor" if is_tensor(signal) else "an array"
    if not is_tensor(signal) and not isinstance(signal, np.ndarray):
        raise ShapeError(f"a signal is a tensor or an array, got {type(signal).__name__}")
    wanted = "a signal is floating point, (channels, samples)"
    if signal.ndim != 2 or 0 in signal.shape:
        hints = {
            1: "; use signal[None] for one channel",
            3: "; separate the items of a batch one by one",
        }
        hint = hints.get(signal.ndim, "")
        raise ShapeError(f"{wanted}, got {kind} of shape {tuple(signal.shape)}{hint}")
    if signal.shape[0] > _MOST_CHANNELS:
        raise ShapeError(
            f"{wanted}, got {counted(signal.shape[0], 'channel')}; transpose it if it is "
            "(samples, channels)"
        )
    array = as_array(signal)
    if not np.issubdtype(array.dtype, np.floating):
        raise ShapeError(f"{wanted}, got {signal.dtype}; divide integers by their full scale")
    with np.errstate(over="ignore"):  # too large for float32, and told below
        source = np.array(array, np.float32)
    if not np.isfinite(source).all():
        raise AudioError(
            "the signal holds NaN or Inf, or numbers beyond 32-bit floats; repair it first"
        )
    return source


def alike(signal: Signal, part: np.ndarray) -> Signal:
    """`part` as a new signal of the kind, type and device of `signal`."""
    if isinstance(signal, np.ndarray):
        return part.astype(signal.dtype)
    return arrays.alike(signal, part.copy()).to(signal.dtype)


def _route(ready: ReadyModel, settings: SeparationSettings, channels: int, rate: int) -> Route:
    spec = ready.model.spec
    return Route(
        model=ready.model,
        settings=settings,
        channel_map=map_channels(default_channel_names(channels), spec.channels),
        source_rate=rate,
        output_rate=rate,
        stems=tuple(range(len(spec.stems))),
    )


def _spooled(blocks: Iterable[Signal], sound: Spool) -> Iterator[np.ndarray]:
    for block in blocks:
        source = as_source(block)
        if len(source) != sound.rows:
            raise ShapeError(
                f"all blocks of a stream have {counted(sound.rows, 'channel')} as the first one, "
                f"got {len(source)}"
            )
        sound.append(source)
        yield source


def _by_stem(route: Route, signal: Signal, parts: np.ndarray) -> dict[str, Signal]:
    stems = route.model.spec.stems
    return {stem: alike(signal, part) for stem, part in zip(stems, parts, strict=True)}
