"""Bag: several models as one."""

from __future__ import annotations

import math

import pytest
import torch

from separation.stand_ins import SAMPLE_RATE, Identity, Splitter, noise, spec_of
from unbraid.errors import ModelError, SegmentTooLong
from unbraid.models.base import ModelSpec, SeparationModel
from unbraid.models.compose.bag import Bag
from unbraid.separation.engine import apply_model
from unbraid.separation.settings import SeparationSettings


def test_a_bag_is_a_model():
    bag = Bag([Identity(), Splitter()])
    assert isinstance(bag, SeparationModel)
    assert bag.spec == spec_of()
    assert bag(noise(3, 2, 40)).shape == (3, 2, 2, 40)


def test_a_bag_of_one_gives_what_its_model_gives():
    mixture = noise(1, 2, 40)
    assert torch.equal(Bag([Splitter()])(mixture), Splitter()(mixture))


def test_weights_count_stem_by_stem_and_may_be_nothing():
    mixture = noise(1, 2, 40)
    drums, bass = Bag([Splitter(), Identity()], [[1, 0], [3, 1]])(mixture).unbind(dim=1)
    torch.testing.assert_close(drums, (mixture + 3 * mixture / 2) / 4)
    torch.testing.assert_close(bass, mixture / 2)


def test_no_weights_are_equal_weights():
    bag = Bag([Identity(), Identity()])
    assert bag.weights == ((1.0, 1.0), (1.0, 1.0))
    assert bag.shares == ((0.5, 0.5), (0.5, 0.5))


def test_a_bag_hands_out_its_models_and_their_weights():
    models = [Identity(), Splitter()]
    bag = Bag(models, [[1, 2], [3, 4]])
    assert len(bag) == 2
    assert [bag.member(0), bag.member(1)] == models
    assert bag.weights == ((1.0, 2.0), (3.0, 4.0))


def test_a_bag_states_the_least_limit_and_refuses_a_longer_segment():
    models = [Identity(spec_of(segment=10, longest=50)), Identity(spec_of(segment=20, longest=30))]
    assert Bag(models).spec.longest_samples == 30
    assert Bag(models).segments == (10, 20)
    assert Bag(models, segment_samples=25).segments == (25, 25)
    said = r"segment of 2 s is longer than the 1.5 s that the model can take.*leave it out"
    with pytest.raises(SegmentTooLong, match=said):
        Bag(models, segment_samples=40)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (ModelSpec(("bass", "drums"), SAMPLE_RATE, 2, 10), "stems"),
        (ModelSpec(("drums", "bass"), 44100, 2, 10), "sample_rate: 20 here, 44100 in model 2"),
        (ModelSpec(("drums", "bass"), SAMPLE_RATE, 1, 10), "channels"),
    ],
)
def test_members_that_do_not_go_together_are_refused(other, said):
    with pytest.raises(ModelError, match=said):
        Bag([Identity(), Identity(other)])
    late = Bag([Identity(), Identity(other)], spec=spec_of())
    with pytest.raises(ModelError, match=said):
        late.member(1)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ([[1, 1]], "takes 2 rows of 2 weights"),
        ([[1, 1], [1]], r"rows of \[2, 1\]"),
        ([[1, -1], [1, 1]], "0 or more"),
        ([[1, math.nan], [1, 1]], "finite"),
        ([[1, 0], [1, 0]], "no model of the bag has a weight for 'bass'"),
    ],
)
def test_weights_that_do_not_fit_are_refused(weights, said):
    with pytest.raises(ModelError, match=said):
        Bag([Identity(), Identity()], weights)


def test_an_empty_bag_is_refused():
    with pytest.raises(ModelError, match="at least one model"):
        Bag([])


def test_a_narrowed_bag_leaves_out_members_and_keeps_its_values():
    mixture = noise(1, 2, 40)
    bag = Bag([Splitter(), Identity()], [[1, 0], [3, 1]])
    bass = bag.narrow({"bass"})
    assert [any(row) for row in bass.shares] == [False, True]
    assert torch.equal(bass(mixture)[:, 1], bag(mixture)[:, 1])
    assert bag.narrow({"drums", "bass"}).shares == bag.shares
    settings = SeparationSettings(shifts=2)
    whole, narrow = apply_model(bag, mixture, settings), apply_model(bass, mixture, settings)
    assert torch.equal(narrow[:, 1], whole[:, 1])
