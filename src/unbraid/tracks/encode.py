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
from unbraid.audio.write import AudioFormat, AudioWriter
from unbraid.separation.progress import UNWATCHED, CancelToken, Progress, Watch
from unbraid.side_by_side import Behind, ahead
from unbraid.tracks.gain import GainMeter
from unbraid.tracks.settings import OutputSettings, Parts
from unbraid.tracks.spool import BLOCK_SAMPLES, Spool


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
    """

    files: dict[str, Path]
    gain: float
    null_test_db: float | None
    saturated: int
    moved: int


@dataclass
class NullTest:
    """How far the written parts are from adding up to the input, as a power ratio."""

    error: float = 0.0
    input: float = 0.0

    def push(self, error: np.ndarray, source: np.ndarray) -> None:
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
        output: how; clip mode.
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
        self._clip_mode = output.clip_mode
        self._format = chosen
        self._steps = 2 ** (chosen.bits - 1) if chosen.is_integer and chosen.bits else None
        self._sample_rate = sample_rate
        # Each stem has dither of its own, which does not depend on what else is written.
        self._dither = [
            np.random.default_rng([seed, zlib.crc32(name.encode())]) for name in parts.stems
        ]
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
        gain = self._measure_gain(watch.cancel)
        files = {
            name: folder / f"part{index}.{self._format.extension}"
            for index, name in enumerate(self._parts.names)
        }
        null = NullTest()
        with ExitStack() as stack:
            writers = [stack.enter_context(self._writer(path, tags)) for path in files.values()]
            # Encoding costs more than all else here, for mp3 more than the model: one thread each.
            sinks = [stack.enter_context(Behind(writer.write)) for writer in writers]
            self._threads = stack.enter_context(ThreadPoolExecutor(len(self._parts.stems)))
            for source, stems in self._pairs(watch.cancel):
                self._tell(source.shape[1], watch)
                written = self._finish(source, stems, gain)
                if self._parts.complete and not self._format.is_lossy:
                    null.push(source - self._sum(written), source)
                for sink, part in zip(sinks, written, strict=True):
                    sink.push(part)
        if self._parts.complete and self._format.is_lossy:
            null = self._decoded_null(list(files.values()), watch.cancel)
        return Encoded(
            files=files,
            gain=gain,
            null_test_db=null.db if self._parts.complete else None,
            saturated=self._saturated,
            moved=self._moved,
        )

    def _tell(self, samples: int, watch: Watch) -> None:
        """Count samples that are about to be encoded."""
        total = self._source.samples * self._sample_rate / self._info.sample_rate
        watch.tell(Progress("write", min(1.0, self._told / max(1.0, total)), None))
        self._told += samples

    def _writer(self, path: Path, tags: Tags) -> AudioWriter:
        return AudioWriter(
            path,
            self._format,
            self._sample_rate,
            self._info.channels,
            tags=tags,
            channel_names=self._info.channel_names,
        )

    def _pairs(self, cancel: CancelToken | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Blocks of the input (c n) and of the stems (s c n), side by side at the output rate."""
        channels = self._info.channels
        for source, stems in zip(
            recut(self._input(), channels, BLOCK_SAMPLES), self._stems.blocks(), strict=True
        ):
            if cancel is not None:
                cancel.check()
            yield source, stems.reshape(len(self._parts.stems), channels, -1)

    def _input(self) -> Iterator[np.ndarray]:
        return resample_blocks(
            self._source.blocks(), self._info.sample_rate, self._sample_rate, self._info.channels
        )

    def _measure_gain(self, cancel: CancelToken | None) -> float:
        if self._clip_mode != "rescale":
            return 1.0
        bits = self._format.bits
        ceiling = full_scale(bits) if bits and self._format.is_integer else 1.0
        if self._parts.closing is None:
            return shared_gain(self._stems.peak, ceiling)
        meter = GainMeter(ceiling, self._stems.peak)
        for source, stems in self._pairs(cancel):
            meter.push(stems, source)
        return meter.gain()

    def _finish(self, source: np.ndarray, stems: np.ndarray, gain: float) -> list[np.ndarray]:
        """The samples of every part, as the writers take them."""
        scaled = stems * np.float32(gain)
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
            decoded = [recut(blocks, channels, BLOCK_SAMPLES) for blocks in files_ahead]
            for source in recut(self._input(), channels, BLOCK_SAMPLES):
                if cancel is not None:
                    cancel.check()
                error = source.astype(np.float64)
                for part in decoded:
                    block = next(part, None)
                    if block is not None:
                        common = min(block.shape[1], error.shape[1])
                        error[:, :common] -= block[:, :common]
                null.push(error, source)
        return null
