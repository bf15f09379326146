"""The engine's laws, and the engine beside a plain rewriting of its specification."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from separation import plain_engine
from separation.stand_ins import SAMPLE_RATE, Identity, Positional, Splitter, noise, spec_of
from unbraid import Bag, SeparationSettings, apply_model
from unbraid.engines.arrays import ArrayModel
from unbraid.errors import Cancelled, ModelError, SegmentTooLong, SettingsError, ShapeError
from unbraid.separation import engine
from unbraid.separation.progress import CancelToken
from unbraid.separation.shifts import lane_starts


@st.composite
def any_settings(draw) -> dict[str, object]:
    """Arguments of `SeparationSettings`."""
    segment = draw(st.none() | st.integers(1, 40))
    fits = lambda overlap: int((1 - overlap) * (segment or 9)) >= 1  # noqa: E731
    return {
        # Half a sample more, so that no rounding makes one fewer of it.
        "segment_s": segment and (segment + 0.5) / SAMPLE_RATE,
        "overlap": draw(st.floats(0, 0.95).filter(fits)),
        "shifts": draw(st.integers(0, 3)),
        "seed": draw(st.integers(0, 1000)),
        "transition_power": draw(st.sampled_from([1.0, 2.0, 3.5])),
        "split": draw(st.booleans()),
        "batch_size": draw(st.integers(1, 4)),
    }


def close(actual, expected, atol=2e-6):
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=atol)


@settings(max_examples=30, deadline=None)
@given(chosen=any_settings(), samples=st.integers(1, 150), wider=st.integers(0, 30))
def test_the_identity_model_gives_the_mixture_back(chosen, samples, wider):
    chosen = SeparationSettings(**chosen)
    mixture = noise(2, 2, samples)
    estimates = apply_model(Identity(wider=wider), mixture, chosen)
    close(estimates.sum(dim=1), mixture)


@settings(max_examples=30, deadline=None)
@given(
    chosen=any_settings(),
    samples=st.integers(1, 150),
    wider=st.integers(0, 30),
    grid=st.integers(1, 9),
)
def test_the_engine_does_what_its_specification_says(chosen, samples, wider, grid):
    chosen = SeparationSettings(**chosen)
    mixture = noise(1, 2, samples)
    members = [Positional(spec_of(3), wider, grid), Positional(spec_of(3), wider, 1, gain=2.0)]
    weights = [[1.0, 0.0, 0.5], [1.0, 2.0, 0.5]]
    starts = lane_starts(chosen, SAMPLE_RATE, members=2)
    expected = plain_engine.bag(
        members,
        weights,
        mixture,
        SAMPLE_RATE,
        [[start + 10 for start in row] if chosen.shifts else [] for row in starts],
        segment=int(SAMPLE_RATE * (chosen.segment_s or 0.5)) if chosen.split else None,
        overlap=chosen.overlap,
        power=chosen.transition_power,
    )
    close(apply_model(Bag(members, weights), mixture, chosen), expected, atol=1e-5)


def test_segments_that_cross_fade_mix_old_and_new_linearly():
    class CountsItsCalls(Identity):
        def separate(self, mixture):
            return torch.full((1, 2, *mixture.shape[1:]), float(len(self.seen) - 1))

    estimates = apply_model(CountsItsCalls(), noise(1, 2, 17))[0, 0, 0]
    wanted = [0.0] * 7 + [0.25, 0.5, 0.75] + [1.0] * 4 + [1.25, 1.5, 1.75]
    close(estimates, torch.tensor(wanted))


def test_a_segment_comes_with_its_real_neighbours_and_silence_only_beyond_the_song():
    model, mixture = Identity(wider=7), torch.arange(1.0, 31.0).expand(1, 2, 30)
    apply_model(model, mixture, SeparationSettings(overlap=0.0))
    first, second, third = (seen[0, 0].tolist() for seen in model.seen)
    assert first == [0.0] * 3 + [float(t) for t in range(1, 15)]
    assert second == [float(t) for t in range(8, 25)]
    assert third == [float(t) for t in range(18, 31)] + [0.0] * 4


def test_neighbours_beyond_the_view_of_a_shift_are_real_too():
    model, mixture = Identity(wider=8), torch.arange(1.0, 31.0).expand(1, 2, 30)
    apply_model(model, mixture, SeparationSettings(overlap=0.0, shift_offsets=[7]))
    assert model.seen[0][0, 0].tolist() == [0.0] * 7 + [float(t) for t in range(1, 12)]


@pytest.mark.parametrize("batch_size", [2, 3, 100])
def test_batched_equals_one_by_one(batch_size):
    mixture, chosen = noise(2, 2, 133), SeparationSettings(shifts=2, overlap=0.4)
    model = Positional(spec_of(4), wider=5)
    one_by_one = apply_model(model, mixture, chosen)
    calls = len(model.seen)
    batched = apply_model(model, mixture, replace(chosen, batch_size=batch_size))
    assert len(model.seen) - calls < calls
    close(batched, one_by_one)


def test_the_order_of_a_batch_changes_nothing():
    mixture, order = noise(3, 2, 77), [2, 0, 1]
    chosen = SeparationSettings(shifts=1)
    estimates = apply_model(Positional(), mixture, chosen)
    torch.testing.assert_close(
        apply_model(Positional(), mixture[order], chosen), estimates[order], rtol=0, atol=0
    )
    torch.testing.assert_close(
        apply_model(Positional(), mixture[:1], chosen), estimates[:1], rtol=0, atol=0
    )


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    def run(seed: int) -> torch.Tensor:
        return apply_model(Positional(), noise(1, 2, 99), SeparationSettings(shifts=2, seed=seed))

    assert torch.equal(run(5), run(5))
    assert not torch.allclose(run(5), run(6))


def test_a_bag_of_one_equals_its_model():
    mixture, chosen = noise(1, 2, 99), SeparationSettings(shifts=2)
    model = Positional()
    alone = apply_model(model, mixture, chosen)
    assert torch.equal(apply_model(Bag([model]), mixture, chosen), alone)
    assert torch.equal(apply_model(Bag([model], [[3.0, 0.2]]), mixture, chosen), alone)


def test_the_weights_of_a_bag_count_stem_by_stem():
    mixture = noise(1, 2, 55)
    bag = Bag([Splitter(), Identity()], [[1.0, 3.0], [1.0, 1.0]])
    drums, bass = apply_model(bag, mixture).unbind(dim=1)
    close(drums, mixture * (1.0 + 0.5) / 2)
    close(bass, mixture * (3 * 2.0 + 0.5) / 4)


def test_a_member_without_weight_is_not_run_but_draws_its_offsets():
    mixture, chosen = noise(1, 2, 55), SeparationSettings(shifts=1, seed=3)
    idle, model = Identity(), Positional()
    estimates = apply_model(Bag([idle, model], [[0.0, 0.0], [1.0, 1.0]]), mixture, chosen)
    assert idle.seen == []
    (start,) = lane_starts(chosen, SAMPLE_RATE, members=2)[1]
    alone = apply_model(model, mixture, SeparationSettings(shift_offsets=[start + 10]))
    close(estimates, alone)


def test_members_use_their_own_segments_unless_the_bag_or_the_settings_state_one():
    def lengths(segment_samples, chosen) -> list[int]:
        models = [Identity(spec_of(segment=10)), Identity(spec_of(segment=30))]
        apply_model(Bag(models, segment_samples=segment_samples), noise(1, 2, 100), chosen)
        return [model.seen[0].shape[-1] for model in models]

    assert lengths(None, SeparationSettings()) == [10, 30]
    assert lengths(20, SeparationSettings()) == [20, 20]
    assert lengths(20, SeparationSettings(segment_s=2.0)) == [40, 40]


def test_without_splitting_the_song_goes_through_at_once():
    model = Positional()
    mixture = noise(1, 2, 333)
    estimates = apply_model(model, mixture, SeparationSettings(split=False))
    assert [seen.shape[-1] for seen in model.seen] == [333]
    assert torch.equal(estimates, model.separate(mixture))


def test_the_mixture_is_not_touched_even_by_a_model_that_writes_to_its_input():
    class Careless(Identity):
        def separate(self, mixture):
            return mixture.zero_()[:, None].expand(-1, 2, -1, -1)

    mixture = noise(1, 2, 8)
    before = mixture.clone()
    apply_model(Careless(), mixture)
    assert torch.equal(mixture, before)


class Halves(nn.Module):
    """A module in training, with dropout, and with a part that is not in training."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = spec_of()
        self.gain = nn.Parameter(torch.tensor(0.5))
        self.dropout = nn.Dropout(0.9)
        self.frozen = nn.Dropout(0.9).eval()

    def valid_samples(self, samples: int) -> int:
        return samples

    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        return self.dropout(self.gain * mixture)[:, None].expand(-1, 2, -1, -1)


