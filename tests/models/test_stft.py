"""The aligned STFT against stored numbers, and its laws."""

from __future__ import annotations

import math

import pytest
import torch

from reference.generator import signal
from unbraid.errors import ShapeError
from unbraid.models.layers.stft import (
    AlignedSTFT,
    CentredSTFT,
    DelayedSTFT,
    pack_complex,
    pad_reflect,
    unpack_complex,
)


def test_spectrogram_and_round_trip_have_the_stored_values():
    x, stft = signal(1, 2, 5000, gain=0.4), AlignedSTFT(4096)
    z = stft(x)
    assert z.shape == (1, 2, 2048, 5)
    expected = [5.2704e-5, -0.04378 - 0.0893j, 0.06910 + 0.0211j]
    assert z[0, 0, :3, 0].tolist() == pytest.approx(expected, abs=1e-4)
    assert complex(z[0, 1, 100, 2]) == pytest.approx(0.0622 - 0.0569j, abs=1e-4)
    assert complex(z[0, 0, 2047, 4]) == pytest.approx(0.0914 + 0.0495j, abs=1e-4)
    assert float(z.abs().mean()) == pytest.approx(0.06178562, abs=1e-7)
    packed = pack_complex(z)
    assert float(packed.mean()) == pytest.approx(1.04138e-5, abs=1e-8)
    assert float(packed.std()) == pytest.approx(0.05011521, abs=1e-7)
    y = stft.inverse(z, 5000)
    expected = [-0.06757646, 0.03534517, -0.02153878, -0.00058471]
    assert y[0, 0, :4].tolist() == pytest.approx(expected, abs=1e-6)
    expected = [0.00240506, -0.20137730, -0.19059542, 0.15117444]
    assert y[0, 1, 2500:2504].tolist() == pytest.approx(expected, abs=1e-6)


def test_plain_stft_has_the_stored_values():
    x, stft = signal(1, 2, 5000, gain=0.4), CentredSTFT(4096)
    z = stft(x)
    assert z[0, 0, :3, 0].real.tolist() == pytest.approx([0.0367, -0.0812, 0.0300], abs=1e-4)
    y = stft.inverse(z, 5000)
    expected = [-0.13490550, 0.07034066, -0.04270560, -0.00141219]
    assert y[0, 0, :4].tolist() == pytest.approx(expected, abs=1e-6)


def test_constant_one_has_the_stated_level():
    z = CentredSTFT(4096)(torch.ones(1, 1, 20000))
    assert float(z[0, 0, 0, 8].abs()) == pytest.approx(32, abs=1e-3)


@pytest.mark.parametrize("samples", [1, 500, 1024, 1025, 5000, 44100])
def test_there_are_as_many_frames_as_hops(samples):
    stft = AlignedSTFT(4096)
    z = stft(torch.randn(2, samples))
    assert z.shape == (2, 2048, math.ceil(samples / 1024))
    assert stft.inverse(z, samples).shape == (2, samples)


def test_the_inside_comes_back_exactly_and_the_edges_do_not():
    stft = AlignedSTFT(4096)
    one = torch.ones(1, 30000)
    y = stft.inverse(stft(one), 30000)[0]
    found = y[[0, 256, 512, 1024, 1535]].tolist()
    assert found == pytest.approx([0.500, 0.680, 0.833, 0.986, 1.000], abs=1e-3)
    tone = torch.sin(2 * math.pi * 440 / 44100 * torch.arange(30000))[None]
    inside = slice(1600, 30000 - 1600)
    torch.testing.assert_close(
        stft.inverse(stft(tone), 30000)[:, inside], tone[:, inside], atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("samples, left, right", [(1, 3, 3), (4, 3, 3), (3, 5, 2), (2, 0, 7)])
def test_reflect_padding_keeps_the_samples_where_they_belong(samples, left, right):
    x = torch.arange(1.0, samples + 1)[None]
    y = pad_reflect(x, left, right)
    assert y.shape == (1, left + samples + right)
    assert y[0, left : left + samples].tolist() == x[0].tolist()


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("stft", [CentredSTFT(1024), AlignedSTFT(1024), DelayedSTFT(1024)])
def test_an_imaginary_part_at_zero_hertz_is_not_heard(stft, device):
    z = torch.randn(2, 512, 12, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    real = z.clone()
    real.imag[:, 0] = 0
    before = z.clone()
    heard = stft.inverse(z.to(device), 3000).cpu()
    torch.testing.assert_close(heard, stft.inverse(real, 3000), atol=1e-5, rtol=0)
    assert torch.equal(z, before)  # what comes in stays as it is


def test_packing_refuses_what_is_not_a_spectrogram(unchecked):
    with pytest.raises(ShapeError, match="complex"):
        pack_complex(torch.zeros(1, 2, 3, 4))


def test_unpacking_undoes_packing():
    z = torch.randn(2, 2, 6, 3, dtype=torch.cfloat)
    assert torch.equal(unpack_complex(pack_complex(z)), z)
