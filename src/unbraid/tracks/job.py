"""All that a song's stems depend on, the song apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

from unbraid.audio.files import AudioInfo
from unbraid.audio.write import AudioFormat
from unbraid.engines.prepare import ReadyModel
from unbraid.separation.progress import Watch
from unbraid.separation.settings import DEFAULT_SETTINGS, SeparationSettings
from unbraid.tracks.names import OutputPlan
from unbraid.tracks.parts import Parts, choose_parts
from unbraid.tracks.records import SourceContent, check_free, load_record
from unbraid.tracks.route import ChannelMap, map_channels
from unbraid.tracks.settings import OutputSettings
from unbraid.tracks.source_format import choose_format, choose_rate
from unbraid.tracks.spool import SpoolView

STEMS_REVISION = 2
"""Raised when the same model and settings give other stems than before: records end with it."""


_USUAL = OutputSettings()
_LATER = ("groups", "only", "loudness_lufs", "loudness_of")
_LATER_SETTINGS = ("windows", "bigshifts", "tta")


@dataclass(frozen=True)
class Delivery:
    """How the stems of one source are written.

    Attributes:
        format: of the files.
        sample_rate: of the files, Hz.
        channel_map: how the source's channels go through the model.
    """

    format: AudioFormat
    sample_rate: int
    channel_map: ChannelMap


@dataclass(frozen=True)
class TrackJob:
    """A model, and what it is to do with any number of songs.

    Attributes:
        model: ready to separate.
        settings: how it separates.
        output: how the stems are written.
        fingerprint: of the model, see `ReadyModel.fingerprint`.
        inputs: (device, inode) of all songs of the run, which are never replaced.
    """

    model: ReadyModel
    settings: SeparationSettings
    output: OutputSettings
    fingerprint: str = ""
    inputs: frozenset[tuple[int, int]] = frozenset()

    @property
    def parts(self) -> Parts:
        """What is written of the model's estimates."""
        return choose_parts(self.output, self.model.model.spec.stems)

    @property
    def request(self) -> str:
        """Digest of all that decides over the bytes that are written."""
        settings, output = asdict(self.settings), asdict(self.output)
        settings.pop("batch_size")
        for name in _LATER_SETTINGS:  # records from before there was a choice stay valid
            if settings[name] == getattr(DEFAULT_SETTINGS, name):
                settings.pop(name)
        for name in ("filename", "overwrite", "skip_existing", "project"):
            output.pop(name)
        for name in _LATER:  # so that stems that were written before they came are not made again
            if output[name] == getattr(_USUAL, name):
                output.pop(name)
        facts = [STEMS_REVISION, self.fingerprint, self.model.precision, settings, output]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def delivery(self, info: AudioInfo) -> Delivery:
        """How the stems of a source are written.

        Raises:
            AudioWriteError: if the format cannot hold the source's channels.
            ShapeError: if the model cannot take them.
        """
        spec = self.model.model.spec
        chosen = choose_format(self.output, info)
        rate = choose_rate(self.output, info.sample_rate, spec.sample_rate, chosen)
        return Delivery(chosen, rate, map_channels(info.channel_names, spec.channels))

    def check_free(self, plan: OutputPlan, content: SourceContent) -> None:
        """Refuse to replace what is not ours to replace, see `records.check_free`."""
        record = load_record(plan)
        check_free(plan, record, content, overwrite=self.output.overwrite, inputs=self.inputs)


@dataclass(frozen=True)
class TrackWatch(Watch):
    """As `Watch`; progress is that of the whole song.

    Attributes:
        on_stems: called once, before the first stems are there, with a view of those that are ready
            at any time.
    """

    on_stems: Callable[[SpoolView], None] | None = None


UNWATCHED_TRACK = TrackWatch()