def test_a_module_runs_in_eval_mode_without_gradients_and_is_left_as_it_was():
    model, mixture = Halves(), noise(1, 2, 33).requires_grad_()
    estimates = apply_model(model, mixture)
    close(estimates[:, 0], mixture.detach() / 2)
    assert not estimates.requires_grad and not estimates.is_inference()
    assert model.training and model.dropout.training and not model.frozen.training


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_float_comes_back_as_float32(dtype):
    mixture = noise(1, 2, 33).to(dtype)
    estimates = apply_model(Identity(), mixture)
    assert estimates.dtype == torch.float32
    close(estimates.sum(dim=1), mixture.float())


def test_arrays_give_arrays_of_the_same_numbers():
    mixture, chosen = noise(1, 2, 133), SeparationSettings(shifts=2)
    estimates = apply_model(Positional(), mixture.numpy(), chosen)
    assert isinstance(estimates, np.ndarray) and estimates.dtype == np.float32
    assert torch.equal(torch.from_numpy(estimates), apply_model(Positional(), mixture, chosen))


class OnArrays(ArrayModel):
    """The same model, on arrays."""

    spec = spec_of()

    def separate(self, mixture):
        assert isinstance(mixture, np.ndarray) and mixture.dtype == np.float32
        return Positional()(torch.from_numpy(mixture)).numpy()


