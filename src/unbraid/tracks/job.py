"""All that a song's stems depend on, the song apart."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from unbraid.separation.settings import SeparationSettings
from unbraid.tracks.model import ReadyModel
from unbraid.tracks.settings import OutputSettings, Parts, choose_parts

STEMS_REVISION = 1
"""Raised when the same model and settings give other stems than before: records end with it."""


@dataclass(frozen=True)
class TrackJob:
    """A model, and what is asked of it.

    Attributes:
        model: ready to separate.
        settings: how it separates.
        output: how its stems are written.
    """

    model: ReadyModel
    settings: SeparationSettings
    output: OutputSettings

    @property
    def parts(self) -> Parts:
        return choose_parts(self.output, self.model.model.spec.stems)

    def request(self, fingerprint: str) -> str:
        """Digest of all that decides over the bytes that are written."""
        settings, output = asdict(self.settings), asdict(self.output)
        settings.pop("batch_size")
        for name in ("filename", "overwrite", "skip_existing"):
            output.pop(name)
        facts = [STEMS_REVISION, fingerprint, self.model.precision, settings, output]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
