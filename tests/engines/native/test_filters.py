"""Filters on images, and what is around them: the kernels give what torch gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from deviation import deviation_db
from unbraid.engines.native import filters, library, masks
from unbraid.engines.numpy.layers import image, inside
from unbraid.engines.numpy.shares import power
from unbraid.engines.numpy.wiener import filter_bins

pytestmark = pytest.mark.skipif(library.find() is not None, reason=str(library.find()))

SIZES = [(8, 12), (4, 6), (20, 34)]


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def as_torch(x: np.ndarray) -> torch.Tensor:
    """(rows, columns, features) -> (1, features, rows, columns)."""
    return torch.from_numpy(np.ascontiguousarray(x.transpose(2, 0, 1)))[None].float()


def as_image(x: torch.Tensor) -> np.ndarray:
    return x[0].numpy().transpose(1, 2, 0)


def padded(x: np.ndarray) -> np.ndarray:
    """The inside of an image with margins."""
    whole = image(*x.shape)
    there = inside(whole, *x.shape[:2])
    there[...] = x
    return there


@pytest.fixture(params=["few weights", "many", "many in half precision"])
def weights(request, monkeypatch):
    """How weights are kept; makes them."""
    if request.param != "few weights":
        monkeypatch.setattr(filters, "_MANY", 0)
    half = request.param.endswith("half precision")

    def make(*shape: int) -> np.ndarray:
        made = numbers(*shape, seed=1) * np.float32(0.2)
        return made.astype(np.float16) if half else made

    return make


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("ins", "outs"), [(2, 7), (8, 16), (19, 35), (70, 8)])
def test_halving_is_a_convolution_of_stride_two(weights, ins, outs, size):
    x, weight, bias = numbers(*size, ins), weights(outs, ins, 5, 5), numbers(outs)
    norm = numbers(outs, seed=2), numbers(outs, seed=3)
    half = (size[0] // 2, size[1] // 2, outs)
    skip, to = np.zeros((*half[:2], outs + 3), np.float32), np.zeros(half, np.float32)
    filters.Down(weight, bias, norm)(padded(x), skip[..., 3:], to, 2)
    y = F.pad(as_torch(x), (1, 2, 1, 2))
    y = F.conv2d(y, torch.from_numpy(weight).float(), torch.from_numpy(bias), 2)
    wanted = as_image(y)
    assert deviation_db(skip[..., 3:], wanted) < -110
    assert not skip[..., :3].any()
    normed = wanted * norm[0] + norm[1]
    assert deviation_db(to, np.maximum(normed, 0.2 * normed)) < -107  # few results: no average


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("ins", "outs"), [(8, 1), (8, 16), (35, 19), (70, 8)])
def test_doubling_is_a_transposed_convolution(weights, ins, outs, size):
    x, weight, bias = numbers(*size, ins), weights(ins, outs, 5, 5), numbers(outs)
    norm = numbers(outs, seed=2), numbers(outs, seed=3)
    to = np.zeros((2 * size[0], 2 * size[1], outs), np.float32)
    filters.Up(weight, bias, norm)(padded(x), to, 2)
    kernel = torch.from_numpy(weight).float()
    y = F.conv_transpose2d(as_torch(x), kernel, torch.from_numpy(bias), 2)[..., 1:-2, 1:-2]
    assert deviation_db(to, np.maximum(as_image(y), 0) * norm[0] + norm[1]) < -110


@pytest.mark.parametrize("size", [(8, 12), (5, 7), (1, 1), (16, 131)])
@pytest.mark.parametrize(("ins", "outs"), [(5, 8), (24, 24), (40, 17)])
def test_a_small_filter_is_a_convolution(weights, ins, outs, size):
    x, weight, bias = numbers(*size, ins), weights(outs, ins, 3, 3), numbers(outs)
    y = F.conv2d(as_torch(x), torch.from_numpy(weight).float(), torch.from_numpy(bias), padding=1)
    to = numbers(*size, outs, seed=4)
    before = to.copy()
    filters.Same(weight, bias, adding=True)(x, to, 2)
    assert deviation_db(to, before + as_image(y)) < -110
    filters.Same(weight, bias, adding=False)(x, to, 2)
    assert deviation_db(to, np.maximum(as_image(y), 0)) < -110


def test_a_mask_is_a_sigmoid_of_a_convolution():
    weight, bias = numbers(2, 1, 4, 4), numbers(2)
    x, magnitudes = np.zeros((10 + 6, 21 + 6), np.float32), np.abs(numbers(2, 9, 21))
    x[3:-3, 3:-3] = numbers(10, 21)
    outputs = np.zeros((2, 9, 21), np.float32)
    masks.Mask(weight, bias)(x, magnitudes, outputs, 2)
    seen, kernel = torch.from_numpy(x)[None, None], torch.from_numpy(weight)
    y = F.conv2d(seen, kernel, torch.from_numpy(bias), dilation=2)[0, :, :9]
    assert deviation_db(outputs, magnitudes * y.sigmoid().numpy()) < -110


@pytest.mark.parametrize("exponent", sorted(masks.QUARTERS))
def test_shares_are_powers_over_their_sum(exponent):
    outputs = np.abs(numbers(3, 2, 5, 37))
    powers = power(outputs, exponent) + 1e-3 / 3
    masks.share_out(outputs, exponent, 1e-3, 2)
    assert deviation_db(outputs, powers / powers.sum(0)) < -110


@pytest.mark.parametrize("bins", [3, 64, 77])
def test_the_wiener_filter_is_that_of_numpy(bins):
    spectrum = numbers(2, 40, 2 * (bins + 9)).view(np.complex64)
    shares = np.abs(numbers(2, 2, 40, bins, seed=5))
    found = np.zeros_like(spectrum)
    low = spectrum[:, 3:35, :bins]
    masks.filter_spectrum(shares[:, :, 3:35], low, found[:, 3:35, :bins], 1.5, 1, 2)
    wanted = filter_bins(shares[:, :, 3:35], low, 1.5, 1)
    assert deviation_db(found[:, 3:35, :bins].view(np.float32), wanted.view(np.float32)) < -110
    assert not found[..., bins:].any()
    assert not found[:, 35:].any()


def test_a_gru_is_that_of_torch():
    gru = torch.nn.GRU(11, 32, bidirectional=True)
    ways = tuple(
        {
            name: getattr(gru, f"{name}_l0{way}").detach().numpy()
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        }
        for way in ("", "_reverse")
    )
    x = numbers(23, 11)
    with torch.no_grad():
        wanted = gru(torch.from_numpy(x))[0].numpy()
    assert masks.gru_fits(32)
    assert deviation_db(masks.Gru(ways)(x, 2), wanted) < -110
