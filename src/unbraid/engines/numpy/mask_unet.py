"""`MaskUNet` without torch: the figure of `models/mask_unet/network.py`, on arrays.

Images are (frames, bins, features), so that the pixels under a kernel lie side by side. Each layer
works on some rows at a time, on all threads; what a layer makes is written where the next one reads
it, and a skip into the half of the decoder's image that is its.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from unbraid.engines.numpy.head import make_head
from unbraid.engines.numpy.layers import image, inside, make_down, make_up
from unbraid.engines.numpy.shares import share_out
from unbraid.engines.numpy.spectra import Spectra
from unbraid.engines.numpy.team import Team, team_of
from unbraid.engines.numpy.wiener import filter_stem, loudest_scale
from unbraid.models.mask_unet.config import MaskUNetConfig
from unbraid.shapes import Complex64, Float32

_ROWS = 32
"""Frames that a thread takes at once."""


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
        with team_of(threads) as team:
            heard = mixture * np.float32(config.input_gain)
            spectrum = np.stack(team.spread(self._spectra.forward, heard))
            shares = self._shares(spectrum, team)
            for stem in wanted:
                own = self._spectrum_of(stem, shares, spectrum, team)

                def back(channel: int, stem: int = stem, own: np.ndarray = own) -> None:
                    signal = self._spectra.inverse(own[channel], samples)
                    estimates[stem, channel] = signal / np.float32(config.input_gain)

                team.spread(back, range(2))
        return estimates

    def _shares(
        self, spectrum: Complex64[np.ndarray, "2 n f"], team: Team
    ) -> Float32[np.ndarray, "s 2 n low"]:
        """Each stem's share of the bins that the networks see."""
        config, frames = self.config, spectrum.shape[1]
        shares = np.empty((len(self._networks), 2, frames, config.bins), np.float32)
        if self._images is None:
            self._images = _Images(config)
        images = self._images
        for first in range(0, frames, config.frames):
            some = slice(first, min(first + config.frames, frames))
            magnitudes = self._look(spectrum[:, some, : config.bins], images.patch, team)
            for own, network in zip(shares, self._networks, strict=True):
                network.run(images, magnitudes, own[:, some], team)
        share_out(shares, config.exponent, team)
        return shares

    def _look(
        self,
        spectrum: Complex64[np.ndarray, "2 m low"],
        patch: Float32[np.ndarray, "n low 2"],
        team: Team,
    ) -> Float32[np.ndarray, "2 m low"]:
        """Magnitudes of a patch, which may be short; laid into the image that the networks read."""
        magnitudes = np.empty(spectrum.shape, np.float32)

        def run(rows: slice) -> None:
            near = spectrum[:, rows]
            sizes = np.sqrt(near.real * near.real + near.imag * near.imag, out=magnitudes[:, rows])
            patch[rows][: sizes.shape[1]] = sizes.transpose(1, 2, 0)

        team.by_rows(run, spectrum.shape[1], _ROWS)
        patch[spectrum.shape[1] :] = 0
        return magnitudes

    def _spectrum_of(
        self,
        stem: int,
        shares: Float32[np.ndarray, "s 2 n low"],
        spectrum: Complex64[np.ndarray, "2 n all_f"],
        team: Team,
    ) -> Complex64[np.ndarray, "2 n all_f"]:
        config = self.config
        found = np.empty_like(spectrum)

        def fill_above(rows: slice) -> None:
            there, own = spectrum[:, rows, config.bins :], shares[stem, :, rows]
            mean = own.mean(-1, keepdims=True) if config.above == "average" else np.float32(0)
            np.multiply(there, mean, out=found[:, rows, config.bins :])

        team.by_rows(fill_above, spectrum.shape[1], _ROWS)
        if not config.wiener_iterations:
            low = found[..., : config.bins]
            np.multiply(spectrum[..., : config.bins], shares[stem], out=low)
            return found
        for first in range(0, spectrum.shape[1], config.frames):
            some = slice(first, first + config.frames)
            near = spectrum[:, some, : config.bins]
            to = found[:, some, : config.bins]
            filter_stem(shares[:, :, some], near, to, loudest_scale(near), stem, team)
        return found


