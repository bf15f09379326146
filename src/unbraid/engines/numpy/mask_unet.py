"""`MaskUNet` without torch: the figure of `models/mask_unet/network.py`, on arrays.

Images are (frames, bins, features), so that the pixels under a kernel lie side by side. Each layer
works on some rows at a time, on all threads; what a layer makes is written where the next one reads
it, and a skip into the half of the decoder's image that is its.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Complex64, Float32

from unbraid.engines.numpy.layers import Down, LastUp, Up, image, inside, run_blocks
from unbraid.engines.numpy.spectra import Spectra
from unbraid.engines.numpy.wiener import filter_bins, loudest_scale
from unbraid.models.mask_unet.config import MaskUNetConfig

_BINS = 64
"""Bins that the Wiener filter takes at once."""
_SILENCE = np.float32(1e-10)
Spread = Callable[[Callable[[Any], None], Iterable[Any]], None]


def why_not(config: MaskUNetConfig) -> str | None:
    """Why a model is not run here, in a few words; None if it is."""
    if config.layout != "spleeter" or config.activation != "leaky_relu" or config.softmax:
        return "this kind of U-Net runs in torch"
    if config.audio_channels != 2 or config.wiener_iterations > 1 or config.exponent == 0:
        return "these settings of a U-Net run in torch"
    if config.frames % (8 << config.depth - 1) or config.bins % 2:
        return "patches of this size run in torch"
    return None


def pass_bytes(config: MaskUNetConfig, samples: int) -> int:
    """Memory of one pass, an upper bound: the images of a patch, spectra, shares, estimates."""
    frames = samples // config.hop + config.n_fft // config.hop + 1
    patch = sum(
        3 * width * (config.frames >> level + 1) * (config.bins >> level + 1)
        for level, width in enumerate(config.widths)
    )
    spectra = config.audio_channels * frames * (config.n_fft // 2 + 1) * 8
    shares = len(config.stems) * config.audio_channels * frames * config.bins
    signals = (len(config.stems) + 2) * config.audio_channels * samples
    return 4 * (patch + 2 * shares + signals) + 3 * spectra + (64 << 20)


class ArrayMaskUNet:
    """The whole model. One pass at a time: its images are used again.

    Args:
        config: for which `why_not` is None.
        weights: by the names of the network of torch.
    """

    def __init__(self, config: MaskUNetConfig, weights: Mapping[str, np.ndarray]) -> None:
        self.config = config
        self._spectra = Spectra(config.n_fft, config.hop)
        self._networks = [
            _StemNetwork(config, _below(weights, f"networks.{number}."))
            for number in range(len(config.stems))
        ]
        self._images: _Images | None = None

    def separate(
        self, mixture: Float32[np.ndarray, "2 t"], wanted: Iterable[int], threads: int
    ) -> Float32[np.ndarray, "s 2 t"]:
        """Estimates of one song; stems that are not wanted are silent."""
        config, samples = self.config, mixture.shape[-1]
        estimates = np.zeros((len(config.stems), 2, samples), np.float32)
        with ThreadPoolExecutor(threads, "unbraid-masks") as pool:

            def spread(function: Callable[[Any], None], items: Iterable[Any]) -> None:
                list(pool.map(function, items))

            heard = mixture * np.float32(config.input_gain)
            spectrum = np.stack(list(pool.map(self._spectra.forward, heard)))
            shares = self._shares(spectrum, spread)
            for stem in wanted:
                own = self._spectrum_of(stem, shares, spectrum, spread)

                def back(channel: int, stem: int = stem, own: np.ndarray = own) -> None:
                    signal = self._spectra.inverse(own[channel], samples)
                    estimates[stem, channel] = signal / np.float32(config.input_gain)

                spread(back, range(2))
        return estimates

    def _shares(
        self, spectrum: Complex64[np.ndarray, "2 n f"], spread: Spread
    ) -> Float32[np.ndarray, "s 2 n low"]:
        """Each stem's share of the bins that the networks see."""
        config, frames = self.config, spectrum.shape[1]
        shares = np.empty((len(self._networks), 2, frames, config.bins), np.float32)
        if self._images is None:
            self._images = _Images.of(config)
        images = self._images
        for first in range(0, frames, config.frames):
            some = slice(first, min(first + config.frames, frames))
            magnitudes = np.abs(spectrum[:, some, : config.bins])
            patch = inside(images.encoder[0], config.frames, config.bins)
            patch[: magnitudes.shape[1]] = magnitudes.transpose(1, 2, 0)
            patch[magnitudes.shape[1] :] = 0
            for number, network in enumerate(self._networks):

                def keep(
                    rows: range, logits: np.ndarray, number: int = number, first: int = first,
                    magnitudes: np.ndarray = magnitudes,
                ) -> None:  # fmt: skip
                    there = slice(first + rows.start, min(first + rows.stop, frames))
                    count = max(0, there.stop - there.start)
                    near = magnitudes[:, rows.start : rows.start + count]
                    with np.errstate(over="ignore"):  # a mask of 0
                        outputs = near / (1 + np.exp(-logits[:, :count]))
                    shares[number, :, there] = _power(outputs, config.exponent)

                network.run(images, keep, spread)

        def share_out(block: slice) -> None:
            part = shares[:, :, block]
            part += _SILENCE / np.float32(len(part))
            part /= part.sum(0)

        spread(share_out, [slice(at, at + 32) for at in range(0, frames, 32)])
        return shares

    def _spectrum_of(
        self,
        stem: int,
        shares: Float32[np.ndarray, "s 2 n low"],
        spectrum: Complex64[np.ndarray, "2 n all_f"],
        spread: Spread,
    ) -> Complex64[np.ndarray, "2 n all_f"]:
        config = self.config
        found = np.zeros_like(spectrum)
        if config.above == "average":
            mean = shares[stem].mean(-1, keepdims=True)
            np.multiply(spectrum[..., config.bins :], mean, out=found[..., config.bins :])
        if not config.wiener_iterations:
            low = found[..., : config.bins]
            np.multiply(spectrum[..., : config.bins], shares[stem], out=low)
            return found
        for first in range(0, spectrum.shape[1], config.frames):
            some = slice(first, first + config.frames)
            scale = loudest_scale(spectrum[:, some, : config.bins])

            def run(bins: slice, some: slice = some, scale: float = scale) -> None:
                near = shares[:, :, some, bins], spectrum[:, some, bins]
                found[:, some, bins] = filter_bins(*near, scale, stem)

            bounds = [*range(0, config.bins, _BINS), config.bins]
            spread(run, [slice(a, b) for a, b in pairwise(bounds)])
        return found


