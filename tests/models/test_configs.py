"""Configs without torch, and the weights that they tell of."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

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
