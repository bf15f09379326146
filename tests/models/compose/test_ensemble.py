"""Ensembles and complements: the numbers of the public program, and laws."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import reference
from reference.generator import uniform
from unbraid.errors import ModelError, SettingsError
from unbraid.models.base import ModelSpec
from unbraid.models.compose.complement import Complement, ComplementConfig
from unbraid.models.compose.ensemble import (
    ALGORITHMS,
    Ensemble,
    EnsembleConfig,
    combine,
)
from unbraid.models.registry import Member, make_config

VECTORS = json.loads(
    (Path(reference.__file__).parent / "ensembles.json").read_text(encoding="utf-8")
)
"""Of ensemble.py in ZFTurbo's Music-Source-Separation-Training at ccc011a."""

SIGNALS = np.stack([0.8 * uniform(f"ens{k}", 10_000).reshape(1, 2, 5000) for k in range(3)]).astype(
    np.float32
)
WEIGHTS = (1.0, 2.0, 1.0)


class Fixed:
    """A model that always says the same."""

    device, engine = "cpu", "none"

    def __init__(self, estimates, stems):
        self.estimates = estimates
        self.spec = ModelSpec(stems, 44100, 2, 5000)

    def __call__(self, mixture):
        return self.estimates

    def valid_samples(self, samples):
        return samples

    def pass_bytes(self, samples):
        return 0

    def fingerprint(self):
        return "00"

    def narrow(self, stems):
        return self


def member(*stems, **more):
    return Member("demucs", make_config("demucs", {"stems": stems, **more}))


def ensemble(algorithm, weights=None):
    members = {str(k): Fixed(x[:, None], ("vocals",)) for k, x in enumerate(SIGNALS)}
    config = EnsembleConfig((member("vocals"),) * 3, algorithm, weights)
    return Ensemble.of(config, members)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_combined_signals_are_those_of_the_public_program(algorithm):
    weights = tuple((weight,) for weight in WEIGHTS)
    y = ensemble(algorithm, weights)(np.zeros((1, 2, 5000), np.float32))[0, 0]
    vector = VECTORS[algorithm]
    assert y.shape == (2, 5000)
    assert y[0, :3].tolist() == pytest.approx(vector["first"], abs=2e-6)
    assert y[1, 2500:2503].tolist() == pytest.approx(vector["mid"], abs=2e-6)
    if algorithm.endswith("wave") or algorithm == "avg_fft":
        # The public spectra are wrong at the very end, where their windows add up to nearly 0.
        assert y[0, -2:].tolist() == pytest.approx(vector["last"], abs=2e-6)
        assert float(y.std(ddof=0)) == pytest.approx(vector["std"], abs=1e-4)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_equal_estimates_stay_as_they_are(algorithm):
    same = np.repeat(SIGNALS[:1], 3, axis=0)
    np.testing.assert_allclose(combine(same, algorithm), same[0], atol=2e-6)


@pytest.mark.parametrize("algorithm", ["avg_wave", "median_wave", "max_fft"])
def test_tensors_and_arrays_give_the_same(algorithm):
    model = ensemble(algorithm)
    arrays = model(np.zeros((1, 2, 5000), np.float32))
    for fixed in model.members.values():
        fixed.estimates = torch.from_numpy(fixed.estimates)
    tensors = model(torch.zeros(1, 2, 5000))
    np.testing.assert_allclose(tensors.numpy(), arrays, atol=1e-6)


def test_a_stem_is_combined_from_the_models_that_have_it():
    config = EnsembleConfig((member("vocals", "drums"), member("drums")))
    one = np.stack([SIGNALS[0], SIGNALS[1]], axis=1)
    members = {"0": Fixed(one, ("vocals", "drums")), "1": Fixed(SIGNALS[2][:, None], ("drums",))}
    y = Ensemble.of(config, members)(np.zeros((1, 2, 5000), np.float32))
    assert config.spec.stems == ("vocals", "drums")
    np.testing.assert_array_equal(y[:, 0], SIGNALS[0])
    np.testing.assert_allclose(y[:, 1], (SIGNALS[1] + SIGNALS[2]) / 2, atol=1e-7)


@pytest.mark.parametrize(
    "wrong",
    [
        {"models": ()},
        {"algorithm": "mode_wave"},
        {"weights": ((1.0,),)},
        {"weights": ((0.0,), (0.0,))},
        {"weights": ((1.0,), (-1.0,))},
        {"models": (member("vocals"), member("vocals", sample_rate=48000))},
    ],
)
def test_ensembles_that_make_no_sense_are_refused(wrong):
    with pytest.raises((ModelError, SettingsError)):
        EnsembleConfig(**{"models": (member("vocals"), member("vocals")), **wrong})


def test_a_stem_and_its_complement_are_the_mixture():
    config = ComplementConfig(member("vocals"), "instrumental")
    model = Complement.of(config, {"model": Fixed(SIGNALS[0][:, None], ("vocals",))})
    y = model(SIGNALS[1])
    assert model.spec.stems == ("vocals", "instrumental")
    np.testing.assert_allclose(y.sum(1), SIGNALS[1], atol=1e-7)


def test_a_complement_needs_one_stem_and_another_name():
    with pytest.raises(SettingsError, match="one stem"):
        ComplementConfig(member("vocals", "drums"))
    with pytest.raises(SettingsError, match="same name"):
        ComplementConfig(member("vocals"), "vocals")
