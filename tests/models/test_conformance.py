"""Every variant against stored outputs of the public implementation (demucs 4.1.0)."""

from __future__ import annotations

import pytest
import torch

from reference.generator import fill, signal, uniform
from unbraid.engines.torch.official import from_official, to_official_state

# class, arguments, samples, [mean, std, absmax], first four, middle four, last three
CASES = {
    "A": (
        "HDemucs",
        {},
        250001,
        [-1.881249e-3, 3.011228e-2, 2.398740e-1],
        [0.014982, -0.021459, 0.025671, 0.018546],
        [-0.001435, 0.016682, -0.011460, -0.054679],
        [-0.006144, 0.002266, 0.028136],
    ),
    "B": (
        "HDemucs",
        {"channels": 16},
        100003,
        [2.815706e-4, 1.676905e-2, 1.655126e-1],
        [-0.001155, -0.001545, -0.010743, 0.004959],
        [-0.006220, 0.006741, -0.010470, -0.012494],
        [-0.018295, -0.013762, 0.005329],
    ),
    "C": (
        "HDemucs",
        {"channels": 16, "cac": False},
        100003,
        [2.872967e-4, 9.479166e-2, 2.943844e-1],
        [-0.013180, 0.001485, -0.024826, -0.005438],
        [0.099025, 0.039259, 0.061188, 0.036382],
        [0.042620, -0.110261, -0.051333],
    ),
    "D": (
        "HDemucs",
        {"channels": 16, "cac": False, "hybrid_old": True, "norm_starts": 999},
        100003,
        [2.870298e-4, 9.399986e-2, 2.924676e-1],
        [-0.002485, -0.003961, -0.010347, 0.000581],
        [0.046191, -0.071461, 0.106278, -0.080641],
        [-0.042976, -0.154056, -0.103493],
    ),
    "E": (
        "HDemucs",
        {"channels": 16, "multi_freqs": [0.1, 0.3], "multi_freqs_depth": 2, "norm_starts": 999},
        100003,
        [3.054955e-4, 1.642011e-2, 1.187019e-1],
        [-0.006388, 0.000408, -0.006990, 0.001670],
        [-0.008665, -0.001884, 0.001696, -0.008833],
        [-0.016649, -0.006882, 0.009030],
    ),
    "F": (
        "HDemucs",
        {"channels": 16, "hybrid": False},
        100003,
        [-1.599448e-5, 7.135951e-3, 1.381466e-1],
        [-0.017106, 0.027747, -0.000061, 0.004344],
        [0.003630, 0.006279, -0.007605, 0.001247],
        [-0.005283, 0.006381, -0.003629],
    ),
    "G": (
        "HDemucs",
        {"channels": 16, "hybrid": False, "cac": False, "wiener_iters": -1},
        100003,
        [-4.273334e-5, 9.380615e-2, 2.724790e-1],
        [0.002679, -0.009122, -0.049928, -0.011945],
        [0.098084, 0.057338, 0.098524, 0.067179],
        [0.127915, -0.123468, -0.119885],
    ),
    "H": (
        "HDemucs",
        {"channels": 16, "hybrid": False, "cac": False, "wiener_iters": 1},
        100003,
        [-4.589403e-5, 2.896132e-2, 6.288298e-2],
        [-0.035832, 0.015465, -0.011489, -0.005081],
        [0.027216, 0.019355, 0.038788, 0.019047],
        [0.035212, -0.032931, -0.047021],
    ),
    "I": (
        "HDemucs",
        {"channels": 16, "dconv_mode": 3, "context_enc": 1, "freq_emb": 0},
        100003,
        [-2.615420e-3, 4.189470e-2, 4.802590e-1],
        [0.010359, -0.010433, -0.015334, -0.000291],
        [-0.011580, 0.013858, -0.056279, -0.025341],
        [0.018298, 0.001817, -0.002669],
    ),
    "O": (
        "HDemucs",
        {"channels": 16},
        700,
        [1.191730e-3, 1.664500e-2, 8.304954e-2],
        [0.005307, -0.003750, -0.000514, -0.004429],
        [0.006398, -0.026598, -0.038294, -0.008934],
        [0.000777, 0.010218, -0.002149],
    ),
    "J": (
        "Demucs",
        {},
        100003,
        [3.761842e-3, 2.143809e-2, 1.186231e-1],
        [0.009017, 0.022214, 0.008035, 0.015656],
        [0.005635, 0.024987, 0.000232, 0.002695],
        [0.014635, 0.009444, 0.006078],
    ),
    "K": (
        "Demucs",
        {"channels": 16},
        100003,
        [-3.687084e-3, 1.291626e-2, 1.058780e-1],
        [-0.006595, 0.007663, 0.017852, -0.019898],
        [-0.028301, -0.020290, 0.028937, 0.000485],
        [-0.002536, -0.009323, -0.002396],
    ),
    "L": (
        "Demucs",
        {"channels": 16, "rewrite": False},
        100003,
        [-5.608007e-3, 4.091069e-2, 2.373793e-1],
        [0.013538, -0.021303, -0.107827, -0.040448],
        [-0.078214, -0.045459, 0.006753, 0.084173],
        [-0.046756, -0.023050, -0.029463],
    ),
    "M": (
        "Demucs",
        {"channels": 16, "dconv_mode": 0, "gelu": False, "lstm_layers": 2, "normalize": False},
        100003,
        [-1.143924e-3, 3.323688e-2, 9.547251e-2],
        [0.061314, 0.054975, 0.046325, 0.049343],
        [0.009252, 0.004253, 0.007626, -0.004890],
        [-0.050895, -0.041315, -0.039909],
    ),
    "N": (
        "Demucs",
        {"channels": 16},
        250001,
        [-3.659864e-3, 1.288421e-2, 1.146625e-1],
        [0.004658, 0.003429, 0.000879, -0.000915],
        [-0.006950, 0.002034, 0.003435, 0.009594],
        [-0.001731, -0.007501, -0.004388],
    ),
}
LARGE = (
    "A",
    "D",
    "E",
    "H",
    "I",
    "J",
    "N",
)  # of the published size, or long: some seconds, and much memory


