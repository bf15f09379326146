"""Flat and even windows: those of Music-Source-Separation-Training's inference."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reference.generator import uniform
from separation.stand_ins import SAMPLE_RATE, Identity, noise
from unbraid import SeparationSettings, apply_model
from unbraid.errors import SettingsError
from unbraid.models.base import ModelSpec
from unbraid.separation.streaming import separate_blocks

LENGTH = 1000

# Stored outputs of MSST's `demix` at ccc011a for segments of 1000 samples, through the model below:
# (windows, samples, num_overlap) -> first, middle and last samples of stem "rising".
PUBLISHED = {
    ("flat", 3700, 4): ((-0.1354824, 0.0708207, -0.0431646), (0.0722689, 0.0115006, 0.1841829),
                (0.0474103, -0.1367796, 0.0724326)),
    ("flat", 777, 2): ((0.0, 0.0001418, -0.0001731), (-0.0853687, -0.1191634, -0.0879825),
               (0.1967835, -0.1389396, -0.0253648)),
    ("flat", 400, 4): ((0.0, 0.0001418, -0.0001731), (0.05007, -0.0437502, 0.0639059),
               (0.0339074, -0.0372478, 0.0569532)),
    ("even", 3700, 4): ((0.0, 0.0001418, -0.0001731), (0.0722689, 0.0115006, 0.1841829),
                        (0.0520014, -0.1503517, 0.0797939)),
}  # fmt: skip


class Ramps:
    """x t / length and x (1 - t / length): what comes out depends on where a segment begins."""

    spec = ModelSpec(("rising", "falling"), SAMPLE_RATE, 2, LENGTH)

    def valid_samples(self, samples):
        return samples

    def __call__(self, mixture):
        ramp = torch.arange(mixture.shape[-1]) / mixture.shape[-1]
        return torch.stack([mixture * ramp, mixture * (1 - ramp)], dim=1)


def flat(overlap, windows="flat"):
    return SeparationSettings(overlap=overlap, windows=windows)


@pytest.mark.parametrize(("windows", "samples", "num_overlap"), PUBLISHED)
def test_a_song_is_what_the_public_program_makes_of_it(windows, samples, num_overlap):
    song = torch.from_numpy(0.8 * uniform("input", 2 * samples)).float().reshape(1, 2, samples)
    found = apply_model(Ramps(), song, flat(1 - 1 / num_overlap, windows))[0, 0].numpy()
    first, middle, last = PUBLISHED[windows, samples, num_overlap]
    np.testing.assert_allclose(found[0, :3], first, atol=1e-7)
    np.testing.assert_allclose(found[1, samples // 2 : samples // 2 + 3], middle, atol=1e-7)
    np.testing.assert_allclose(found[0, -3:], last, atol=1e-7)


@pytest.mark.parametrize("samples", [1, 9, 17, 100, 153])
@pytest.mark.parametrize("overlap", [0.3, 0.5, 0.75])
@pytest.mark.parametrize("windows", ["flat", "even"])
def test_the_identity_model_gives_the_mixture_back(samples, overlap, windows):
    mixture = noise(2, 2, samples)
    estimates = apply_model(Identity(), mixture, flat(overlap, windows))
    torch.testing.assert_close(estimates.sum(dim=1), mixture, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("block", [1, 7, 400, 5000])
@pytest.mark.parametrize("windows", ["flat", "even"])
def test_a_streamed_song_is_the_whole_song(block, windows):
    mixture = noise(1, 2, 3333).numpy()
    parts = np.split(mixture, range(block, mixture.shape[-1], block), axis=-1)
    streamed = separate_blocks(
        Ramps(), lambda: parts, None, flat(0.75, windows), samples=mixture.shape[-1]
    )
    whole = apply_model(Ramps(), mixture, flat(0.75, windows))
    assert np.array_equal(np.concatenate(list(streamed), axis=-1), whole)


def test_only_triangles_take_shifts_and_other_windows_are_refused():
    for windows in ("flat", "even"):
        with pytest.raises(SettingsError, match="without shifts"):
            SeparationSettings(shifts=1, windows=windows)
    with pytest.raises(SettingsError, match="triangle, flat or even, got 'round'"):
        SeparationSettings(windows="round")
