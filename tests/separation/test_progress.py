"""Progress is told, and a wish to stop is heard."""

from __future__ import annotations

import pytest

from separation.stand_ins import Identity, noise
from unbraid import Bag, Cancelled, CancelToken, SeparationSettings, apply_model
from unbraid.separation.progress import Watch, Work
from unbraid.separation.streaming import separate_blocks


def test_the_fraction_rises_from_nothing_to_one_with_each_forward_pass():
    events, models = [], [Identity(), Identity()]
    settings = SeparationSettings(shifts=2)
    apply_model(Bag(models), noise(1, 2, 100), settings, on_progress=events.append)
    fractions = [event.fraction for event in events]
    assert fractions[0] == 0 and fractions[-1] == 1
    assert fractions == sorted(set(fractions))
    assert len(events) == 1 + sum(len(model.seen) for model in models)
    assert {event.stage for event in events} == {"separate"}
    assert events[0].seconds_left is None and events[-1].seconds_left == 0


def test_seconds_left_follow_the_pace_so_far():
    events, now = [], [100.0]
    work = Work(10, "separate", Watch(events.append), clock=lambda: now[0])
    work.start()
    now[0] += 4.0
    work.advance(2)
    now[0] += 1.0
    work.advance(3)
    assert [event.fraction for event in events] == [0, 0.2, 0.5]
    assert [event.seconds_left for event in events] == [None, pytest.approx(16), pytest.approx(5)]


def test_a_cancelled_separation_stops_before_its_next_forward_pass():
    token, model = CancelToken(), Identity()

    def stop_at_a_third(event):
        if event.fraction > 0.33:
            token.cancel()

    with pytest.raises(Cancelled):
        apply_model(model, noise(1, 2, 700), on_progress=stop_at_a_third, cancel=token)
    assert token.cancelled
    assert len(model.seen) == 33  # of 100


def test_a_stream_can_be_cancelled_too():
    token, song = CancelToken(), noise(1, 2, 100).numpy()
    stream = separate_blocks(
        Identity(), lambda: [song], None, samples=100, watch=Watch(cancel=token)
    )
    next(stream)
    token.cancel()
    with pytest.raises(Cancelled):
        next(stream)


def test_an_error_of_the_callback_ends_the_separation():
    def interrupt(event):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        apply_model(Identity(), noise(1, 2, 30), on_progress=interrupt)
