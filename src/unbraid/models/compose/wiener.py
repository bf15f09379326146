"""Wiener: a model's estimates, refined until they explain the song, by a multichannel filter.

    mixture ─┬─► model ─► estimates ─► STFT ─► expectation-maximization ─► inverse STFT ─► stems
             └────────────────────────► STFT ──────────┘

The filter is that of `layers/wiener_em.py`, as Open-Unmix has it inside, where it starts from masks
instead of waveforms. It needs two stems or more, which together are the whole song: what no stem
holds is shared out among them. Runs with torch.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unbraid.arrays import alike, is_tensor
from unbraid.errors import ModelError, SettingsError, how_to_install
from unbraid.models.checks import check_fields
from unbraid.models.compose.composite import Composite, OneModelConfig


@dataclass(frozen=True)
class WienerConfig(OneModelConfig):
    """A model whose estimates are filtered.

    Attributes:
        model: the model.
        iterations: how often the filter alternates.
        n_fft, hop: of the STFT.
        frames: over which the place of a stem in the stereo image is taken to be constant.
        epsilon: least power, which keeps silence from dividing by zero.
    """

    iterations: int = 1
    n_fft: int = 4096
    hop: int = 1024
    frames: int = 300
    epsilon: float = 1e-10

    def __post_init__(self) -> None:
        check_fields(self, _RANGES)
        spec = self.spec
        if len(spec.stems) < 2 or spec.channels > 2:
            raise SettingsError(
                "Wiener filtering takes 1 or 2 audio channels and 2 stems or more, got "
                f"{spec.channels} and {', '.join(spec.stems)}"
            )


_RANGES = {
    "iterations": (1, 1000),
    "n_fft": (8, 1 << 17),
    "hop": (1, 1 << 17),
    "frames": (1, 1_000_000),
    "epsilon": (1e-30, 1.0),
}


class Wiener(Composite):
    """A model, and a Wiener filter behind it."""

    def share(self, mixture: Any) -> dict[str, Any]:
        """The model hears the mixture itself."""
        return {"model": mixture}

    def join(self, mixture: Any, estimates: Mapping[str, Any]) -> Any:
        """(b c t) and (b s c t) -> (b s c t)."""
        if importlib.util.find_spec("torch") is None:
            raise ModelError(f"a Wiener filter needs torch: {how_to_install('torch')}")
        import torch

        from unbraid.models.layers.plain_stft import PlainSTFT
        from unbraid.models.layers.wiener_em import WienerEM

        config: WienerConfig = self.config
        given = estimates["model"]
        sound, parts = (x if is_tensor(x) else torch.from_numpy(x) for x in (mixture, given))
        stft = PlainSTFT(config.n_fft, config.hop).to(parts.device)
        em = WienerEM(config.iterations, block_frames=config.frames, epsilon=config.epsilon)
        refined = em.improve(stft(parts), stft(sound))
        result = stft.inverse(refined, mixture.shape[-1])
        return result if is_tensor(given) else alike(given, result.detach().numpy())
