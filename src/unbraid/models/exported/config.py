"""One network inside an exported ONNX file: what the engine must know to run it."""

from __future__ import annotations

from dataclasses import dataclass

from unbraid.errors import SettingsError
from unbraid.models.base import ModelSpec
from unbraid.models.limits import check_limits

TRANSFORMS = ("none", "aligned", "delayed", "centred")
HEADS = ("none", "complex", "magnitude", "ratio")


@dataclass(frozen=True)
class ExportedConfig:
    """A network in a graph, with the Fourier transform around it.

    Attributes:
        stems, sample_rate, audio_channels: of mixture and estimates.
        samples: the one length of mixture that it computes on.
        transform: "aligned", "delayed" or "centred" STFT around it; "none" for a network on
            waveforms.
        n_fft: size of the STFT, whose hop is a quarter of it; 0 for "none".
        head: "complex" (real and imaginary parts as channels), "magnitude" (with the phase of the
            mixture), "ratio" (likewise, by dividing by |z| + 1e-8); "none".
        prefix: how the names of its inputs and outputs begin.
    """

    stems: tuple[str, ...]
    sample_rate: int
    audio_channels: int
    samples: int
    transform: str = "none"
    n_fft: int = 0
    head: str = "none"
    prefix: str = ""

    def __post_init__(self) -> None:
        check_limits(self, skip=("transform", "head", "prefix", "n_fft", "samples"))
        if self.transform not in TRANSFORMS or self.head not in HEADS:
            raise SettingsError(f"unknown transform or head: {self.transform!r}, {self.head!r}")
        if not 1 <= self.samples < 1 << 40 or not 0 <= self.n_fft <= 1 << 17 or self.n_fft % 4:
            raise SettingsError(f"no such graph: {self.samples} samples, STFT of {self.n_fft}")

    @property
    def spec(self) -> ModelSpec:
        """Its segment is the only length that it takes."""
        return ModelSpec(
            stems=self.stems,
            sample_rate=self.sample_rate,
            channels=self.audio_channels,
            segment_samples=self.samples,
            longest_samples=self.samples,
        )
