r"""U-Nets that mask a magnitude spectrogram, one for each stem.

Sources: Jansson et al., "Singing voice separation with deep U-Net convolutional networks", ISMIR
2017; Hennequin et al., "Spleeter", JOSS 5(50), 2154, 2020. At Spleeter's size, for one stem:

    |STFT| of the mixture      (2, 512 frames, 1024 bins) ────────────────────┐
        encoder 0               16 x 256 x 512  ─────────── skip ──┐          │
        encoder 1               32 x 128 x 256  ────── skip ─┐     │          │
          ...                                                │     │          │
        encoder 5              512 x   8 x  16               │     │          │
        decoder 0              256 x  16 x  32               │     │          │
          ...                                                │     │          │
        decoder 4               16 x 256 x 512  <────────────┘  <──┘          │
        decoder 5                1 x 512 x 1024                               │
        head, sigmoid: a mask  (2, 512, 1024) ──────────── times ─────────────┘
                                                             │
                                    output: this stem's magnitudes

All outputs together say how the mixture's spectrogram is shared out. The layouts differ:

    spleeter   encoder: conv, norm, activation; the skip leaves right after the conv, and the
               innermost conv feeds the decoder. Decoder: transposed conv, activation, norm; the
               skip comes first in what it reads. Padding 1 before and 2 after. Head: 4x4 conv,
               dilation 2, one channel to all.
    jansson    encoder: conv, norm, activation; the skip leaves after the activation. Decoder:
               transposed conv, norm, activation; the skip comes last. Padding 2 and 2. The last
               decoder layer gives the logits itself, so there is one channel.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from unbraid.models.layers.stem_nets import StemNets
from unbraid.models.layers.wiener_em import WienerEM
from unbraid.models.mask_unet.config import MaskUNetConfig
from unbraid.models.mask_unet.stft import LeadInSTFT
from unbraid.models.network import GraphEnds, Network, no_graph
from unbraid.shapes import Complex, Estimates, Float, Mixture

__all__ = ["MaskUNet", "MaskUNetConfig"]

KERNEL, STRIDE = 5, 2
HEAD_KERNEL, HEAD_DILATION = 4, 2
DROPOUT, DROPOUT_LAYERS = 0.5, 3
EPSILON = 1e-10
"""Keeps shares of silence finite."""
FILTER_EPSILON = 1.1920929e-07
"""Of the Wiener filter that Spleeter was published with: the epsilon of float32."""


class MaskUNet(Network):
    """One U-Net for each stem; their outputs share out the mixture. (b c t) -> (b s c t)."""

    def __init__(self, config: MaskUNetConfig) -> None:
        super().__init__()
        self.config = config
        self.stft = LeadInSTFT(config.n_fft, config.hop)
        self.networks: StemNets[StemUNet] = StemNets(lambda _: StemUNet(config), len(config.stems))
        self.filter = WienerEM(
            config.wiener_iterations, block_frames=config.frames, epsilon=FILTER_EPSILON
        )

    def forward(self, mixture: Mixture) -> Estimates:
        """Separate songs: (batch, channels, samples) -> (batch, stems, channels, samples)."""
        spectrum = self.stft(mixture * self.config.input_gain)
        outputs = self.outputs(spectrum[..., : self.config.bins].abs())
        stems = self.shares(outputs, spectrum) * spectrum[:, None]
        if self.config.wiener_iterations:
            stems = self._refined(stems, spectrum)
        result: Tensor = self.stft.inverse(stems, mixture.shape[-1]) / self.config.input_gain
        return result

    def graph_ends(self, mixture: Tensor) -> GraphEnds:
        """Not yet: its spectrogram is not one that exported models know.

        Raises:
            ModelError: always.
        """
        raise no_graph("exported files know no spectrogram with a lead-in of silence")

    def outputs(self, magnitudes: Float[Tensor, "b c n f"]) -> Float[Tensor, "b s c n f"]:
        """Magnitudes of the stems as the networks estimate them, patch by patch."""
        batch, frames = magnitudes.shape[0], magnitudes.shape[2]
        whole = F.pad(magnitudes, (0, 0, 0, -frames % self.config.frames))
        patches = rearrange(whole, "b c (k n) f -> (b k) c n f", n=self.config.frames)
        logits: Tensor = self.networks(patches)
        masks = logits.softmax(1) if self.config.softmax else logits.sigmoid()
        outputs = rearrange(masks * patches[:, None], "(b k) s c n f -> b s c (k n) f", b=batch)
        return outputs[..., :frames, :]

    def shares(
        self, outputs: Float[Tensor, "b s c n f"], spectrum: Complex[Tensor, "b c n all_f"]
    ) -> Float[Tensor, "b s c n all_f"]:
        """Each stem's share of every bin of the mixture, from 0 to 1."""
        if self.config.exponent == 0:
            magnitudes = spectrum[:, None, ..., : self.config.bins].abs()
            shares = outputs / (magnitudes + EPSILON)
        else:
            powers = outputs**self.config.exponent
            stems = len(self.config.stems)
            shares = (powers + EPSILON / stems) / (powers.sum(1, keepdim=True) + EPSILON)
        above = spectrum.shape[-1] - self.config.bins
        if self.config.above == "zeros":
            return F.pad(shares, (0, above))
        mean = shares.mean(-1, keepdim=True)
        return torch.cat([shares, mean.expand(*mean.shape[:-1], above)], -1)

    def _refined(
        self, stems: Complex[Tensor, "b s c n all_f"], spectrum: Complex[Tensor, "b c n all_f"]
    ) -> Complex[Tensor, "b s c n all_f"]:
        """The bins of the networks through a Wiener filter; those above stay as they are."""
        bins = self.config.bins
        low = stems[..., :bins].transpose(-1, -2), spectrum[..., :bins].transpose(-1, -2)
        return torch.cat([self.filter.improve(*low).transpose(-1, -2), stems[..., bins:]], -1)


