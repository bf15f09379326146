"""HT Demucs against the public implementation, and its laws."""

from __future__ import annotations

import pytest
import torch

from reference.modern_systems import check_output, check_size, filled
from unbraid.errors import SegmentTooLong, SettingsError
from unbraid.models.htdemucs import public
from unbraid.models.htdemucs.config import HTDemucsConfig
from unbraid.models.htdemucs.network import HTDemucs
from unbraid.models.htdemucs.weights import weight_shapes

SIX = ("drums", "bass", "other", "vocals", "guitar", "piano")
CASES = {
    "A1": {"bottom_channels": 512, "dconv_mode": 3, "segment": 7.8},
    "A2": {
        "channels": 16, "bottom_channels": 96, "t_heads": 4, "t_layers": 3, "dconv_mode": 3,
        "use_train_segment": False,
    },
    "A3": {"sources": SIX, "channels": 8, "dconv_mode": 3, "segment": 1.5},
    "A4": {
        "channels": 8, "t_layers": 4, "t_cross_first": True, "t_norm_in": False,
        "t_norm_in_group": 1, "t_group_norm": 1, "t_emb": "scaled", "t_max_positions": 200,
        "t_weight_pos_embed": 0.5, "t_gelu": False, "dconv_mode": 1, "use_train_segment": False,
    },
    "A5": {
        "channels": 8, "t_layers": 2, "t_norm_first": False, "t_emb": "cape",
        "t_layer_scale": False, "t_max_period": 500, "dconv_mode": 1, "use_train_segment": False,
    },
}  # fmt: skip
TINY = HTDemucsConfig(width=8, bottleneck=16, heads=2, transformer_layers=2, segment_s=0.5)


def public_model(kwargs):
    _, config = public.to_ours({**public.DEFAULTS, **kwargs})
    return HTDemucs(HTDemucsConfig(**config))


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[pytest.mark.slow] * (case == "A1")) for case in CASES]
)
def test_output_is_that_of_the_public_implementation(case):
    model = public_model(CASES[case])
    check_size(case, model)
    filled(model, public.public_names(model.state_dict(), model.config))
    check_output(case, model, tolerance=5e-6)


def test_the_published_six_stem_model_has_its_published_size():
    with torch.device("meta"):
        model = public_model({"sources": SIX, "dconv_mode": 3, "segment": 7.8})
    names = set(public.public_names(model.state_dict(), model.config).values())
    assert len(names) == 525
    assert sum(weight.numel() for weight in model.parameters()) == 27_414_996
    assert "crosstransformer.layers_t.1.cross_attn.in_proj_weight" in names
    assert "tdecoder.3.dconv.layers.1.6.scale" in names


@pytest.mark.parametrize("case", CASES)
def test_names_and_shapes_of_weights_are_those_of_the_network_in_its_order(case):
    with torch.device("meta"):
        model = public_model(CASES[case])
    shapes = [(name, tuple(weight.shape)) for name, weight in model.state_dict().items()]
    assert list(weight_shapes(model.config).items()) == shapes


def test_a_shorter_input_is_extended_to_the_segment_and_a_longer_one_refused():
    model = HTDemucs(TINY).eval()
    short = torch.randn(1, 2, 9000)
    padded = torch.nn.functional.pad(short, (0, 22050 - 9000))
    with torch.inference_mode():
        torch.testing.assert_close(model(short), model(padded)[..., :9000])
        with pytest.raises(SegmentTooLong, match=r"0.5 s"):
            model(torch.zeros(1, 2, 22051))
    assert model.valid_samples(1) == 22050
    assert model.spec.longest_samples == 22050


def test_any_length_goes_in_training():
    assert HTDemucs(TINY).train()(torch.randn(1, 2, 30000)).shape == (1, 4, 2, 30000)


@pytest.mark.parametrize(
    ("kwargs", "word"),
    [
        ({"t_sparse_self_attn": True}, "sparse attention"),
        ({"cac": False}, "magnitude spectrograms"),
        ({"multi_freqs": [0.1]}, "bands"),
        ({"t_sin_random_shift": 5}, "random shifts"),
    ],
)
def test_an_option_that_is_not_supported_is_named(kwargs, word):
    with pytest.raises(SettingsError, match=word):
        public.to_ours({**public.DEFAULTS, **kwargs})


@pytest.mark.parametrize(
    "wrong",
    [
        {"heads": 7},
        {"depth": 6},
        {"position": "rotary"},
        {"bottleneck": 0, "time_width": 8},
        {"stems": ("a", "a")},
        {"width": 10**9},
        {"transformer_layers": 10**6},
        {"dropout": float("nan")},
    ],
)
def test_settings_that_make_no_model_are_refused(wrong):
    with pytest.raises(SettingsError):
        HTDemucsConfig(**wrong)
