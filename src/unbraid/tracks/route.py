"""From blocks of a source to blocks of its stems, at any rate and with any channels.

source blocks (c n) -> model rate -> groups of channels (b m n)
    -> separate_blocks -> (b s m n) -> channels (s c n) -> output rate -> cut to length
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unbraid.audio.channels import channel_groups
from unbraid.audio.resample import resample_blocks, resampled_length
from unbraid.errors import ModelError, ShapeError
from unbraid.models.base import SeparationModel
from unbraid.separation.progress import UNWATCHED, Watch
from unbraid.separation.settings import SeparationSettings
from unbraid.separation.streaming import (
    EstimatesBlock,
    Loudness,
    LoudnessMeter,
    separate_blocks,
)
from unbraid.shapes import Float, Float32
from unbraid.words import counted

Block = Float32[np.ndarray, "c n"]
StemBlock = Float32[np.ndarray, "s c n"]


@dataclass(frozen=True)
class ChannelMap:
    """How a source's channels go to the model and come back.

    A stereo model gets left and right of each place unchanged, and every other channel on both
    its inputs; what comes back of such a channel is the mean of both.

    Attributes:
        groups: channels of the source that go through the model together.
        model_channels: channels the model takes.
    """

    groups: tuple[tuple[int, ...], ...]
    model_channels: int

    @property
    def channels(self) -> int:
        """Channels of the source."""
        return sum(len(group) for group in self.groups)

    def to_model(self, block: Block) -> Float[np.ndarray, "b m n"]:
        """(channels, samples) -> (groups, model channels, samples)."""
        rows = [
            group if len(group) == self.model_channels else group * self.model_channels
            for group in self.groups
        ]
        stacked: np.ndarray = block[np.array(rows)]
        return stacked

    def from_model(self, estimates: Float[np.ndarray, "b s m n"]) -> StemBlock:
        """(groups, stems, model channels, samples) -> (stems, channels, samples)."""
        _, stems, _, samples = estimates.shape
        block = np.empty((stems, self.channels, samples), np.float32)
        for group, part in zip(self.groups, estimates, strict=True):
            if len(group) == self.model_channels:
                block[:, list(group)] = part
            else:
                block[:, group[0]] = part.mean(axis=1)
        return block


def map_channels(channel_names: Sequence[str], model_channels: int) -> ChannelMap:
    """Lay a source's channels out for a model.

    Raises:
        ShapeError: if the model takes more than two channels and the source has not that many.
    """
    everything = tuple(range(len(channel_names)))
    if model_channels == 1:
        return ChannelMap(tuple((index,) for index in everything), 1)
    if model_channels == 2:
        return ChannelMap(tuple(channel_groups(channel_names)), 2)
    if len(channel_names) in (1, model_channels):
        return ChannelMap((everything,), model_channels)
    raise ShapeError(
        f"this model takes {counted(model_channels, 'channel')}, "
        f"the source has {len(channel_names)}"
    )


def model_blocks(
    source: Iterable[np.ndarray], channel_map: ChannelMap, source_rate: int, model_rate: int
) -> Iterator[np.ndarray]:
    """Source blocks (c n) at their rate -> blocks (b m n) at the model's."""
    for block in resample_blocks(source, source_rate, model_rate, channel_map.channels):
        yield channel_map.to_model(block)


def meter_blocks(
    source: Iterable[np.ndarray], channel_map: ChannelMap, source_rate: int, model_rate: int
) -> Loudness:
    """The loudness of a source as the model will hear it."""
    meter = LoudnessMeter()
    for block in model_blocks(source, channel_map, source_rate, model_rate):
        meter.push(block)
    return meter.result()


@dataclass(frozen=True)
class Route:
    """A source's way through a model.

    Attributes:
        model: what separates.
        settings: how.
        channel_map: the source's channels.
        source_rate: Hz, of the source blocks.
        output_rate: Hz, of the stems.
        stems: which of the model's stems come out, by index.
    """

    model: SeparationModel
    settings: SeparationSettings
    channel_map: ChannelMap
    source_rate: int
    output_rate: int
    stems: tuple[int, ...]

    def estimates(
        self,
        source: Callable[[], Iterable[np.ndarray]],
        loudness: Loudness,
        samples: int,
        *,
        scratch_dir: Path | None = None,
        watch: Watch = UNWATCHED,
    ) -> Generator[EstimatesBlock, None, None]:
        """Blocks (b s m n) as they come from the model.

        Args:
            source: gives the source's blocks (c n) from the start, each time it is called.
            loudness: of the source, by `meter_blocks`.
            samples: of the source.
            scratch_dir, watch: see `separate_blocks`.
        """
        model_rate = self.model.spec.sample_rate
        return separate_blocks(
            self.model,
            lambda: model_blocks(source(), self.channel_map, self.source_rate, model_rate),
            loudness if self.model.spec.normalize else None,
            self.settings,
            samples=resampled_length(samples, self.source_rate, model_rate),
            scratch_dir=scratch_dir,
            watch=watch,
        )

    def outgoing(self, estimates: Iterable[EstimatesBlock], samples: int) -> Iterator[StemBlock]:
        """Blocks (s c n) of the stems at the output rate, made of `estimates`.

        Args:
            samples: of the source.
        Returns:
            blocks that come to `resampled_length` samples of the source together.
        Raises:
            ModelError: if the model gives numbers that are not finite.
        """
        model_rate = self.model.spec.sample_rate
        rows = (self._rows(block) for block in estimates)
        count = len(self.stems) * self.channel_map.channels
        blocks = resample_blocks(rows, model_rate, self.output_rate, count)
        due = resampled_length(samples, self.source_rate, self.output_rate)
        for block in _fit(blocks, count, due):
            yield block.reshape(len(self.stems), self.channel_map.channels, -1)

    def _rows(self, estimates: np.ndarray) -> np.ndarray:
        block = self.channel_map.from_model(estimates[:, list(self.stems)])
        if not np.isfinite(block).all():
            raise ModelError(
                "the model gives numbers that are not finite; its weights are damaged, or the "
                "precision is too low for it (try fp32)"
            )
        return block.reshape(-1, block.shape[-1])


def _fit(blocks: Iterable[np.ndarray], rows: int, samples: int) -> Iterator[np.ndarray]:
    """Cut or pad with silence to `samples`: two conversions of the rate may round by one apart."""
    given = 0
    for block in blocks:
        block = block[:, : samples - given]
        given += block.shape[1]
        if block.shape[1]:
            yield block
    if given < samples:
        yield np.zeros((rows, samples - given), np.float32)
