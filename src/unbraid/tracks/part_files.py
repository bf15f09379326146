"""The files that the parts of a song go to: one for each part, or one for all of them.

files      each part -> its own encoder
multiwav   all parts, their channels side by side -> one encoder
stem       the mixture and each part -> encoders of their own -> one stem file
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from unbraid.audio.files import AudioInfo
from unbraid.audio.stem_file import stem_labels, write_stem_file
from unbraid.audio.tags import Tags
from unbraid.audio.write import AudioFormat, AudioWriter
from unbraid.closing import Closing
from unbraid.side_by_side import Behind
from unbraid.tracks.parts import Parts
from unbraid.tracks.settings import OutputSettings

MIXTURE = "mixture"


class PartFiles(Closing):
    """Encodes the parts of a song, each on a thread of its own, into a folder.

    Leaving the `with` block ends the encoding; then `finish()` gives the files.

    Args:
        folder: where to write.
        parts: what is written.
        output: whether parts share a file.
        chosen: format of each part.
        sample_rate: Hz.
        info: of the source; its channels.
        tags: of all files.
    Attributes:
        with_mixture: whether the mixture is written, too.
    Raises:
        AudioWriteError: if a file cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        parts: Parts,
        output: OutputSettings,
        chosen: AudioFormat,
        sample_rate: int,
        info: AudioInfo,
        tags: Tags,
    ) -> None:
        self._folder, self._parts, self._tags = folder, parts, tags
        self._kind = output.format
        self.with_mixture = output.format == "stem"
        self._stereo = self.with_mixture and info.channels == 1
        names = parts.names if self._kind == "multiwav" else parts.written
        extra = (MIXTURE,) if self.with_mixture else ()
        self._files = {
            name: folder / f"part{index}.{chosen.extension}"
            for index, name in enumerate((*names, *extra))
        }
        channels, channel_names = info.channels, info.channel_names
        if self._kind == "multiwav":
            channels, channel_names = channels * len(parts.written), ()
        elif self._stereo:
            channels, channel_names = 2, ()
        with ExitStack() as stack:
            self._sinks = {}
            for name, path in self._files.items():
                writer = AudioWriter(
                    path,
                    chosen,
                    sample_rate,
                    channels,
                    tags=None if self.with_mixture else tags,
                    channel_names=channel_names or None,
                )
                # Encoding costs more than all else here, for mp3 more than the model.
                self._sinks[name] = stack.enter_context(Behind(stack.enter_context(writer).write))
            self._stack = stack.pop_all()

    def write(self, parts: Mapping[str, np.ndarray]) -> None:
        """Add a block (channels, samples) of every written part, and of the mixture if wanted."""
        if self._kind == "multiwav":
            block = np.concatenate([parts[name] for name in self._parts.written])
            parts = dict.fromkeys(self._files, block)
        for name, sink in self._sinks.items():
            block = parts[name]
            sink.push(np.repeat(block, 2, axis=0) if self._stereo else block)

    def close(self) -> None:
        """End the encoding."""
        self._stack.close()

    def abort(self) -> None:
        """Leave the files as they are, after an error."""
        self._stack.__exit__(*sys.exc_info())  # so that each writer knows of it

    @property
    def encoded(self) -> list[Path]:
        """The file of each part, as it was encoded."""
        return [path for name, path in self._files.items() if name != MIXTURE]

    def finish(self) -> dict[str, Path]:
        """The files that the song gets, by name.

        Raises:
            AudioWriteError: if the stem file cannot be written.
        """
        if not self.with_mixture or self._parts.together is None:
            return self._files
        path = self._folder / "song.stem.mp4"
        labels = stem_labels(self._parts.written)
        write_stem_file(path, self._files[MIXTURE], self.encoded, labels, self._tags)
        for encoded in self._files.values():
            encoded.unlink()
        return {self._parts.together: path}