class StemUNet(nn.Module):
    """The network of one stem: magnitudes (b c n f) -> logits of its mask, the same shape."""

    def __init__(self, config: MaskUNetConfig) -> None:
        super().__init__()
        self.spleeter = spleeter = config.layout == "spleeter"
        ins = (config.audio_channels, *config.widths[:-1])
        self.encoder = nn.ModuleList(
            EncoderLayer(inner, outer, config, normed=not spleeter or level < config.depth - 1)
            for level, (inner, outer) in enumerate(zip(ins, config.widths, strict=True))
        )
        self.decoder = nn.ModuleList(
            DecoderLayer(inner, outer, config, level)
            for level, (inner, outer) in enumerate(config.decoder_widths)
        )
        self.head: nn.Module = nn.Identity()
        if spleeter:
            self.head = nn.Conv2d(
                1, config.audio_channels, HEAD_KERNEL, dilation=HEAD_DILATION, padding=3
            )

    def forward(self, magnitudes: Float[Tensor, "b c n f"]) -> Float[Tensor, "b c n f"]:
        """Magnitudes of patches to the logits of their mask."""
        x, skips = magnitudes, []
        for layer in self.encoder:
            skip, x = layer(x)
            skips.append(skip)
        x = skips.pop()
        for layer in self.decoder:
            x = layer(x)
            if skips:
                skip = skips.pop()
                x = torch.cat([skip, x] if self.spleeter else [x, skip], 1)
        logits: Tensor = self.head(x)
        return logits


class EncoderLayer(nn.Module):
    """Half the resolution. Gives the skip, and what feeds the next layer."""

    def __init__(self, inner: int, outer: int, config: MaskUNetConfig, *, normed: bool) -> None:
        super().__init__()
        self.spleeter, self.elu = config.layout == "spleeter", config.activation == "elu"
        self.conv = nn.Conv2d(inner, outer, KERNEL, STRIDE)
        self.norm = BatchNorm(outer, config) if normed else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(b c n f) -> the skip and what goes down, both (b c2 n/2 f/2)."""
        y = self.conv(F.pad(x, (1, 2, 1, 2) if self.spleeter else (2, 2, 2, 2)))
        if self.norm is None:
            return y, y
        h = self.norm(y)
        h = F.elu(h) if self.elu else F.leaky_relu(h, 0.2)
        return (y if self.spleeter else h), h


class DecoderLayer(nn.Module):
    """Twice the resolution."""

    def __init__(self, inner: int, outer: int, config: MaskUNetConfig, level: int) -> None:
        super().__init__()
        self.spleeter, self.elu = config.layout == "spleeter", config.activation == "elu"
        self.conv = nn.ConvTranspose2d(inner, outer, KERNEL, STRIDE)
        last = level == config.depth - 1
        self.norm = BatchNorm(outer, config) if self.spleeter or not last else None
        self.dropout = nn.Dropout(DROPOUT if level < DROPOUT_LAYERS else 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """(b c n f) -> (b c2 2n 2f)."""
        # A transposed convolution gives 2 n + 3 rows; the padding of the encoder is cut off again.
        y: Tensor = self.conv(x)
        y = y[..., 1:-2, 1:-2] if self.spleeter else y[..., 2:-1, 2:-1]
        if self.norm is None:
            return y
        y = self.norm(self._activate(y)) if self.spleeter else self._activate(self.norm(y))
        dropped: Tensor = self.dropout(y)
        return dropped

    def _activate(self, x: Tensor) -> Tensor:
        return F.elu(x) if self.elu else F.relu(x)


class BatchNorm(nn.Module):
    """Batch normalization whose state is four vectors: no counter of batches."""

    def __init__(self, width: int, config: MaskUNetConfig) -> None:
        super().__init__()
        self.epsilon = 1e-3 if config.layout == "spleeter" else 1e-5
        self.running_mean: Tensor
        self.running_var: Tensor
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, x: Float[Tensor, "b c n f"]) -> Float[Tensor, "b c n f"]:
        """Normalize, with the statistics of the batch while training."""
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias,
            self.training, momentum=0.01, eps=self.epsilon,
        )  # fmt: skip
