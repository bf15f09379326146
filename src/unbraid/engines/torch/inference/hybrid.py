"""The inference form of Hybrid Demucs: what `HybridDemucs.forward` computes, laid out for a CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from unbraid.engines.torch.inference.core import Core
from unbraid.engines.torch.inference.spectra import SpectraOfStems
from unbraid.engines.torch.inference.spectral import QuickSpecDecoder, QuickSpecEncoder
from unbraid.engines.torch.inference.steps import QuickTimeDecoder, QuickTimeEncoder
from unbraid.models.base import ModelSpec
from unbraid.models.hybrid_demucs.config import HybridDemucsConfig
from unbraid.models.hybrid_demucs.network import HybridDemucs
from unbraid.models.layers.stft import AlignedSTFT
from unbraid.models.spectral.heads import ComplexAsChannels
from unbraid.models.spectral.parts import standardize
from unbraid.shapes import Estimates, Mixture


def fits(config: HybridDemucsConfig) -> bool:
    """Whether there is an inference form of a model of this kind."""
    outer = config.outer_levels
    has_residuals = config.residual_encoder or config.residual_decoder
    looks_far = min(config.lstm_from, config.attention_from) < outer
    return (
        config.kernel == 2 * config.stride
        and config.split_levels == 0
        and not (has_residuals and looks_far)
    )


class QuickHybridDemucs(nn.Module):
    """(b c t) -> (b s c t), the same as `model` to float32 accuracy; for the CPU only.

    The model's own weights are used where they serve as they are; those of the outer layers, which
    are few, are held once more in other layouts. Change the model, and the form must be made again.
    """

    def __init__(self, model: HybridDemucs) -> None:
        super().__init__()
        self.model = model
        with torch.no_grad():
            encoders = list(zip(_all(model.spec_encoder), _all(model.time_encoder), strict=True))
            decoders = list(zip(_all(model.spec_decoder), _all(model.time_decoder), strict=True))
            self._encoders = [(QuickSpecEncoder(s), QuickTimeEncoder(t)) for s, t in encoders]
            self._core = Core(
                model.meeting, model.shared_encoder, model.shared_decoder, model.parting
            )
            # Complex rows on the plain STFT may go to the inverse transform as they come.
            self._direct = (
                type(model.stft) is AlignedSTFT
                and isinstance(model.head, ComplexAsChannels)
                and isinstance(_all(model.spec_decoder)[-1].norm, nn.Identity)
            )
            self._spec_decoders = [QuickSpecDecoder(layer) for layer, _ in decoders]
            self._time_decoders = [QuickTimeDecoder(layer) for _, layer in decoders]

    @property
    def spec(self) -> ModelSpec:
        """That of the model."""
        return self.model.spec

    def valid_samples(self, samples: int) -> int:
        """Any length will do."""
        return self.model.valid_samples(samples)

    @torch.no_grad()
    def forward(self, mixture: Mixture) -> Estimates:
        """Separate songs, one after the other: together they would only share the cache."""
        return torch.cat([self._separate(item) for item in torch.split(mixture, 1)])

    def _separate(self, mixture: Mixture) -> Estimates:
        model, samples = self.model, mixture.shape[-1]
        spectrum = model.stft(mixture)
        normal, spec_mean, spec_std = standardize(model.head.enter(spectrum))
        x = normal[0].permute(1, 2, 0).contiguous()
        normal, time_mean, time_std = standardize(mixture)
        t = normal[0].T.contiguous()
        del normal
        spectrum = None if self._direct else spectrum
        x_skips, t_skips, lengths = [], [], []
        for spec_layer, time_layer in self._encoders:
            lengths.append(len(t))
            x, t = spec_layer(x), time_layer(t)
            x_skips.append(x)
            t_skips.append(t)
        x, t = self._core(x, t)
        for time_decoder in self._time_decoders:
            t = time_decoder(t, t_skips.pop(), lengths.pop())
        waves = torch.add(time_mean[0], t.T * time_std[0])
        del t
        *inner, outermost = self._spec_decoders
        for spec_decoder in inner:
            x += x_skips.pop()
            x = spec_decoder(x)
        x += x_skips.pop()
        if spectrum is None:
            spectra = SpectraOfStems(len(waves), model.config.n_fft, samples)
            for start, stop, rows in outermost.pieces(x, spec_std.item(), spec_mean.item()):
                spectra.put(start, stop, rows)
            del x, rows
            waves += spectra.waves()
            return self._by_stem(waves)[None]
        y = self._by_stem(outermost(x).permute(2, 0, 1))[None]
        z = model.head.leave(y * spec_std[:, None] + spec_mean[:, None], spectrum)
        return model.stft.inverse(z, samples) + self._by_stem(waves)[None]

    def _by_stem(self, x: Tensor) -> Tensor:
        return x.reshape(len(self.model.config.stems), -1, *x.shape[1:])


def _all(layers: nn.ModuleList) -> list[Any]:
    return list(layers)
