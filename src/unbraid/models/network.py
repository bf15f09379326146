"""The base class of all torch networks: everything except the forward pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unbraid.errors import ModelError
from unbraid.models.base import Member, ModelSpec
from unbraid.models.exported.config import ExportedConfig
from unbraid.shapes import Sources


@dataclass(frozen=True)
class GraphEnds:
    """Where a network is cut when it is exported as a graph of real numbers.

    Attributes:
        run: computes the outputs from the inputs.
        inputs: name -> example tensor. "mixture" is the mixture itself, (1 c t), "features" its
            spectrogram as the head takes it, (1 p f n).
        outputs: "waves" for estimates (1 s c t), "stem_features" for what the head makes the
            spectrogram of each stem of, (1 s p f n).
        transform: the Fourier transform around the network: "aligned", "delayed", "centred" or
            "none".
        n_fft: its size, with a hop of a quarter of it; 0 for "none".
        head: how a spectrogram enters and leaves: "complex", "magnitude", "ratio" or "none".
    """

    run: Callable[..., tuple[Tensor, ...]]
    inputs: dict[str, Tensor]
    outputs: tuple[str, ...]
    transform: str = "none"
    n_fft: int = 0
    head: str = "none"


@dataclass(frozen=True)
class BandErrors:
    """How far a network's masks are off, as power in its own bands: for training without waveforms.

    Both are scaled so that the sum over bands and frames is the mean square of the waveform.

    Attributes:
        error: of the estimate of each stem, (b s c f n).
        mixture: power of the mixture, (b c f n).
    """

    error: Tensor
    mixture: Tensor


@dataclass(frozen=True)
class GraphPart:
    """One network of an exported graph.

    Attributes:
        prefix: how the names of its inputs and outputs begin.
        ends: where it is cut.
    """

    prefix: str
    ends: GraphEnds


class Network(nn.Module):
    """A module with a config: `(b c t) -> (b s c t)` for any t >= 1.

    A subclass sets `config` and defines `forward`. Called with arrays it answers with arrays.
    """

    config: Any

    @property
    def spec(self) -> ModelSpec:
        """Stems, sample rate, channels and segment, as the config states them."""
        spec: ModelSpec = self.config.spec
        return spec

    def valid_samples(self, samples: int) -> int:
        """The length it computes on without padding of its own: by default any."""
        return samples

    def band_errors(self, sources: Sources) -> BandErrors:
        """What its masks do to the sum of `sources`, (b s c t), without computing the estimates.

        Raises:
            ModelError: if it has no masks over bands, which is the default.
        """
        raise ModelError(
            'this model has no masks over bands, in which loss.domain = "bands" compares; '
            'set loss.domain = "waves"'
        )

    def graph_ends(self, mixture: Tensor) -> GraphEnds:
        """Where an export cuts it; by default it takes and gives waveforms.

        Args:
            mixture: (1 c t), as long as the graph will be.
        Raises:
            ModelError: if it cannot be exported; says why.
        """
        return GraphEnds(lambda x: (self(x),), {"mixture": mixture}, ("waves",))

    def graph_parts(self, mixture: Tensor, prefix: str = "") -> tuple[Member, list[GraphPart]]:
        """What an export writes of it: how the engine finds it in the graph, and the network.

        Raises:
            ModelError: if it cannot be exported.
        """
        ends, spec = self.graph_ends(mixture), self.spec
        described = ExportedConfig(
            stems=spec.stems,
            sample_rate=spec.sample_rate,
            audio_channels=spec.channels,
            samples=mixture.shape[-1],
            transform=ends.transform,
            n_fft=ends.n_fft,
            head=ends.head,
            prefix=prefix,
        )
        return Member("exported", described), [GraphPart(prefix, ends)]

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """`forward`; an array in gives an array out, without gradients."""
        if not (inputs and isinstance(inputs[0], np.ndarray)):
            return super().__call__(*inputs, **options)
        device = next((parameter.device for parameter in self.parameters()), None)
        tensors = [torch.from_numpy(np.ascontiguousarray(x)).to(device) for x in inputs]
        with torch.no_grad():
            return super().__call__(*tensors, **options).cpu().numpy()


def no_graph(reason: str) -> ModelError:
    """The error of a network that cannot be exported."""
    return ModelError(f"this model cannot be exported: {reason}")