def filled_model(name, kwargs):
    with torch.device("meta"):
        model = from_official(name, kwargs)
    public = {key: fill(key, tuple(v.shape)) for key, v in to_official_state(model).items()}
    return from_official(name, kwargs, public)


def test_generator_gives_the_specified_numbers():
    expected = [-0.33870588, 0.17729200, -0.10820255, -0.00209372]
    assert uniform("input", 4) == pytest.approx(expected, abs=1e-8)
    expected = [-0.2574818, 0.40455292]
    assert uniform("encoder.0.conv.weight", 2) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=pytest.mark.slow) if c in LARGE else c for c in CASES]
)
def test_output_is_that_of_the_public_implementation(case):
    name, kwargs, samples, statistics, first, middle, last = CASES[case]
    with torch.inference_mode():
        y = filled_model(name, kwargs)(signal(1, 2, samples, gain=0.4))
    assert y.shape == (1, 4, 2, samples)
    found = [y.mean(), y.std(), y.abs().max()]
    assert [float(v) for v in found] == pytest.approx(statistics, abs=1e-6)
    half = samples // 2
    # G divides by magnitudes near 0, which costs it a digit.
    tolerance = 5e-6 if case == "G" else 2e-6
    assert y[0, 0, 0, :4].tolist() == pytest.approx(first, abs=tolerance)
    assert y[0, 3, 1, half : half + 4].tolist() == pytest.approx(middle, abs=tolerance)
    assert y[0, 2, 0, -3:].tolist() == pytest.approx(last, abs=tolerance)


@pytest.mark.parametrize(
    ("name", "kwargs", "keys", "parameters"),
    [
        ("HDemucs", {}, 395, 83_637_832),
        ("HDemucs", {"cac": False}, 395, 83_633_984),
        ("HDemucs", {"norm_starts": 999}, 377, 83_611_720),
        (
            "HDemucs",
            {"norm_starts": 999, "cac": False, "hybrid_old": True},
            377,
            83_607_872,
        ),
        (
            "HDemucs",
            {"norm_starts": 999, "multi_freqs": [0.1, 0.3], "multi_freqs_depth": 2},
            481,
            83_884_248,
        ),
        ("HDemucs", {"hybrid": False}, 285, 75_293_768),
        ("Demucs", {}, 284, 133_753_064),
        ("Demucs", {"rewrite": False}, 252, 88_984_040),
        ("Demucs", {"dconv_mode": 0, "gelu": False, "lstm_layers": 2}, 82, 265_713_288),
    ],
)
def test_sizes_are_the_published_ones(name, kwargs, keys, parameters):
    with torch.device("meta"):
        model = from_official(name, {**kwargs, "rescale": 0})
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert len(model.state_dict()) == keys
