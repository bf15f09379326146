"""Wave-U-Net against the authors' TensorFlow graph."""

from __future__ import annotations

import pytest
import torch

from reference.classic import CASES, check, fill, learnable, noise, value_of
from unbraid.models.wave_u_net.config import WaveUNetConfig
from unbraid.models.wave_u_net.network import WaveUNet

STEMS = ("bass", "drums", "other", "vocals")
VOICE = ("accompaniment", "vocals")


def _small(**changes):
    return WaveUNetConfig(**({"levels": 4, "width": 6} | changes))


CONFIGS = {
    "wavunet_small_diff_lin": _small(),
    "wavunet_small_diff_learned": _small(learned_upsampling=True),
    "wavunet_small_same_direct": _small(context=False, difference=False),
    "wavunet_small_linear_act": _small(stems=VOICE, audio_channels=1, bounded=False),
    "wavunet_m6_default": WaveUNetConfig(),
    "wavunet_m4_default": WaveUNetConfig(stems=VOICE),
    "wavunet_m5_default": WaveUNetConfig(stems=VOICE, learned_upsampling=True),
    "wavunet_m1_default": WaveUNetConfig(
        stems=VOICE, audio_channels=1, context=False, difference=False
    ),
}


def _values(stems):
    def value(name, shape):
        if name.startswith("interpolate"):
            level = name.split(".")[1]
            return noise(*shape, gain=2.0, name=f"interp.{level}")
        if name.startswith("out."):
            index = int(name.split(".")[1])
            name = name.replace(f"out.{index}", f"out.{stems[index]}")
        return value_of(name, shape)

    return value


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=pytest.mark.slow if "default" in case else ()) for case in CONFIGS],
)
def test_the_network_computes_what_the_authors_does(case):
    config = CONFIGS[case]
    model = WaveUNet(config)
    fill(model, values=_values(config.stems))
    assert learnable(model) == CASES[case]["params"]
    wanted = CASES[case]["shape"][-1]
    taken, given = model.sizes(wanted)
    assert given == wanted
    with torch.inference_mode():
        check(case, model.network(noise(1, config.audio_channels, taken)))


@pytest.mark.parametrize("context", [True, False])
@pytest.mark.parametrize("samples", [1, 100, 213, 1001])
def test_any_length_comes_back(samples, context):
    model = WaveUNet(_small(context=context)).eval()
    with torch.inference_mode():
        assert model(noise(2, 2, samples)).shape == (2, 4, 2, samples)
    valid = model.valid_samples(samples)
    assert valid >= samples and model.valid_samples(valid) == valid


def test_differences_add_up_to_the_mixture():
    model = WaveUNet(_small()).eval()
    mixture = noise(1, 2, 500, gain=0.1)
    with torch.inference_mode():
        assert torch.allclose(model(mixture).sum(1), mixture, atol=1e-6)
