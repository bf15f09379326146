"""Networks that mask the features of a learnt basis: Conv-TasNet and its kin."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from unbraid.models.layers.learnt_basis import LearntBasis
from unbraid.models.layers.lengths import pad_end
from unbraid.models.system import System
from unbraid.shapes import Estimates, Float, Mixture


class BasisMasks(System):
    """A subclass makes the `basis`, and masks of its features. (b c t) -> (b s c t), any t >= 1."""

    basis: LearntBasis

    @abstractmethod
    def masks(self, features: Float[Tensor, "b w n"]) -> Float[Tensor, "b s w n"]:
        """What part of each feature belongs to each stem."""

    def features(self, mixture: Float[Tensor, "b c t"]) -> Float[Tensor, "b w n"]:
        """What is masked: by default the features as the basis has them."""
        found: Tensor = self.basis(mixture)
        return found

    def valid_samples(self, samples: int) -> int:
        """The next length that frames cover to its last sample."""
        return self.basis.valid_samples(samples)

    def forward(self, mixture: Mixture) -> Estimates:
        """Separate songs: (batch, channels, samples) -> (batch, stems, channels, samples)."""
        samples = mixture.shape[-1]
        return self.network(pad_end(mixture, self.valid_samples(samples)))[..., :samples]

    def network(self, mixture: Float[Tensor, "b c t"]) -> Float[Tensor, "b s c t"]:
        """The figure, silent after the last whole frame."""
        features = self.features(mixture)
        masks = self.masks(features)
        return self.basis.inverse(masks * features[:, None], mixture.shape[-1])
