"""The inference form of Hybrid Demucs: what `HybridDemucs.forward` computes, laid out for a CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from unbraid.models.base import ModelSpec
from unbraid.models.hybrid_demucs import HybridDemucs, HybridDemucsConfig
from unbraid.models.spectral import standardize
from unbraid.runtimes.inference.core import Core
from unbraid.runtimes.inference.spectral import QuickSpecDecoder, QuickSpecEncoder
from unbraid.runtimes.inference.steps import QuickTimeDecoder, QuickTimeEncoder
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
        model = self.model
        spectrum = model.stft(mixture)
        entered = model.head.enter(spectrum)
        normal, *spec_scale = standardize(entered)
        x = normal[0].permute(1, 2, 0).contiguous()
        del entered, normal
        normal, *time_scale = standardize(mixture)
        t = normal[0].T.contiguous()
        x_skips, t_skips, lengths = [], [], []
        for spec_layer, time_layer in self._encoders:
            lengths.append(len(t))
            x, t = spec_layer(x), time_layer(t)
            x_skips.append(x)
            t_skips.append(t)
        x, t = self._core(x, t)
        for time_decoder in self._time_decoders:
            t = time_decoder(t, t_skips.pop(), lengths.pop())
        waves = t * time_scale[1].item() + time_scale[0].item()
        for spec_decoder in self._spec_decoders:
            x = spec_decoder(x, x_skips.pop())
        return (
            self._leave(x, spec_scale, spectrum, mixture.shape[-1]) + self._by_stem(waves.T)[None]
        )

    def _leave(self, x: Tensor, scale: list[Tensor], spectrum: Tensor, samples: int) -> Estimates:
        y = self._by_stem(x.permute(2, 0, 1))[None]
        spectra = self.model.head.leave(y * scale[1].item() + scale[0].item(), spectrum)
        return self.model.stft.inverse(spectra, samples)

    def _by_stem(self, x: Tensor) -> Tensor:
        return x.reshape(len(self.model.config.stems), -1, *x.shape[1:])


def _all(layers: nn.ModuleList) -> list[Any]:
    return list(layers)
