"""What is to be done for a song, known beforehand: a pass over it for each model of a bag."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from unbraid.errors import SettingsError
from unbraid.models.base import ModelSpec
from unbraid.models.compose.bag import Bag
from unbraid.models.limits import check_segment
from unbraid.separation.augmented import count_variants
from unbraid.separation.overlap_add import FlatWeights, SegmentWeights
from unbraid.separation.rotated import rotations
from unbraid.separation.segments import Segment, merge_lanes, stride_samples
from unbraid.separation.settings import SeparationSettings
from unbraid.separation.shifts import lane_starts


@dataclass(frozen=True)
class Pass:
    """One model over the whole song.

    Attributes:
        member: which model of the bag.
        shares: for each stem, the model's part in the result.
        samples: length of the song.
        starts: for each shift, where its lane of segments starts (0 or before).
        length, stride: of the segments, in samples.
        settings: the rest (transition_power, batch_size, windows).
        border: samples that the song is extended by on either side, mirrored; `samples` counts
            them.
        rotation: samples of its end that come first.
        variants: how many times the model sees each segment.
    """

    member: int
    shares: tuple[float, ...]
    samples: int
    starts: tuple[int, ...]
    length: int
    stride: int
    settings: SeparationSettings
    border: int = 0
    rotation: int = 0
    variants: int = 1

    def segments(self) -> Iterator[Segment]:
        """The segments of all lanes, in the order of their starts."""
        return merge_lanes(self.starts, self.samples, self.length, self.stride)

    def seen(self, segment: Segment) -> Segment:
        """What the model is to see of a segment: a whole one, unless windows are triangles."""
        if self.settings.windows != "triangle":
            return segment._replace(stop=segment.start + self.length)
        return segment

    def weights(self) -> SegmentWeights | FlatWeights:
        """How much each segment counts at each of its samples."""
        if self.settings.windows != "triangle":
            fade = self.length // 10 if self.settings.windows == "flat" else 0
            return FlatWeights(self.length, self.stride, self.samples, fade)
        power = self.settings.transition_power
        return SegmentWeights(self.length, self.stride, power, self.longest_lane)

    @property
    def longest_lane(self) -> int:
        """In samples."""
        return self.samples - min(self.starts)

    @property
    def work(self) -> int:
        """Samples that go through the model."""
        return self.variants * sum(segment.length for segment in self.segments())


def plan_passes(bag: Bag, samples: int, settings: SeparationSettings) -> list[Pass]:
    """The passes over a song of `samples`, the last one in its own order; members without any
    weight have none.

    Every member draws its offsets, also one without weight, so that a weight changes nothing else.

    Raises:
        SettingsError: if segment, overlap or offsets do not fit the model.
        SegmentTooLong: if a segment is longer than the model can take.
    """
    starts = lane_starts(settings, bag.spec.sample_rate, len(bag))
    turns = rotations(samples, max(1, settings.bigshifts))
    variants = count_variants(bag.spec.channels) if settings.tta else 1
    passes = []
    for member, shares in enumerate(bag.shares):
        if any(shares):
            longest_lane = samples - min(starts[member])
            length = _segment_samples(bag.spec, bag.segments[member], longest_lane, settings)
            stride = stride_samples(length, settings.overlap) if settings.split else length
            border = _border(samples, length - stride, settings)
            lane = (samples + 2 * border, starts[member], length, stride)
            part = tuple(share / len(turns) for share in shares)
            passes += [Pass(member, part, *lane, settings, border, by, variants) for by in turns]
    return passes


def _border(samples: int, overlap: int, settings: SeparationSettings) -> int:
    """Samples to mirror on either side: with flat windows the overlap, if the song has two."""
    return overlap if settings.windows == "flat" and samples > 2 * overlap else 0


def _segment_samples(
    spec: ModelSpec, own_samples: int, longest_lane: int, settings: SeparationSettings
) -> int:
    if not settings.split:
        length = longest_lane
    elif settings.segment_s is None:
        length = own_samples
    else:
        length = int(spec.sample_rate * settings.segment_s)
    if length < 1:
        raise SettingsError(
            f"a segment of {settings.segment_s:g} s has not one sample at {spec.sample_rate} Hz; "
            f"the model's own is {own_samples / spec.sample_rate:g} s"
        )
    left_out = "segment_s" if settings.split else "split=False"
    check_segment(length, spec, f"use less, or leave {left_out} out for the model's own")
    return length
