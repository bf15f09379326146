"""All samples of a training set in the memory of one device, and excerpts cut from them there.

A GPU that makes hundreds of excerpts' worth of steps a second is not fed by files: what travels to
it here is where to cut. Samples stay 16-bit integers where the files are. Which places sound is
looked up in a table of peaks, block by block, so that items may come from other places than those
`Excerpts` would find; the same seed gives the same items again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from unbraid.data.excerpt_places import Cut, least_peak
from unbraid.data.excerpts import Excerpts
from unbraid.data.sound_files import SoundFile, read_whole, resampled_samples
from unbraid.engines.devices import free_gpu_bytes
from unbraid.errors import SettingsError
from unbraid.shapes import Float32, Float64, Int64

_BLOCK = 1024  # samples whose peak is kept
_WORKERS = 8
_SHARE_OF_FREE = 0.5  # of a GPU's memory: the rest is for training
_FULL_SCALE = 2.0**15


class Resident:
    """The samples of a training set on a device.

    Args:
        excerpts: what is cut, without a change of pitch and tempo.
        device: as torch names it.
    Raises:
        SettingsError: if there is not enough memory, or if the recipe changes pitch and tempo.
        AudioReadError: if a file is damaged.
    """

    def __init__(self, excerpts: Excerpts, device: str) -> None:
        if excerpts.repitched:
            raise SettingsError(
                "data.resident cuts excerpts on the device, where pitch and tempo do not change; "
                "set repitch.probability=0, or data.resident=false"
            )
        self._excerpts, self._device = excerpts, device
        self._least_peak = least_peak(excerpts.settings)
        sounding = [
            (track.folder, stem, file)
            for track in excerpts.tracks
            for stem in excerpts.stems
            if (file := track.stems.get(stem)) is not None
        ]
        exact = all(
            file.is_16_bit and file.sample_rate == excerpts.sample_rate for *_, file in sounding
        )
        self._scale = 1 / _FULL_SCALE if exact else 1.0
        lengths = [resampled_samples(file, excerpts.sample_rate) for *_, file in sounding]
        dtype = torch.int16 if exact else torch.float32
        self._check_room(sum(lengths) * excerpts.channels * dtype.itemsize)
        self._samples = torch.zeros(
            (max(1, sum(lengths)), excerpts.channels), dtype=dtype, device=device
        )
        self._places: dict[tuple[object, str], tuple[int, int]] = {}
        self._peaks: dict[tuple[object, str], np.ndarray] = {}
        first = 0
        for (folder, stem, _), signal in zip(sounding, self._signals(sounding), strict=True):
            count = signal.shape[1]
            whole = np.rint(signal * _FULL_SCALE).astype(np.int16) if exact else signal
            there = torch.from_numpy(np.ascontiguousarray(whole.T))
            self._samples[first : first + count] = there.to(device)
            self._places[folder, stem] = first, count
            self._peaks[folder, stem] = _peaks(signal)
            first += count

    def batch(self, items: Sequence[int]) -> Float32[Tensor, "b s c t"]:
        """Items of the excerpts' epoch, on the device."""
        return self.cut(self.cuts(items))

    def cuts(self, items: Sequence[int]) -> list[list[Cut]]:
        """Where the stems of items come from; asks nothing of the device."""
        return [self._excerpts.cuts(item, self.sounds) for item in items]

    def sounds(self, cut: Cut) -> bool:
        """Whether anything is to be heard in a cut."""
        peaks = self._peaks.get((cut.track.folder, cut.stem))
        if peaks is None:
            return False
        stop = cut.start + cut.needed(self._excerpts.cut_samples)
        peak = peaks[cut.start // _BLOCK : -(-stop // _BLOCK)].max(initial=0.0)
        if self._excerpts.settings.normalize:
            peak /= cut.track.std
        return bool(peak > self._least_peak)

    def cut(self, cuts: Sequence[Sequence[Cut]]) -> Float32[Tensor, "b s c t"]:
        """The samples of cuts, item by item and stem by stem, faster or slower as they say.

        All at once: a GPU gets a few large pieces of work instead of thousands of small ones.
        """
        rows = [self._row(cut) for of_item in cuts for cut in of_item]
        row = torch.tensor(rows, dtype=torch.float64).T[..., None].to(self._device)
        place = torch.arange(self._excerpts.cut_samples, device=self._device) * row[0]
        before = place.long()
        heard = self._heard(before, row)
        if any(cut.speed != 1 for of_item in cuts for cut in of_item):
            part = (place - before).float()[..., None]
            heard = torch.lerp(heard, self._heard(before + 1, row), part)
        return heard.mT.reshape(len(cuts), -1, *heard.mT.shape[1:])

    def _row(self, cut: Cut) -> tuple[float, ...]:
        """Speed, first sample, how many there are, how many lie in the track, mean, deviation."""
        excerpts = self._excerpts
        first, length = self._places.get((cut.track.folder, cut.stem), (0, 0))
        there = max(0, length - cut.start)
        if not excerpts.settings.normalize:
            return cut.speed, first + cut.start, there, 0, 0.0, 1.0
        inside = max(there, excerpts.track_samples(cut.track) - cut.start)
        return cut.speed, first + cut.start, there, inside, cut.track.mean, cut.track.std

    def _heard(
        self, number: Int64[Tensor, "cuts t"], row: Float64[Tensor, "fields cuts 1"]
    ) -> Float32[Tensor, "cuts t c"]:
        """Samples of cuts by number, as `Excerpts.read` has them: silence beyond their ends."""
        _, first, there, inside, mean, std = row
        at = (first.long() + number).clamp(max=len(self._samples) - 1)
        heard: Tensor = self._samples[at] * (self._scale * (number < there))[..., None].float()
        if self._excerpts.settings.normalize:
            normalized = (heard - mean.float()[..., None]) / std.float()[..., None]
            heard = torch.where((number < inside)[..., None], normalized, heard)
        return heard

    def _signals(self, sounding: Sequence[tuple[object, str, SoundFile]]) -> Iterator[np.ndarray]:
        """All files, decoded on several threads, in order and a few at a time."""
        rate, channels = self._excerpts.sample_rate, self._excerpts.channels
        with ThreadPoolExecutor(_WORKERS) as threads:
            for first in range(0, len(sounding), 2 * _WORKERS):
                files = [file for *_, file in sounding[first : first + 2 * _WORKERS]]
                yield from threads.map(lambda file: read_whole(file, rate, channels), files)

    def _check_room(self, needed: int) -> None:
        free = free_gpu_bytes(self._device)
        if free is not None and needed > _SHARE_OF_FREE * free:
            raise SettingsError(
                f"the samples of the training set take {needed / 1e9:.1f} GB on {self._device}, "
                f"of whose memory half of {free / 1e9:.1f} GB may be used; "
                "take less data, or set data.resident=false"
            )


def _peaks(signal: Float32[np.ndarray, "c t"]) -> Float32[np.ndarray, " blocks"]:
    loud = np.abs(signal).max(axis=0)
    padded = np.pad(loud, (0, -len(loud) % _BLOCK))
    peaks: np.ndarray = padded.reshape(-1, _BLOCK).max(axis=1)
    return peaks
