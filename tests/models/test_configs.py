"""Configs without torch, and the weights that they tell of."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unbraid.engines.native import model as native
from unbraid.errors import CheckpointError, SettingsError
from unbraid.models import registry
from unbraid.models.hybrid_demucs.config import HybridDemucsConfig
from unbraid.models.hybrid_demucs.network import HybridDemucs
from unbraid.models.hybrid_demucs.weights import weight_shapes
from unbraid.models.registry import (
    NETWORKS,
    architecture_of,
    build_network,
    config_class,
    describe_model,
    make_config,
    plain_config,
)
from unbraid.models.roformer.config import BSRoformerConfig, MelBandRoformerConfig
from unbraid.models.scnet.config import SCNetConfig


def shapes_of(config: HybridDemucsConfig) -> list[tuple[str, tuple[int, ...]]]:
    with torch.device("meta"):
        state = HybridDemucs(config).state_dict()
    return [(name, tuple(value.shape)) for name, value in state.items()]


@settings(max_examples=15, deadline=None)
@given(
    width=st.sampled_from([8, 16, 48]),
    time_width=st.sampled_from([None, 16]),
    kind=st.sampled_from([(4096, 6), (1024, 5), (4096, 7)]),
    flags=st.fixed_dictionaries(
        {
            name: st.booleans()
            for name in ("gate", "residual_encoder", "residual_decoder", "magnitude")
        }
    ),
    norm_from=st.integers(0, 6),
    lstm_from=st.integers(3, 7),
    attention_from=st.integers(3, 7),
    embedding_weight=st.sampled_from([0.0, 0.2]),
    context=st.integers(0, 2),
    residual_depth=st.integers(-2, 3),
)
def test_names_and_shapes_of_weights_are_those_of_the_network_in_its_order(
    width, time_width, kind, flags, context, **others
):
    n_fft, depth = kind
    config = HybridDemucsConfig(
        width=width, time_width=time_width, n_fft=n_fft, depth=depth, residual_compression=2,
        encoder_context=context, decoder_context=context, **flags, **others,
    )  # fmt: skip
    assert list(weight_shapes(config).items()) == shapes_of(config)


@pytest.mark.parametrize(
    "config",
    [
        BSRoformerConfig(width=16, depth=2, stems=("a", "b"), audio_channels=1),
        BSRoformerConfig(width=16, depth=2, heads=3, polar=True, skips=True, mask_hidden_layers=0),
        MelBandRoformerConfig(width=16, depth=1, time_layers=2, joint_layers=2, mask_growth=3),
        SCNetConfig(widths=(4, 8, 16), masks=True, dual_paths=2, expansion=2),
        SCNetConfig(
            widths=(2, 8, 16, 24), audio_channels=1, band_kernels=(3, 5, 20), band_depths=(0, 1, 2),
            compression=2.5, conv_kernel=5,
        ),
    ],
    ids=str,
)  # fmt: skip
def test_shapes_known_without_torch_are_those_of_every_kind_of_network(config):
    architecture = architecture_of(config)
    assert importlib.util.find_spec(f"{NETWORKS[architecture].split()[0]}.weights") is not None
    with torch.device("meta"):
        state = build_network(architecture, config).state_dict()
    shapes = [(name, tuple(value.shape)) for name, value in state.items()]
    assert list(registry.weight_shapes(architecture, config).items()) == shapes


@pytest.mark.parametrize("architecture", [name for name in NETWORKS if native.knows(name)])
def test_what_the_kernels_run_tells_its_weights_without_torch(architecture, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert registry.weight_shapes(architecture, config_class(architecture)())


@pytest.mark.parametrize("settings_", [{"norm_groups": 5}, {"depth": 3}])
def test_what_makes_no_network_is_no_config(settings_):
    with pytest.raises(SettingsError):
        HybridDemucsConfig(**settings_)


def test_what_makes_no_network_has_no_weights():
    config = HybridDemucsConfig(width=6, attention_from=0)
    with pytest.raises((SettingsError, ValueError)):
        shapes_of(config)
    with pytest.raises(SettingsError):
        weight_shapes(config)


@pytest.mark.parametrize("architecture", NETWORKS)
def test_each_architecture_has_its_config_and_its_network(architecture, monkeypatch):
    config = config_class(architecture)()
    assert architecture_of(config) == architecture
    assert make_config(architecture, plain_config(config)) == config
    with torch.device("meta"):
        network = build_network(architecture, config)
    assert describe_model(network) == (architecture, plain_config(config))
    monkeypatch.setattr(registry, "build_network", lambda *_: network)  # it need not be built again
    shapes = [(name, tuple(value.shape)) for name, value in network.state_dict().items()]
    assert list(registry.weight_shapes(architecture, config).items()) == shapes


def test_an_unknown_name_or_key_is_told():
    assert make_config("hybrid_demucs", {"stems": ["a", "b"]}).stems == ("a", "b")
    with pytest.raises(CheckpointError, match="did you mean 'hybrid_demucs'"):
        make_config("hybrid_demuc", {})
    with pytest.raises(CheckpointError, match="did you mean 'depth'"):
        make_config("demucs", {"depht": 6})
    with pytest.raises(CheckpointError, match="an architecture and a config"):
        make_config("ratio_masks", {"model": {"architecture": "demucs"}})
    inner = {"architecture": "demucs", "config": {"depht": 6}}
    with pytest.raises(CheckpointError, match="did you mean 'depth'"):
        make_config("ratio_masks", {"model": inner})
    with pytest.raises(CheckpointError, match="Linear is not an architecture"):
        describe_model(torch.nn.Linear(1, 1))


def test_configs_and_the_contract_load_no_torch():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import unbraid.zoo.open, unbraid.engines.load, unbraid.shapes\n"
        "from unbraid.models import registry\n"
        "for name in (*registry.architectures(), *registry.GRAPHS): registry.config_class(name)\n"
        "for name in registry.COMPOSITES: registry.composite_class(name)\n"
        "print(unbraid.zoo.open.open_model('mini').spec)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
