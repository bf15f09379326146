"""Filterbanks that are learnt, the norms of networks on them, and masks over stems."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from unbraid.models.layers.batch_norm import BatchNorm1d
from unbraid.models.layers.lengths import pad_end
from unbraid.shapes import Float


class LearntBasis(nn.Module):
    """A strided convolution there, a transposed one back, neither with a bias.

    Source: Luo and Mesgarani, "Conv-TasNet", IEEE/ACM TASLP 2019, arXiv:1809.07454.
    """

    def __init__(self, channels: int, width: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.analysis = nn.Conv1d(channels, width, kernel, stride, bias=False)
        self.synthesis = nn.ConvTranspose1d(width, channels, kernel, stride, bias=False)

    def valid_samples(self, samples: int) -> int:
        """The next length that frames cover to its last sample."""
        beyond = max(0, samples - self.kernel)
        return self.kernel + -(-beyond // self.stride) * self.stride

    def forward(self, x: Float[Tensor, "b c t"]) -> Float[Tensor, "b w n"]:
        """Samples to features; samples after the last whole frame are ignored."""
        features: Tensor = self.analysis(x)
        return features

    def inverse(self, features: Float[Tensor, "b s w n"], samples: int) -> Float[Tensor, "b s c t"]:
        """Features of stems to samples, with zeros after the last whole frame."""
        x = self.synthesis(rearrange(features, "b s w n -> (b s) w n"))
        return pad_end(rearrange(x, "(b s) c t -> b s c t", b=len(features)), samples)


class FeatureNorm(nn.Module):
    """Mean 0 and deviation 1, over what `kind` says, then a gain and an offset per feature.

    Args:
        kind: "global" over features and time; "frame" over the features of each frame;
            "cumulative" over features and time up to each frame.
    Shape: (batch, width, ...) -> the same; "frame" and "cumulative" take one axis of time.
    """

    EPSILON = 1e-8

    def __init__(self, width: int, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.gain, self.offset = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Float[Tensor, "b c ..."]) -> Float[Tensor, "b c ..."]:
        """Normalize."""
        if self.kind == "cumulative":
            mean, variance = _running_moments(x)
        else:
            axes = (1,) if self.kind == "frame" else tuple(range(1, x.ndim))
            mean = x.mean(axes, keepdim=True)
            variance = (x - mean).square().mean(axes, keepdim=True)
        shape = (-1,) + (1,) * (x.ndim - 2)
        normal = (x - mean) / (variance + self.EPSILON).sqrt()
        return self.gain.view(shape) * normal + self.offset.view(shape)


def _running_moments(x: Float[Tensor, "b c n"]) -> tuple[Tensor, Tensor]:
    """Mean and variance over features and frames 0 ... n, for each frame n."""
    seen = torch.arange(1, x.shape[-1] + 1, device=x.device, dtype=x.dtype) * x.shape[1]
    mean = x.sum(1, keepdim=True).cumsum(-1) / seen
    power = x.square().sum(1, keepdim=True).cumsum(-1) / seen
    return mean, power - mean.square()


def make_norm(width: int, kind: str) -> nn.Module:
    """A `FeatureNorm`; also "batch" for batch norm and "none"."""
    if kind == "none":
        return nn.Identity()
    return BatchNorm1d(width) if kind == "batch" else FeatureNorm(width, kind)


def bounded_masks(scores: Float[Tensor, "b s ..."], kind: str) -> Float[Tensor, "b s ..."]:
    """Scores of stems to masks: "relu", "sigmoid", or "softmax" over the stems."""
    if kind == "softmax":
        return scores.softmax(dim=1)
    return scores.relu() if kind == "relu" else scores.sigmoid()