class _Images:
    """What layers read, images with margins of zeros, and where in them layers write.

    Attributes:
        encoder, decoder: the image that each layer reads.
        sizes: rows and columns of the levels, from the patch down.
        skips: for each layer of the encoder, where its convolution goes: half a decoder's image.
        below: for each layer of the encoder, what the next one reads; None after the last.
        above: for each layer of the decoder, the other half of what the next one reads.
        logits: what the last layer makes, with the margins that the head needs.
    """

    def __init__(self, config: MaskUNetConfig) -> None:
        depth, widths = config.depth, (config.audio_channels, *config.widths)
        self.sizes = [(config.frames >> level, config.bins >> level) for level in range(depth + 1)]
        self.encoder = [image(*self.sizes[level], widths[level]) for level in range(depth)]
        self.decoder = [image(*self.sizes[depth], widths[depth])]
        self.decoder += [
            image(*self.sizes[level], 2 * widths[level]) for level in range(depth - 1, 0, -1)
        ]
        self.logits = np.zeros((config.frames + 6, config.bins + 6), np.float32)
        entered = [inside(x, *s) for x, s in zip(self.encoder, self.sizes, strict=False)]
        joined = [inside(x, *s) for x, s in zip(self.decoder, self.sizes[::-1], strict=False)]
        self.patch = entered[0]
        self.below = [*entered[1:], None]
        self.skips = [x[..., :width] for x, width in zip(joined[::-1], widths[1:], strict=True)]
        self.above = [x[..., x.shape[2] // 2 :] for x in joined[1:]]
        self.above.append(self.logits[3:-3, 3:-3, None])


class _StemNetwork:
    """The network of one stem."""

    def __init__(self, config: MaskUNetConfig, weights: Mapping[str, np.ndarray]) -> None:
        self.config, depth = config, config.depth
        down, up = (
            [_below(weights, f"{part}.{level}.") for level in range(depth)]
            for part in ("encoder", "decoder")
        )
        norms = [_scale_and_shift(_below(layer, "norm.")) for layer in down[:-1]]
        self._down = [
            make_down(layer["conv.weight"], layer["conv.bias"], norm)
            for layer, norm in zip(down, [*norms, None], strict=True)
        ]
        self._up = [
            make_up(
                layer["conv.weight"], layer["conv.bias"], _scale_and_shift(_below(layer, "norm."))
            )
            for layer in up
        ]
        self._head = make_head(weights["head.weight"], weights["head.bias"])

    def run(
        self,
        images: _Images,
        magnitudes: Float32[np.ndarray, "c m f"],
        outputs: Float32[np.ndarray, "c m f"],
        team: Team,
    ) -> None:
        """From the patch in the first image to its mask; `outputs` <- mask times magnitudes."""
        for level, layer in enumerate(self._down):
            to = images.skips[level], images.below[level]
            layer(images.encoder[level], images.sizes[level], *to, team)
        for number, layer in enumerate(self._up):
            size = images.sizes[-1 - number]
            layer(images.decoder[number], size, images.above[number], team)
        self._head(images.logits, magnitudes, outputs, team)


def _below(weights: Mapping[str, np.ndarray], start: str) -> dict[str, np.ndarray]:
    return {key.removeprefix(start): w for key, w in weights.items() if key.startswith(start)}


def _scale_and_shift(norm: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    weight, bias, mean, var = (
        norm[key].astype(np.float64) for key in ("weight", "bias", "running_mean", "running_var")
    )
    scale = weight / np.sqrt(var + 1e-3)
    return scale.astype(np.float32), (bias - mean * scale).astype(np.float32)
