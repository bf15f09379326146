"""Chain: a first model gives some stems, the next gets the mixture without them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from separation.stand_ins import Identity, Splitter, StandIn, noise
from unbraid.errors import ModelError
from unbraid.models.base import ModelSpec
from unbraid.models.compose.chain import Chain, ChainConfig
from unbraid.models.registry import Member
from unbraid.separation.engine import apply_model
from unbraid.separation.settings import SeparationSettings

REST = ("drums", "bass", "other")


@dataclass(frozen=True)
class Stated:
    """A config that is nothing but a spec."""

    spec: ModelSpec


def spec(stems: tuple[str, ...], segment: int = 10, longest: int | None = None) -> ModelSpec:
    return ModelSpec(stems, 20, 2, segment, longest)


class Half(StandIn):
    """Each stem is half of the mixture."""

    def separate(self, mixture):
        return (mixture / 2)[:, None].expand(-1, len(self.spec.stems), -1, -1)


def chain_of(*links: StandIn, stems: tuple[tuple[str, ...], ...]) -> Chain:
    config = ChainConfig(tuple(Member("stated", Stated(link.spec)) for link in links), stems)
    return Chain(config, {str(number): link for number, link in enumerate(links)})


def vocals_then_rest() -> Chain:
    return chain_of(
        Half(spec(("vocals", "accompaniment"))), Identity(spec(REST)), stems=(("vocals",), ())
    )


def test_the_next_link_gets_the_mixture_without_the_stems_before():
    chain, mixture = vocals_then_rest(), noise(1, 2, 30)
    chain(mixture)
    first, second = chain.members.values()
    assert torch.equal(first.seen[0], mixture)
    assert torch.equal(second.seen[0], mixture - mixture / 2)


def test_stems_of_the_last_link_come_first():
    assert vocals_then_rest().spec.stems == (*REST, "vocals")


def test_stems_add_up_to_the_mixture_when_those_of_the_last_link_do():
    mixture = noise(3, 2, 40)
    torch.testing.assert_close(vocals_then_rest()(mixture).sum(1), mixture)


def test_arrays_give_what_tensors_give():
    mixture = noise(1, 2, 30)
    chain = chain_of(Arrays(spec(("vocals",))), Arrays(spec(REST)), stems=((), ()))
    found = chain(mixture.numpy())
    assert isinstance(found, np.ndarray)
    torch.testing.assert_close(torch.from_numpy(found), vocals_then_rest()(mixture))


class Arrays(StandIn):
    """Half of the mixture if it has one stem, equal parts otherwise; for arrays."""

    def __call__(self, mixture):
        stems = len(self.spec.stems)
        return np.stack([mixture / np.float32(max(stems, 2))] * stems, 1)


def test_a_stem_that_two_links_give_is_the_sum_of_theirs():
    mixture = noise(1, 2, 30)
    both = chain_of(Half(spec(("vocals",))), Identity(spec(("other", "vocals"))), stems=((), ()))
    assert both.spec.stems == ("other", "vocals")
    torch.testing.assert_close(both(mixture)[:, 1], mixture * 0.75)


def test_a_chain_of_one_link_is_its_link():
    mixture = noise(1, 2, 30)
    alone = chain_of(Splitter(spec(REST)), stems=((),))
    torch.testing.assert_close(alone(mixture), Splitter(spec(REST))(mixture))


def test_a_chain_inside_a_chain_is_a_link():
    inner, mixture = vocals_then_rest(), noise(1, 2, 30)
    taken = (("drums",), ())
    last = Identity(spec(("rest",)))
    config = ChainConfig(
        (Member("chain", Stated(inner.spec)), Member("stated", Stated(last.spec))), taken
    )
    found = Chain(config, {"0": inner, "1": last})(mixture)
    torch.testing.assert_close(found[:, 1], inner(mixture)[:, 0])
    torch.testing.assert_close(found.sum(1), mixture)


@pytest.mark.parametrize(("wanted", "links"), [(["vocals"], 1), (["bass"], 2), ([*REST], 2)])
def test_only_the_links_that_stems_need_are_run_and_these_stay_the_same(wanted, links):
    chain, mixture = (
        chain_of(Half(spec(("vocals",))), Narrow(spec(REST)), stems=((), ())),
        noise(1, 2, 30),
    )
    narrow = chain.narrow(wanted)
    assert len(narrow.members) == links
    assert narrow.spec == chain.spec
    for stem in wanted:
        row = chain.spec.stems.index(stem)
        torch.testing.assert_close(narrow(mixture)[:, row], chain(mixture)[:, row])


class Narrow(Identity):
    """Remembers what it was narrowed to."""

    wanted: frozenset[str] = frozenset()

    def narrow(self, stems):
        self.wanted = frozenset(stems)
        return self


Half.narrow = lambda self, stems: self  # type: ignore[attr-defined]


def test_a_streamed_song_is_the_whole_song():
    mixture = noise(1, 2, 200)
    settings = SeparationSettings(overlap=0.25)
    chain = chain_of(Half(spec(("vocals",))), Identity(spec(REST)), stems=((), ()))
    torch.testing.assert_close(apply_model(chain, mixture, settings), chain(mixture))


def test_the_shortest_segment_and_the_least_limit_hold_for_all():
    config = ChainConfig(
        (Member("a", Stated(spec(("v",), 50, 40))), Member("b", Stated(spec(("d",), 45, 60)))),
        ((), ()),
    )
    assert (config.spec.segment_samples, config.spec.longest_samples) == (40, 40)


@pytest.mark.parametrize(
    ("links", "stems", "said"),
    [
        ((), (), "1 to 16 links"),
        ((spec(("v",)),), (), "a list of stems for each"),
        ((spec(("v",)),), (("w",),), "no stem 'w'"),
        ((spec(("v",)),), (("v", "v"),), "twice"),
        ((spec(("v",)), ModelSpec(("d",), 40, 2, 10)), (("v",), ()), "sample_rate: 20 here, 40"),
        ((spec(("v",)), ModelSpec(("d",), 20, 1, 10)), (("v",), ()), "channels: 2 here, 1"),
    ],
)
def test_links_that_do_not_go_together_are_refused(links, stems, said):
    with pytest.raises(ModelError, match=said):
        ChainConfig(tuple(Member("stated", Stated(link)) for link in links), stems)
