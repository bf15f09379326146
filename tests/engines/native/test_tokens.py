"""Layers of a transformer on tokens in panels: the kernels give what torch gives."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from deviation import deviation_db
from engines.native.networks import weights_of
from unbraid.engines.native import library
from unbraid.engines.native.library import kernels, pointer
from unbraid.engines.native.sheets import Pool
from unbraid.engines.native.tokens import Layer, Tokens
from unbraid.engines.native.weights import Weights
from unbraid.models.htdemucs.config import HTDemucsConfig
from unbraid.models.htdemucs.transformer import CrossLayer, SelfLayer

pytestmark = pytest.mark.skipif(library.find() is not None, reason=str(library.find()))

SIZES = [(20, 2), (48, 4), (68, 1)]  # heads of 10, 12 and 68 features
COUNTS = [(1, 1), (2, 33), (31, 192), (200, 387)]


@pytest.fixture(params=["v4", "v3"], autouse=True)
def flavour(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """With the vectors of each kind of processor that there is here."""
    features = library._processor_features()
    needed = library._NEEDED[request.param]
    if not needed <= features:
        pytest.skip(f"this processor has no {request.param}")
    monkeypatch.setattr(library, "_processor_features", lambda: needed)
    library._open.cache_clear()
    yield
    library._open.cache_clear()


def make_layer(kind: type[torch.nn.Module], width: int, heads: int) -> torch.nn.Module:
    torch.manual_seed(0)
    layer = kind(HTDemucsConfig(bottleneck=width, heads=heads, width=8)).eval()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return layer


def numbers(count: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, width), np.float32)


def run(layer: torch.nn.Module, heads: int, x: np.ndarray, other: np.ndarray) -> np.ndarray:
    """With NaN wherever nothing was written."""
    pool = Pool(1 << 20)
    pool.take(1 << 20).fill(np.nan)
    pool.forget()
    native = Layer(Weights(weights_of(layer)), heads)
    tokens, others = (Tokens.of_rows(rows.copy(), pool, 1) for rows in (x, other))
    native(tokens, others, pool, 2)
    return tokens.to_rows(pool, 1)


def check(layer: torch.nn.Module, heads: int, x: np.ndarray, other: np.ndarray) -> float:
    with torch.no_grad():
        seen = (torch.from_numpy(rows)[None].double() for rows in (x, other))
        wanted = layer.double()(*seen)[0].numpy()
    return deviation_db(run(layer.float(), heads, x, other), wanted)


@pytest.mark.parametrize("kind", [SelfLayer, CrossLayer])
@pytest.mark.parametrize(("width", "heads"), SIZES)
@pytest.mark.parametrize("counts", COUNTS)
def test_a_layer_gives_what_torch_gives(
    kind: type[torch.nn.Module], width: int, heads: int, counts: tuple[int, int]
) -> None:
    x, other = (numbers(count, width, seed) for seed, count in enumerate(counts))
    assert check(make_layer(kind, width, heads), heads, x, other) < -118


@pytest.mark.parametrize("gain", [1e-3, 30.0])
def test_attention_may_be_even_or_see_one_key_alone(gain: float) -> None:
    layer = make_layer(CrossLayer, 48, 4)
    with torch.no_grad():
        layer.cross_attn.in_proj_weight[:48].mul_(gain)
    assert check(layer, 4, numbers(70, 48), numbers(500, 48, 1)) < -100


def test_scores_may_rise_from_block_to_block() -> None:
    """Also where what came before is forgotten altogether."""
    layer = make_layer(CrossLayer, 20, 2)
    other = numbers(700, 20, 1)
    with torch.no_grad():
        layer.norm2.weight.fill_(1)
        layer.cross_attn.in_proj_weight[20:40].zero_()
        layer.cross_attn.in_proj_weight[20:40, 0] = 300.0
        layer.cross_attn.in_proj_weight[:20] = layer.cross_attn.in_proj_weight[0]
    for rising in (other[np.argsort(other[:, 0])], other[np.argsort(-other[:, 0])]):
        assert check(layer, 2, numbers(40, 20), np.ascontiguousarray(rising)) < -100


def test_values_far_from_zero_lose_few_digits() -> None:
    layer = make_layer(SelfLayer, 48, 4)
    with torch.no_grad():
        layer.self_attn.in_proj_bias[96:] = 20.0
    x = numbers(400, 48)
    assert check(layer, 4, x, x) < -105


def test_rows_come_back_from_panels_and_nothing_else_is_touched() -> None:
    for count, width in ((1, 1), (31, 17), (33, 48), (64, 5)):
        rows = numbers(count, width)
        panels = -(-count // kernels().panel)
        memory = np.full(panels * width * kernels().panel + 64, np.nan, np.float32)
        kernels().rows_to_panels(pointer(rows), count, width, pointer(memory, 32), 2)
        assert np.isnan(memory[:32]).all()
        assert np.isnan(memory[-32:]).all()
        inside = memory[32:-32].reshape(panels, width, -1)
        assert not np.isnan(inside).any()
        back = np.full(rows.size + 64, np.nan, np.float32)
        kernels().panels_to_rows(pointer(inside), count, width, pointer(back, 32), 2)
        assert np.array_equal(back[32:-32].reshape(rows.shape), rows)
        assert np.isnan(back[:32]).all()
        assert np.isnan(back[-32:]).all()