def test_a_model_of_arrays_is_given_arrays_alone_and_in_a_bag():
    mixture = noise(1, 2, 99)
    wanted = apply_model(Positional(), mixture)
    assert torch.equal(apply_model(OnArrays(), mixture), wanted)
    bag = Bag([OnArrays(), OnArrays()])
    close(apply_model(bag, mixture), wanted)
    close(torch.from_numpy(bag(mixture.numpy())), Positional()(mixture))


@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_model_elsewhere_is_a_batch_ahead_and_gives_the_same_bits(monkeypatch, batch_size):
    mixture = noise(1, 2, 2000)
    chosen = SeparationSettings(segment_s=100 / SAMPLE_RATE, batch_size=batch_size)
    expected = apply_model(Positional(), mixture, chosen)
    monkeypatch.setattr(engine, "runs_elsewhere", lambda model: True)
    assert torch.equal(apply_model(Positional(), mixture, chosen), expected)


def test_what_goes_wrong_elsewhere_comes_out_here_and_stopping_ends_its_thread(monkeypatch):
    monkeypatch.setattr(engine, "runs_elsewhere", lambda model: True)
    mixture, chosen = noise(1, 2, 2000), SeparationSettings(segment_s=100 / SAMPLE_RATE)
    threads, cancel = threading.active_count(), CancelToken()
    with pytest.raises(ModelError, match="shape"):
        apply_model(Wrong(), mixture, chosen)
    with pytest.raises(Cancelled):
        apply_model(
            Positional(), mixture, chosen, cancel=cancel,
            on_progress=lambda progress: cancel.cancel() if progress.fraction else None,
        )  # fmt: skip
    assert threading.active_count() == threads


class Wrong(Positional):
    def __call__(self, mixture):
        return super().__call__(mixture)[:, :1]


@pytest.mark.gpu
def test_segments_go_to_the_model_and_estimates_come_back():
    mixture = noise(1, 2, 99)
    estimates = apply_model(Halves().cuda(), mixture)
    assert estimates.device.type == "cpu"
    close(estimates[:, 0], mixture / 2)


@pytest.mark.parametrize("shape", [(1, 3, 50), (1, 2, 0), (0, 2, 50)])
def test_a_mixture_that_does_not_fit_is_refused(shape):
    with pytest.raises(ShapeError, match="2 channels, 1 sample or more"):
        apply_model(Identity(), torch.zeros(shape))


@pytest.mark.usefixtures("unchecked")
def test_a_mixture_of_the_wrong_kind_is_refused():
    with pytest.raises(ShapeError, match="2 channels"):
        apply_model(Identity(), torch.zeros(2, 50))
    with pytest.raises(ShapeError, match="floating-point mixture"):
        apply_model(Identity(), torch.zeros(1, 2, 50, dtype=torch.int16))


def test_a_segment_beyond_the_models_limit_is_refused():
    model = Identity(spec_of(segment=10, longest=10))
    for chosen in (SeparationSettings(segment_s=0.55), SeparationSettings(split=False)):
        with pytest.raises(SegmentTooLong, match=r"longer than the 0.5 s that the model can take"):
            apply_model(model, noise(1, 2, 50), chosen)
    apply_model(model, noise(1, 2, 50), SeparationSettings(segment_s=0.5))


def test_a_segment_of_no_samples_is_refused():
    with pytest.raises(SettingsError, match="not one sample at 20 Hz"):
        apply_model(Identity(), noise(1, 2, 50), SeparationSettings(segment_s=0.01))


def test_a_model_that_breaks_its_contract_is_named():
    class Short(Identity):
        def separate(self, mixture):
            return super().separate(mixture)[..., 1:]

    with pytest.raises(ModelError, match=r"shape \(1, 2, 2, 10\) here, got \(1, 2, 2, 9\)"):
        apply_model(Short(), noise(1, 2, 50))
    with pytest.raises(ModelError, match=r"valid_samples\(10\) is 10 or more, got 9"):
        apply_model(Identity(wider=-1), noise(1, 2, 50))


def test_a_mixture_without_its_batch_is_told_how_to_get_one(unchecked):
    with pytest.raises(ShapeError, match=r"add the batch: mixture\[None\]"):
        apply_model(Identity(), noise(1, 2, 100)[0])
