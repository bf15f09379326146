"""The last pass: stems, and what closes their sum, in the very samples that are written."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np

from unbraid.audio.files import AudioInfo, read_blocks
from unbraid.audio.levels import full_scale, quantize, shared_gain
from unbraid.audio.resample import resample_blocks
from unbraid.audio.signal import recut
from unbraid.audio.tags import Tags
from unbraid.audio.write import AudioFormat
from unbraid.separation.progress import UNWATCHED, CancelToken, Progress, Watch
from unbraid.side_by_side import ahead
from unbraid.tracks.gain import GainMeter
from unbraid.tracks.part_files import MIXTURE, PartFiles
from unbraid.tracks.parts import Parts
from unbraid.tracks.settings import OutputSettings
from unbraid.tracks.spool import BLOCK_SAMPLES, Spool
from unbraid.tracks.volume import Volume, measure, song_volume, stem_volumes


@dataclass(frozen=True)
class Encoded:
    """What came of the last pass.

    Attributes:
        files: part to its finished file, not yet under its name.
        gain: the factor that all stems share.
        null_test_db: power of (input - sum of all written parts) over the input's; None if the
            written parts are not meant to add up.
        saturated: samples that did not fit and were held at full scale.
        moved: samples of which the closing part gave what did not fit back to a stem.
        notes: what was done to the loudness, in sentences.
    """

    files: dict[str, Path]
    gain: float
    null_test_db: float | None
    saturated: int
    moved: int
    notes: tuple[str, ...] = ()


@dataclass
class NullTest:
    """How far the written parts are from adding up to the input, as a power ratio."""

    error: float = 0.0
    input: float = 0.0

    def push(self, error: np.ndarray, source: np.ndarray) -> None:
        """Add a block: what the sum of its parts lacks, and the block itself; one shape."""
        self.error += float(np.sum(np.square(error, dtype=np.float64)))
        self.input += float(np.sum(np.square(source, dtype=np.float64)))

    @property
    def db(self) -> float:
        """10 log10((sum e^2 + 1e-30) / (sum x^2 + 1e-30)); -300 for silence that is silence still.

        The quotient would call that 0 dB, the same as nothing written of a song.
        """
        if self.error == 0.0 == self.input:
            return -300.0
        return 10.0 * math.log10((self.error + 1e-30) / (self.input + 1e-30))


class TrackEncoder:
    """Writes the parts of one track into a folder.

    Args:
        info: of the source.
        source: its spool, at its own rate.
        stems: spool of the written stems, interleaved (stems x channels), at the output rate.
        parts: what is written.
        output: how; clip mode, loudness.
        chosen: format of the files.
        sample_rate: of the files, Hz.
        seed: of the dither.
    """

    def __init__(
        self,
        info: AudioInfo,
        source: Spool,
        stems: Spool,
        parts: Parts,
        output: OutputSettings,
        chosen: AudioFormat,
        sample_rate: int,
        seed: int,
    ) -> None:
        self._info = info
        self._source = source
        self._stems = stems
        self._parts = parts
        self._output = output
        self._clip_mode = output.clip_mode
        self._volume = Volume()
        self._format = chosen
        self._steps = 2 ** (chosen.bits - 1) if chosen.is_integer and chosen.bits else None
        self._sample_rate = sample_rate
        # Each stem has dither of its own, which does not depend on what else is written.
        self._dither = [
            np.random.default_rng([seed, zlib.crc32(name.encode())]) for name in parts.stems
        ]
        self._mixture_dither = np.random.default_rng([seed, zlib.crc32(MIXTURE.encode())])
        self._saturated = 0
        self._moved = 0
        self._told = 0

    def run(self, folder: Path, tags: Tags, watch: Watch = UNWATCHED) -> Encoded:
        """Encode all parts into `folder`.

        Args:
            folder: holds nothing of these names yet.
            tags: of the source.
            watch: told how far the stage "write" has come, and looked at between blocks.
        Raises:
            AudioWriteError: if a file cannot be written.
        """
        self._volume = self._measure_volume()
        gain = self._measure_gain(watch.cancel)
        null = NullTest()
        parts = self._parts
        files = PartFiles(
            folder, parts, self._output, self._format, self._sample_rate, self._info, tags
        )
        pairs = ahead(self._pairs(watch.cancel), depth=2)
        with closing(pairs), files, ThreadPoolExecutor(len(parts.stems)) as self._threads:
            for source, stems in pairs:
                self._tell(source.shape[1], watch)
                written = self._finish(source, stems, gain)
                if parts.complete and not self._format.is_lossy:
                    null.push(source - self._sum(written), source)
                blocks = dict(zip(parts.all, written, strict=True))
                if files.with_mixture:
                    blocks[MIXTURE] = self._finished_mixture(source, gain)
                files.write(blocks)
        if parts.complete and self._format.is_lossy:
            null = self._decoded_null(files.encoded, watch.cancel)
        return Encoded(
            files=files.finish(),
            gain=self._volume.song * gain,
            null_test_db=null.db if parts.complete else None,
            saturated=self._saturated,
            moved=self._moved,
            notes=self._volume.notes,
        )

    def _tell(self, samples: int, watch: Watch) -> None:
        """Count samples that are about to be encoded."""
        total = self._source.samples * self._sample_rate / self._info.sample_rate
        watch.tell(Progress("write", min(1.0, self._told / max(1.0, total)), None))
        self._told += samples

    def _pairs(self, cancel: CancelToken | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Blocks of the input (c n) and of the stems (s c n), side by side at the output rate."""
        channels = self._info.channels
        for source, stems in zip(
            recut(self._input(), channels, BLOCK_SAMPLES), self._stems.blocks(), strict=True
        ):
            if cancel is not None:
                cancel.check()
            stems = stems.reshape(len(self._parts.stems), channels, -1)
            volume = self._volume
            if volume.song != 1.0:
                source, stems = source * np.float32(volume.song), stems * np.float32(volume.song)
            if volume.stems:
                stems = stems * np.array(volume.stems, np.float32)[:, None, None]
            yield source, stems

    def _input(self) -> Iterator[np.ndarray]:
        return resample_blocks(
            self._source.blocks(), self._info.sample_rate, self._sample_rate, self._info.channels
        )

    def _measure_volume(self) -> Volume:
        """The gains for the requested loudness."""
        lufs, channels = self._output.loudness_lufs, self._info.channels
        if lufs is None:
            return Volume()
        if self._output.loudness_of == "song":
            (song,) = measure(self._input(), self._sample_rate, channels)
            return song_volume(song, lufs, self._ceiling)
        names = self._parts.stems
        measured = measure(self._stems.blocks(), self._sample_rate, channels, len(names))
        return stem_volumes(dict(zip(names, measured, strict=True)), lufs, self._ceiling)

    @property
    def _ceiling(self) -> float:
        """The greatest magnitude that can be written."""
        bits = self._format.bits
        return full_scale(bits) if bits and self._format.is_integer else 1.0

    def _measure_gain(self, cancel: CancelToken | None) -> float:
        if self._clip_mode != "rescale" or self._volume.stems:
            return 1.0
        highest = self._stems.peak * self._volume.song
        if self._parts.closing is None:
            return shared_gain(highest, self._ceiling)
        meter = GainMeter(self._ceiling, highest)
        for source, stems in self._pairs(cancel):
            meter.push(stems, source)
        return meter.gain()

    def _finish(self, source: np.ndarray, stems: np.ndarray, gain: float) -> list[np.ndarray]:
        """The samples of every part, as the writers take them."""
        scaled = stems if gain == 1.0 else stems * np.float32(gain)
        if self._steps is not None:
            return self._finish_integers(source, scaled, self._steps)
        if self._clip_mode == "clamp":
            self._saturated += int(np.count_nonzero(np.abs(scaled) > 1))
            scaled = np.clip(scaled, np.float32(-1), np.float32(1))
        written = list(scaled)
        if self._parts.closing is not None:
            total = scaled.sum(axis=0, dtype=np.float64)
            written.append((source - total).astype(np.float32))
        return written

    def _finish_integers(
        self, source: np.ndarray, scaled: np.ndarray, steps: int
    ) -> list[np.ndarray]:
        half = 0.5 / steps
        self._saturated += int(np.count_nonzero((scaled >= 1 - half) | (scaled < -1 - half)))
        bits = steps.bit_length()
        written = list(self._threads.map(quantize, scaled, repeat(bits), self._dither))
        if self._parts.closing is None:
            return written
        whole = np.rint(source * np.float64(steps)).astype(np.int64)
        closing = whole - np.sum(written, axis=0, dtype=np.int64)
        held = np.clip(closing, -steps, steps - 1)
        self._move(written, closing - held, steps)
        return [*written, held.astype(np.int32)]

    def _finished_mixture(self, source: np.ndarray, gain: float) -> np.ndarray:
        """The original at the gain of its stems, as a writer takes it."""
        scaled: np.ndarray = source * np.float32(gain)
        if self._steps is None:
            return scaled
        return quantize(scaled, self._steps.bit_length(), self._mixture_dither)

    def _move(self, stems: list[np.ndarray], excess: np.ndarray, steps: int) -> None:
        """Let stems take over, in place, what the closing part cannot hold at single samples.

        Where the closing part is too great the stems' sum is too small, and one of them has room.
        """
        if not excess.any():
            return
        self._moved += int(np.count_nonzero(excess))
        for stem in stems:
            taken = np.clip(stem + excess, -steps, steps - 1)
            excess = excess - (taken - stem)
            stem[...] = taken
        self._saturated += int(np.count_nonzero(excess))  # an input far beyond full scale

    def _sum(self, written: list[np.ndarray]) -> np.ndarray:
        total = np.zeros(written[0].shape)
        for part in written:
            total += part
        return total if self._steps is None else total / self._steps

    def _decoded_null(self, files: Iterable[Path], cancel: CancelToken | None) -> NullTest:
        """The null test of lossy files: by decoding what was written."""
        channels = self._info.channels
        null = NullTest()
        with ExitStack() as stack:
            files_ahead = [stack.enter_context(closing(ahead(read_blocks(path)))) for path in files]
            decoded = [
                # A mono part of a stem file is on both its channels.
                recut((block[:channels] for block in blocks), channels, BLOCK_SAMPLES)
                for blocks in files_ahead
            ]
            for source in recut(self._input(), channels, BLOCK_SAMPLES):
                if cancel is not None:
                    cancel.check()
                error = source.astype(np.float64) * self._volume.song
                for part in decoded:
                    block = next(part, None)
                    if block is not None:
                        common = min(block.shape[1], error.shape[1])
                        error[:, :common] -= block[:, :common]
                null.push(error, source * self._volume.song)
        return null