@dataclass
class _Images:
    """What layers read: images with margins of zeros, by level."""

    encoder: list[np.ndarray]
    decoder: list[np.ndarray]
    logits: np.ndarray = field(repr=False)

    @classmethod
    def of(cls, config: MaskUNetConfig) -> _Images:
        """Memory for one patch."""
        size = [(config.frames >> level, config.bins >> level) for level in range(config.depth + 1)]
        widths = (config.audio_channels, *config.widths)
        decoder = [image(*size[-1], widths[-1])]
        decoder += [
            image(*size[level], 2 * widths[level]) for level in range(config.depth - 1, 0, -1)
        ]
        return cls(
            [image(*size[level], widths[level]) for level in range(config.depth)],
            decoder,
            np.zeros((config.frames + 6, config.bins + 6), np.float32),
        )


class _StemNetwork:
    """The network of one stem."""

    def __init__(self, config: MaskUNetConfig, weights: Mapping[str, np.ndarray]) -> None:
        self.config, depth = config, config.depth
        names = [f"{part}.{level}" for part in ("encoder", "decoder") for level in range(depth)]
        self._norms = {
            name: _scale_and_shift(_below(weights, f"{name}.norm."))
            for name in names
            if name != f"encoder.{depth - 1}"
        }
        kernels = {name: _below(weights, f"{name}.conv.") for name in names}
        self._down = [_made(Down, kernels[f"encoder.{level}"]) for level in range(depth)]
        self._up = [_made(Up, kernels[f"decoder.{level}"]) for level in range(depth - 1)]
        self._last = _made(LastUp, kernels[f"decoder.{depth - 1}"])
        head = weights["head.weight"]  # (channels, 1, 4, 4)
        self._head = np.ascontiguousarray(head.reshape(len(head), 16), np.float32)
        self._head_bias = weights["head.bias"].astype(np.float32)[:, None, None]

    def run(
        self, images: _Images, keep: Callable[[range, np.ndarray], None], spread: Spread
    ) -> None:
        """From the patch in the first image to logits (c m f), handed to `keep` by their rows."""
        self._encode(images, spread)
        self._decode(images, spread)
        bins = self.config.bins

        def finish(rows: range) -> None:
            near = images.logits[rows.start : rows.stop + 6]
            count = len(rows)
            seen = np.empty((4, 4, count, bins), np.float32)
            for row, column in np.ndindex(4, 4):
                seen[row, column] = near[2 * row : 2 * row + count, 2 * column : 2 * column + bins]
            logits = self._head @ seen.reshape(16, -1)
            keep(rows, logits.reshape(-1, count, bins) + self._head_bias)

        spread(finish, [range(at, at + 8) for at in range(0, self.config.frames, 8)])

    def _encode(self, images: _Images, spread: Spread) -> None:
        depth = self.config.depth
        for level, layer in enumerate(self._down):
            size = (self.config.frames >> level, self.config.bins >> level)
            half = (size[0] // 2, size[1] // 2)
            skip = inside(images.decoder[depth - 1 - level], *half)[..., : layer.outs]
            if level == depth - 1:

                def finish(rows: range, y: np.ndarray, skip: np.ndarray = skip) -> None:
                    skip[rows.start : rows.stop] = y

            else:
                to = inside(images.encoder[level + 1], *half)
                scale, shift = self._norms[f"encoder.{level}"]

                def finish(  # type: ignore[misc]
                    rows: range, y: np.ndarray, skip: np.ndarray = skip, to: np.ndarray = to,
                    scale: np.ndarray = scale, shift: np.ndarray = shift,
                ) -> None:  # fmt: skip
                    skip[rows.start : rows.stop] = y
                    y = y * scale
                    y += shift
                    np.maximum(y, np.float32(0.2) * y, out=to[rows.start : rows.stop])

            run_blocks(layer, images.encoder[level], size, finish, spread)

    def _decode(self, images: _Images, spread: Spread) -> None:
        depth = self.config.depth
        for number, layer in enumerate([*self._up, self._last]):
            level = depth - number
            size = (self.config.frames >> level, self.config.bins >> level)
            twice = (2 * size[0], 2 * size[1])
            if number < depth - 1:
                to = inside(images.decoder[number + 1], *twice)[..., layer.outs :]
            else:
                to = images.logits[3 : 3 + twice[0], 3 : 3 + twice[1], None]
            scale, shift = self._norms[f"decoder.{number}"]

            def finish(
                rows: range, y: np.ndarray, to: np.ndarray = to,
                scale: np.ndarray = scale, shift: np.ndarray = shift,
            ) -> None:  # fmt: skip
                y = np.maximum(y, np.float32(0)) * scale
                np.add(y, shift, out=to[rows.start : rows.stop])

            run_blocks(layer, images.decoder[number], size, finish, spread)


def _made(kind: Any, weights: Mapping[str, np.ndarray]) -> Any:
    return kind(weights["weight"], weights["bias"])


def _below(weights: Mapping[str, np.ndarray], start: str) -> dict[str, np.ndarray]:
    return {key.removeprefix(start): w for key, w in weights.items() if key.startswith(start)}


def _scale_and_shift(norm: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    weight, bias, mean, var = (
        norm[key].astype(np.float64) for key in ("weight", "bias", "running_mean", "running_var")
    )
    scale = weight / np.sqrt(var + 1e-3)
    return scale.astype(np.float32), (bias - mean * scale).astype(np.float32)


def _power(x: np.ndarray, exponent: float) -> np.ndarray:
    """x to a power; quarters by roots, which take a tenth of the time."""
    if exponent == 2:
        squared: np.ndarray = x * x
        return squared
    if exponent == 1:
        return x
    if exponent in (0.5, 0.75, 1.5):
        root = np.sqrt(x)
        result: np.ndarray = (
            root if exponent == 0.5 else root * (np.sqrt(root) if exponent < 1 else x)
        )
        return result
    powered: np.ndarray = x ** np.float32(exponent)
    return powered
