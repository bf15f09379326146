"""The U-Nets that mask a spectrogram, against numbers of the published code and our own."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from reference.generator import uniform
from unbraid.errors import SettingsError
from unbraid.models.layers.wiener_em import WienerEM
from unbraid.models.mask_unet.config import MaskUNetConfig
from unbraid.models.mask_unet.network import FILTER_EPSILON, MaskUNet
from unbraid.models.mask_unet.public import from_tensorflow, tensorflow_names, torch_names
from unbraid.models.mask_unet.stft import LeadInSTFT

SMALL = MaskUNetConfig(n_fft=64, hop=16, frames=8, bins=16, width=4, depth=2)


def filled(key: str, shape: tuple[int, ...]) -> Tensor:
    """The value of the weight that public code calls `key`."""
    numbers = uniform(key, math.prod(shape)).reshape(shape)
    if len(shape) >= 2:
        scale, offset = 2 * math.sqrt(3 * shape[0] / numbers.size), 0.0
    elif key.endswith("running_var") or (key.endswith("weight") and numbers.size > 1):
        scale, offset = 0.2, 1.0
    elif key.endswith("weight"):
        scale, offset = 0.2, 0.25
    else:
        scale, offset = 0.1, 0.0
    return torch.from_numpy(scale * numbers + offset).float()


def jansson_names(depth: int) -> dict[str, str]:
    """Names by which the stored numbers were filled in."""
    names = {}
    for ours in torch_names(depth) | {f"encoder.{depth - 1}.norm.{k}": "" for k in _NORM}:
        part = "deconv" if ours.startswith("decoder") else "conv"
        theirs = ours.replace("conv", part).replace("norm", "bn")
        names[ours] = theirs.replace("encoder", "enc").replace("decoder", "dec")
    return names


_NORM = ("weight", "bias", "running_mean", "running_var")


def outputs_of(config: MaskUNetConfig, shape: tuple[int, ...], prefixes: tuple[str, ...]) -> Tensor:
    """Outputs of a model with filled-in weights on filled-in magnitudes."""
    model = MaskUNet(config).eval()
    names = (torch_names if config.layout == "spleeter" else jansson_names)(config.depth)
    for network, prefix in zip(model.networks, prefixes, strict=True):
        state = network.state_dict()
        network.load_state_dict(
            {ours: filled(prefix + names[ours], tuple(state[ours].shape)) for ours in state}
        )
    magnitudes = torch.from_numpy(abs(uniform("input", math.prod(shape)))).float().view(shape)
    with torch.no_grad():
        return model.outputs(magnitudes)


FIVE = ("vocals", "piano", "drums", "bass", "other")

# config, shape of the input, prefixes, absmax, mean, first four, middle four, last three
CASES = {
    "spleeter": (
        MaskUNetConfig(stems=("v",), frames=128, bins=128), (1, 2, 128, 128), ("",),
        0.327586234, 0.127629822,
        [0.170434207, 0.0904114246, 0.055025503, 0.00106745504],
        [0.20337607, 0.0193137024, 0.140273154, 0.201888353],
        [0.161374703, 0.167648956, 0.219423696],
    ),
    "spleeter with ELU": (
        MaskUNetConfig(stems=("v",), activation="elu", frames=128, bins=128),
        (1, 2, 128, 128), ("",),
        0.339330256, 0.127382567,
        [0.169758856, 0.0897477493, 0.0546559356, 0.0010253397],
        [0.206221595, 0.0187873747, 0.141560033, 0.214475483],
        [0.162478164, 0.168519214, 0.219186991],
    ),
    "spleeter with softmax": (
        MaskUNetConfig(stems=FIVE, activation="elu", softmax=True, frames=128, bins=128),
        (1, 2, 128, 128), tuple(f"{stem}." for stem in FIVE),
        0.17971836, 0.0500789149,
        [0.0710215196, 0.0371310152, 0.0200833324, 0.00043076108],
        [0.077084437, 0.00763380015, 0.0523493737, 0.0765885189],
        [0.0647281483, 0.0654272959, 0.083331421],
    ),
    "jansson": (
        MaskUNetConfig(
            stems=("v",), layout="jansson", audio_channels=1, exponent=0,
            n_fft=1024, hop=768, frames=512, bins=128,
        ),
        (1, 1, 512, 128), ("",),
        0.341597736, 0.120991449,
        [0.161369577, 0.0818298981, 0.0511079952, 0.000921344559],
        [0.149286985, 0.215771616, 0.115686581, 0.0330994092],
        [0.035739094, 0.110982418, 0.125606194],
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if "softmax" in name else ()) for name in CASES],
)
def test_outputs_are_those_of_the_published_code(name):
    config, shape, prefixes, absmax, mean, first, middle, last = CASES[name]
    flat = outputs_of(config, shape, prefixes).double().flatten()
    half = flat.numel() // 2
    found = torch.cat([flat[:4], flat[half : half + 4], flat[-3:]])
    wanted = torch.tensor([*first, *middle, *last], dtype=torch.double)
    assert (found - wanted).abs().max() < 1e-6 * absmax
    assert flat.abs().max().item() == pytest.approx(absmax, rel=1e-6)
    assert flat.mean().item() == pytest.approx(mean, rel=1e-6)


def test_a_network_has_the_published_number_of_parameters():
    with torch.device("meta"):
        network = MaskUNet(MaskUNetConfig()).networks[0]
    unused = 2 * 512  # of a norm that nothing reads, which is left out
    assert sum(weight.numel() for weight in network.parameters()) == 9_823_749 - unused


@pytest.mark.parametrize("samples", [1, 63, 64, 1000, 1001])
def test_the_transform_there_and_back_is_the_signal(samples):
    stft = LeadInSTFT(64, 16)
    signal = torch.randn(2, 3, samples)
    assert torch.allclose(stft.inverse(stft(signal), samples), signal, atol=1e-5)


@pytest.mark.parametrize("samples", [1, 100, 2000])
@pytest.mark.parametrize("above", ["zeros", "average"])
def test_any_length_comes_out_as_long(samples, above):
    model = MaskUNet(replace(above=above)).eval()
    with torch.no_grad():
        assert model(torch.randn(2, 2, samples)).shape == (2, 2, 2, samples)


def test_stems_add_up_to_the_mixture_where_the_average_mask_goes_on_above():
    model = MaskUNet(replace(above="average")).eval()
    mixture = torch.randn(1, 2, 3000)
    with torch.no_grad():
        assert torch.allclose(model(mixture).sum(1), mixture, atol=1e-5)


def test_a_song_is_cut_into_patches_that_do_not_know_each_other():
    model = MaskUNet(SMALL).eval()
    magnitudes = torch.rand(1, 2, 2 * SMALL.frames, SMALL.bins)
    with torch.no_grad():
        whole = model.outputs(magnitudes)
        second = model.outputs(magnitudes[:, :, SMALL.frames :])
    assert torch.allclose(whole[..., SMALL.frames :, :], second, atol=1e-6)


def test_one_segment_is_one_patch():
    segment = SMALL.spec.segment_samples
    stft = LeadInSTFT(SMALL.n_fft, SMALL.hop)
    assert stft.frames(segment) == SMALL.frames
    assert stft.frames(segment + 1) == SMALL.frames + 1


def test_without_exponent_each_network_has_its_own_mask():
    model = MaskUNet(replace(exponent=0.0, stems=("voice",))).eval()
    spectrum = torch.randn(1, 2, SMALL.frames, 33, dtype=torch.cfloat)
    with torch.no_grad():
        magnitudes = spectrum[..., : SMALL.bins].abs()
        mask = model.networks[0](magnitudes).sigmoid()
        shares = model.shares(model.outputs(magnitudes), spectrum)
    assert torch.allclose(shares[:, 0, ..., : SMALL.bins], mask, atol=1e-5)


def test_a_gain_at_the_door_is_undone_behind_it():
    torch.manual_seed(0)
    quiet, loud = MaskUNet(SMALL).eval(), MaskUNet(replace(input_gain=10.0)).eval()
    loud.load_state_dict(quiet.state_dict())
    mixture = torch.randn(1, 2, 500)
    with torch.no_grad():
        assert torch.allclose(loud(mixture), quiet(10 * mixture) / 10, atol=1e-5)


def refine(guess: Tensor, mixture: Tensor, iterations: int) -> Tensor:
    """The filter of `MaskUNet`, whose spectrograms are (frames, frequency)."""
    wiener = WienerEM(iterations, block_frames=None, epsilon=FILTER_EPSILON)
    return wiener.improve(guess.transpose(-1, -2), mixture.transpose(-1, -2)).transpose(-1, -2)


def test_no_step_of_the_wiener_filter_leaves_the_guess():
    guess, mixture = complex_noise(2, 3, 2, 4, 5), complex_noise(2, 2, 4, 5)
    assert torch.allclose(refine(guess, mixture, 0), guess, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 2])
def test_filtered_stems_add_up_to_the_mixture(channels):
    guess = complex_noise(2, 3, channels, 40, 5)
    mixture = guess.sum(1)
    assert torch.allclose(refine(guess, mixture, 1).sum(1), mixture, atol=1e-2)


def test_stems_on_two_sides_come_apart():
    left, right = complex_noise(50, 7), complex_noise(50, 7)
    sources = torch.zeros(1, 2, 2, 50, 7, dtype=torch.cfloat)
    sources[0, 0, 0], sources[0, 1, 1] = left, right
    sources[0, 0, 1], sources[0, 1, 0] = 0.1 * left, 0.1 * right
    mixture = sources.sum(1)
    guess = 0.5 * mixture[:, None] + 0.3 * (sources - sources.flip(1))  # each has some of the other
    errors = [(x - sources).abs().square().sum() for x in (guess, refine(guess, mixture, 2))]
    assert errors[1] < 0.2 * errors[0]


_NOISE = torch.Generator().manual_seed(0)


def complex_noise(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.cfloat, generator=_NOISE)


def test_it_learns():
    torch.manual_seed(0)
    model = MaskUNet(replace(above="average")).train()
    mixture, wanted = torch.randn(2, 2, 500), torch.randn(2, 2, 2, 500)
    (model(mixture) - wanted).abs().mean().backward()
    assert all(weight.grad is not None for weight in model.parameters())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"frames": 510}, "multiples of 4"),
        ({"bins": 64}, "33 bins"),
        ({"hop": 64}, "overlap"),
        ({"layout": "other"}, "layout is one of"),
        ({"activation": "gelu"}, "activation is one of"),
        ({"above": "noise"}, "above is one of"),
        ({"exponent": math.nan}, "exponent"),
        ({"exponent": True}, "exponent"),
        ({"depth": 40}, "depth"),
        ({"width": 1 << 14, "depth": 3}, "features"),
        ({"stems": ()}, "stems"),
        ({"stems": ("../a",)}, "name of a stem"),
        ({"stems": ("a", "a")}, "same name"),
        ({"softmax": 1}, "softmax"),
        ({"n_fft": 64.0}, "n_fft is a whole number"),
        ({"audio_channels": 3, "wiener_iterations": 1}, "1 or 2 channels"),
        ({"layout": "jansson"}, "audio_channels is 1"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_settings_that_make_no_model_are_refused(changed, message):
    with pytest.raises(SettingsError, match=message):
        replace(**{"frames": 8, **changed})


def test_every_weight_has_one_public_name_in_each_file():
    with torch.device("meta"):
        networks = MaskUNet(MaskUNetConfig()).networks
    names = [list(tensorflow_names(6, stem).values()) for stem in range(2)]
    assert len({*names[0], *names[1]}) == len(names[0]) + len(names[1]) == 140
    for network in networks:
        assert set(network.state_dict()) == set(tensorflow_names(6, 0)) == set(torch_names(6))


def test_kernels_of_tensorflow_are_turned_and_other_weights_are_not():
    kernel = np.arange(5.0 * 4 * 3 * 2).reshape(5, 4, 3, 2)
    assert from_tensorflow(kernel)[1, 2, 3, 0] == kernel[3, 0, 2, 1]
    assert from_tensorflow(kernel[0, 0, 0]).shape == (2,)


def replace(**changed: object) -> MaskUNetConfig:
    fields = {"n_fft": 64, "hop": 16, "frames": 8, "bins": 16, "width": 4, "depth": 2}
    return MaskUNetConfig(**(fields | changed))
