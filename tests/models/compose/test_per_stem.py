"""Models of different stems side by side, and a Wiener filter behind a model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from small_composites import TASNET
from unbraid.errors import ModelError, SettingsError
from unbraid.models.compose.per_stem import PerStem, PerStemConfig
from unbraid.models.compose.wiener import Wiener, WienerConfig
from unbraid.models.layers.plain_stft import PlainSTFT
from unbraid.models.layers.wiener_em import WienerEM
from unbraid.models.registry import Member, build_network, make_config


def member(*stems, **settings):
    return Member("conv_tasnet", make_config("conv_tasnet", {**TASNET, **settings, "stems": stems}))


class Given:
    """A model whose estimates are what it is given."""

    device, engine = "cpu", "test"

    def __init__(self, estimates):
        self.estimates = estimates

    def __call__(self, mixture):
        return self.estimates


def test_stems_stand_in_the_order_of_their_models():
    config = PerStemConfig((member("vocals", segment_s=2.0), member("drums", "bass")))
    assert config.spec.stems == ("vocals", "drums", "bass")
    assert config.spec.segment_samples == 8 * 44100
    parts = {"0": Given(np.ones((1, 1, 2, 5))), "1": Given(np.full((1, 2, 2, 5), 2.0))}
    found = PerStem(config, parts)(np.zeros((1, 2, 5)))
    assert found[0, :, 0, 0].tolist() == [1, 2, 2]


def test_a_network_of_models_trains_each_on_its_own_stem():
    torch.manual_seed(0)
    config = PerStemConfig((member("vocals"), member("drums")))
    network = build_network("per_stem", config)
    network(torch.randn(1, 2, 400))[:, 1].square().sum().backward()
    learns = {
        name[:2] for name, p in network.named_parameters() if p.grad is not None and p.grad.any()
    }
    assert learns == {"1."}


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ((), "1 to 64 models are joined, got 0"),
        ((member("a"), member("a", "b")), "have the stem 'a'"),
        ((member("a"), member("b", audio_channels=1)), "the same channels, got 2, 1"),
        ((member("a"), member("b", normalize_songs=False)), "the same normalize"),
    ],
)
def test_models_that_do_not_fit_are_told(models, message):
    with pytest.raises(ModelError, match=message):
        PerStemConfig(models)


def test_the_filter_is_that_of_the_layer_for_arrays_and_tensors_alike():
    torch.manual_seed(1)
    mixture, estimates = 0.3 * torch.randn(1, 2, 4000), 0.3 * torch.randn(1, 3, 2, 4000)
    config = WienerConfig(member("a", "b", "c"), iterations=2, n_fft=512, hop=128, frames=20)
    stft = PlainSTFT(512, 128)
    refined = WienerEM(2, block_frames=20).improve(stft(estimates), stft(mixture))
    wanted = stft.inverse(refined, 4000)
    assert torch.equal(Wiener(config, {"model": Given(estimates)})(mixture), wanted)
    found = Wiener(config, {"model": Given(estimates.numpy())})(mixture.numpy())
    assert isinstance(found, np.ndarray) and np.array_equal(found, wanted.numpy())
    assert float((wanted.sum(1) - mixture).abs().max()) < 1e-3


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        (member("a"), {}, "2 stems or more, got 2 and a"),
        (member("a", "b", audio_channels=3), {}, "1 or 2 audio channels"),
        (member("a", "b"), {"iterations": 0}, "iterations is from 1 to 1000"),
    ],
)
def test_a_filter_that_cannot_be_is_told(model, settings, message):
    with pytest.raises(SettingsError, match=message):
        WienerConfig(model, **settings)
