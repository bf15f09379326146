"""Models made ready, and how they are known."""

from __future__ import annotations

import torch

from small_songs import LowHigh
from unbraid.engines.prepare import prepare_model
from unbraid.engines.ready import as_model
from unbraid.engines.torch.run import TorchModel
from unbraid.models.compose.bag import Bag


def fingerprint(model) -> str:
    return as_model(model).fingerprint()


class Weighted(torch.nn.Module):
    spec = LowHigh.spec

    def __init__(self, weight):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([weight]))

    def valid_samples(self, samples):
        return samples

    def forward(self, mixture):
        return torch.stack([mixture, mixture], dim=1) * self.weight


def test_a_fingerprint_follows_the_weights():
    assert fingerprint(Weighted(1.0)) == fingerprint(Weighted(1.0))
    assert fingerprint(Weighted(1.0)) != fingerprint(Weighted(2.0))
    assert fingerprint(Weighted(1.0)) != fingerprint(LowHigh())


def test_a_fingerprint_of_a_bag_follows_members_and_shares():
    one, two = Weighted(1.0), Weighted(2.0)
    prints = {
        fingerprint(Bag([one, one])),
        fingerprint(Bag([one, two])),
        fingerprint(Bag([one, two], [[1, 1], [1, 0]])),
    }
    assert len(prints) == 3


def test_a_model_may_bring_its_own_fingerprint():
    model = TorchModel(LowHigh(), fingerprint=lambda: "mine")
    assert fingerprint(model) == "mine"
    assert fingerprint(Bag([model])) != fingerprint(Bag([LowHigh()]))


def test_a_model_that_is_given_stays_where_it_is():
    ready = prepare_model(Weighted(1.0))
    assert (ready.device, ready.name, ready.licence) == ("cpu", "weighted", "")
