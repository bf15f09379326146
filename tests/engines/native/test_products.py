"""Products and gates on odd shapes, loud and quiet, in pairs where that is faster."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from deviation import deviation_db
from unbraid.engines.native import library, packing, steps
from unbraid.engines.native.library import pointer
from unbraid.engines.native.products import ADD, GATED, GELU, PLAIN, HopFilter, Product
from unbraid.engines.native.rows import SpecGate
from unbraid.engines.native.sheets import Pool, Sheet
from unbraid.engines.native.steps import StepGate
from unbraid.engines.native.weights import Weights

pytestmark = pytest.mark.skipif(library.find() is not None, reason=str(library.find()))

SHAPES = [(1, 50, 40, 61), (3, 17, 9, 25), (2, 64, 33, 100), (1, 12, 8, 24), (8, 96, 16, 600)]
"""Taps, depth, columns, rows."""
EDGE = 64  # floats around everything that is read or written


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def framed(*shape: int) -> np.ndarray:
    """NaN, with NaN on either side."""
    return np.full(int(np.prod(shape)) + 2 * EDGE, np.nan, np.float32)


def inside(framed: np.ndarray, *shape: int) -> np.ndarray:
    return framed[EDGE:-EDGE].reshape(shape)


def check_edges(framed: np.ndarray) -> None:
    assert np.isnan(framed[:EDGE]).all()
    assert np.isnan(framed[-EDGE:]).all()


def run(weight: np.ndarray, bias: np.ndarray, then: int, x: np.ndarray, threads: int) -> np.ndarray:
    """Of x (taps, rows, depth); what is added to is 1."""
    product = Product(weight, bias, then)
    (taps, rows, depth), seen = x.shape, framed(*x.shape)
    inside(seen, *x.shape)[:] = x
    out = framed(rows, product.columns)
    inside(out, rows, product.columns)[:] = 1
    at = [pointer(seen, EDGE + tap * rows * depth) for tap in range(taps)]
    product(at, depth, rows, pointer(out, EDGE), product.columns, threads)
    check_edges(out)
    return inside(out, rows, product.columns)


@pytest.mark.parametrize(("taps", "depth", "columns", "rows"), SHAPES)
@pytest.mark.parametrize("then", [PLAIN, GELU, ADD, GATED])
@pytest.mark.parametrize("loudness", [1e-3, 1.0, 1e4])
def test_a_product_is_what_numpy_says(
    taps: int, depth: int, columns: int, rows: int, then: int, loudness: float
) -> None:
    columns += columns % 2
    x = numbers(taps, rows, depth) * np.float32(loudness)
    weight = numbers(taps, depth, columns, seed=1) / np.float32(loudness * depth**0.5)
    bias = numbers(columns, seed=2)
    found = run(weight, bias, then, x, 1)
    plain = torch.from_numpy(np.einsum("tnk,tkc->nc", x.astype(float), weight) + bias)
    made = {
        PLAIN: lambda: plain, GELU: lambda: F.gelu(plain), ADD: lambda: plain + 1,
        GATED: lambda: F.glu(plain, -1),
    }[then]()  # fmt: skip
    assert deviation_db(found, made.numpy()) < -118
    assert np.array_equal(found, run(weight, bias, then, x, 3))


def test_silence_gives_the_bias() -> None:
    bias = numbers(40)
    found = run(numbers(1, 50, 40), bias, PLAIN, np.zeros((1, 30, 50), np.float32), 1)
    assert np.abs(found - bias).max() < 1e-9


@pytest.mark.parametrize(("depth", "columns", "rows"), [(48, 20, 49), (50, 16, 61), (129, 70, 98)])
def test_a_filter_of_two_hops_is_what_numpy_says(depth: int, columns: int, rows: int) -> None:
    weight, bias = numbers(2, depth, columns, seed=1), numbers(columns, seed=2)
    seen = framed(rows + 1, depth)
    hops = inside(seen, rows + 1, depth)
    hops[:] = numbers(rows + 1, depth)
    out = framed(rows, columns)
    HopFilter(weight, bias)(pointer(hops), rows, pointer(out, EDGE), columns, 2)
    check_edges(out)
    wanted = hops[:-1].astype(float) @ weight[0] + hops[1:].astype(float) @ weight[1] + bias
    assert deviation_db(inside(out, rows, columns), wanted) < -115


def sheet_of(x: np.ndarray) -> Sheet:
    sheet = Sheet(np.empty(Sheet.size(*x.shape), np.float32), *x.shape)
    sheet.inner[:] = x
    return sheet


@pytest.fixture(params=["mixed at once", "later", "later, from half precision"])
def kept(request, monkeypatch) -> Callable[[np.ndarray], np.ndarray]:
    """How weights of gates are kept; gives them the precision that this needs."""
    if request.param != "mixed at once":
        monkeypatch.setattr(packing, "_MANY_MIXED", 0)
        monkeypatch.setattr(steps, "_WIDE", 0)
    kind = np.float16 if request.param.endswith("half precision") else np.float32
    return lambda weight: weight.astype(kind)


@pytest.mark.parametrize("width", [5, 16, 50])
@pytest.mark.parametrize("loudness", [1e-3, 1.0, 1e3])
def test_a_gate_of_three_steps_is_what_torch_says(kept, width: int, loudness: float) -> None:
    x = numbers(1, 139, width) * np.float32(loudness)
    x[:, :100] *= 1e-3  # quiet before, loud at the end
    kernel = kept(numbers(2 * width, width, 3, seed=1) / np.float32(loudness * width**0.5))
    bias, out = numbers(2 * width, seed=2), sheet_of(np.zeros_like(x))
    gate = StepGate(kernel, bias, gated=True)
    gate(sheet_of(x), out, 1)
    signal, weight, shift = (torch.from_numpy(a).double() for a in (x[0].T, kernel, bias))
    wanted = F.glu(F.conv1d(signal[None], weight, shift, padding=1)[0], 0).T.numpy()
    assert deviation_db(out.inner[0], wanted) < -105
    again = sheet_of(np.zeros_like(x))
    gate(sheet_of(x), again, 3)
    assert np.array_equal(out.inner, again.inner)


@pytest.mark.parametrize(("width", "rows", "steps"), [(5, 1, 3), (16, 7, 50), (50, 4, 33)])
def test_a_gate_of_three_by_three_is_what_torch_says(
    kept, width: int, rows: int, steps: int
) -> None:
    x = numbers(rows, steps, width)
    state = {
        "conv.weight": kept(numbers(2 * width, width, 3, 3, seed=1) / np.float32(3 * width**0.5)),
        "conv.bias": numbers(2 * width, seed=2),
    }
    out = sheet_of(np.zeros_like(x))
    SpecGate(Weights(state), 1)(sheet_of(x), out, Pool(0), 2)
    image = torch.from_numpy(x.transpose(2, 0, 1)).double()[None]
    weight, shift = (torch.from_numpy(a).double() for a in state.values())
    wanted = F.glu(F.conv2d(image, weight, shift, padding=1)[0], 0).permute(1, 2, 0).numpy()
    assert deviation_db(out.inner, wanted) < -112
