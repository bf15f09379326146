"""What a run hears, and how its candidates are compared."""

from __future__ import annotations

import math

import numpy as np
import pytest
import soundfile
import torch

from training.small_runs import STEMS, write_dataset
from unbraid.evaluation.baselines import by_signal_processing
from unbraid.evaluation.metrics import nsdr
from unbraid.pages.charts import Curve, curves_chart
from unbraid.training.board import Board, spectrogram_picture
from unbraid.training.datasets import open_data
from unbraid.training.distributed import Team
from unbraid.training.feed import Feed, epoch_order
from unbraid.training.recipes import read_recipe
from unbraid.training.runlog import RunLog, read_log
from unbraid.training.start import new_model
from unbraid.training.validation import (
    CandidateScore,
    Interrupted,
    best_candidate,
    read_validation,
    validate,
)

RATE = 8000


@pytest.fixture
def recipe(small_recipe):
    return read_recipe(small_recipe)


@pytest.fixture
def data(recipe, small_data):
    return open_data(recipe, [small_data])


def heard(data, recipe, team, epoch=0, first=0, attempt=0):
    """What one process hears in an epoch, augmented."""
    feed = Feed(data.excerpts, recipe, team, RATE)
    return [
        feed.augmented(batch.sources, first + number, attempt)
        for number, batch in enumerate(feed.batches(epoch, first, attempt))
    ]


@pytest.mark.parametrize("size", [1, 2])
def test_the_shares_of_a_team_are_what_one_process_hears(data, recipe, size):
    alone = heard(data, recipe, Team())
    shares = [heard(data, recipe, Team(rank, size)) for rank in range(size)]
    for whole, *parts in zip(alone, *shares, strict=True):
        assert torch.equal(whole, torch.cat(parts))


def test_an_epoch_goes_on_where_it_was_left_and_another_attempt_is_another_order(data, recipe):
    whole = heard(data, recipe, Team())
    rest = heard(data, recipe, Team(), first=1)
    assert len(rest) == len(whole) - 1
    assert all(torch.equal(a, b) for a, b in zip(whole[1:], rest, strict=True))
    again = heard(data, recipe, Team(), attempt=1)
    assert not torch.equal(torch.cat(whole), torch.cat(again))
    assert not torch.equal(torch.cat(whole), torch.cat(heard(data, recipe, Team(), epoch=1)))


def test_an_order_has_every_excerpt_once():
    orders = [epoch_order(50, seed=1, epoch=epoch) for epoch in range(3)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert orders[0] != orders[1]


def test_processes_that_prepare_data_change_nothing(small_recipe, small_data):
    recipes = [read_recipe(small_recipe, [f"data.workers={n}"]) for n in (0, 1)]
    here, there = (heard(open_data(r, [small_data]), r, Team()) for r in recipes)
    assert all(torch.equal(a, b) for a, b in zip(here, there, strict=True))


def test_a_training_set_on_the_device_is_heard_as_from_files_and_in_shares(
    small_recipe, small_data
):
    plain = read_recipe(small_recipe)
    there = read_recipe(small_recipe, ["data.resident=true"])
    data = open_data(there, [small_data])
    expected = heard(open_data(plain, [small_data]), plain, Team())
    alone = heard(data, there, Team())
    shares = [heard(data, there, Team(rank, 2)) for rank in range(2)]
    for files, whole, *parts in zip(expected, alone, *shares, strict=True):
        torch.testing.assert_close(whole, files, rtol=0, atol=1e-5)
        assert torch.equal(whole, torch.cat(parts))


def test_train_valid_adds_the_validation_tracks(small_recipe, small_data):
    recipe = read_recipe(small_recipe, ["data.train_valid=true"])
    found = open_data(recipe, [small_data])
    assert len(found.excerpts.tracks) == 4 and len(found.validation) == 1


def test_validation_is_normalized_as_training_is_and_scores_are_those_of_the_track(data, recipe):
    mixture, sources = read_validation(data.validation[0], data, recipe)
    # The mixture's mean is taken from every stem, as the reference does, so from their sum twice.
    assert (mixture[0] - sources[0].sum(0)).std() < 1e-3
    assert mixture.mean((0, 1)).std() == pytest.approx(1, abs=1e-3)
    model = new_model(recipe)
    [score] = validate(model, {"weights": None}, data, recipe, Team())
    with torch.no_grad():
        silence = nsdr(sources[0].numpy(), np.zeros_like(sources[0].numpy()))
    assert list(score.stems) == list(STEMS) and score.nsdr == pytest.approx(
        np.mean(list(score.stems.values()))
    )
    assert abs(score.nsdr - silence.mean()) < 30
    zeros = {name: torch.zeros_like(value) for name, value in model.state_dict().items()}
    _, quiet = validate(model, {"weights": None, "zeros": zeros}, data, recipe, Team())
    loss = float(sources.abs().mean())
    assert quiet.loss == pytest.approx(loss, rel=0.05)  # l1 of silence: what there was


def test_signal_processing_is_scored_as_a_candidate_is(data, recipe):
    [score] = validate(new_model(recipe), {}, data, recipe, Team(), processing=True)
    own = []
    for track in data.validation:
        mixture, sources = read_validation(track, data, recipe)
        estimates = by_signal_processing(mixture[0].numpy(), data.stems, data.sample_rate)
        own.append(nsdr(sources[0].numpy(), estimates))
    assert score.name == "signal processing"
    assert list(score.stems.values()) == pytest.approx(np.mean(own, axis=0).tolist(), abs=1e-6)
    assert np.isfinite(score.loss)


def test_a_silent_reference_has_no_part_in_the_choice(tmp_path, small_recipe):
    root = write_dataset(tmp_path / "data")
    recipe = read_recipe(small_recipe)
    for path in (root / "valid").glob("*/bass.wav"):
        silence, rate = soundfile.read(path)
        soundfile.write(path, 0 * silence, rate)
    data = open_data(recipe, [root])
    [score] = validate(new_model(recipe), {"weights": None}, data, recipe, Team())
    assert set(score.stems) == set(STEMS) - {"bass"}
    assert score.nsdr == pytest.approx(np.mean(list(score.stems.values())))


def test_a_model_of_some_stems_is_validated_on_their_sum(tmp_path, small_recipe):
    root = write_dataset(tmp_path / "data", stems=("drums", "bass", "bells"))
    recipe = read_recipe(small_recipe, ['model.stems=["bells", "drums"]'])
    data = open_data(recipe, [root])
    mixture, sources = read_validation(data.validation[0], data, recipe)
    difference = mixture[0] - sources[0].sum(0)
    assert difference.std() < 1e-5


def test_a_validation_that_is_interrupted_says_so(data, recipe):
    with pytest.raises(Interrupted):
        validate(
            new_model(recipe), {"weights": None}, data, recipe, Team(), stop_asked=lambda: True
        )


def test_the_best_candidate_is_the_best_and_never_one_without_a_number():
    scores = [
        CandidateScore("a", math.nan, math.nan, {}),
        CandidateScore("b", 0.2, 3.0, {}),
        CandidateScore("c", 0.1, 2.0, {}),
        CandidateScore("d", 0.1, 2.0, {}),
    ]
    assert best_candidate(scores, "loss").name == "c"
    assert best_candidate(scores, "nsdr").name == "b"
    assert best_candidate(scores[:1], "loss").name == "a"


def test_a_log_forgets_what_comes_again_and_lines_cut_short(tmp_path):
    log = RunLog(tmp_path)
    for step in range(1, 6):
        log.write("step", step, loss=float(step), stems={"bass": math.inf})
    log.close()
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"kind": "step", "st')
    RunLog(tmp_path, step=3).close()
    assert [row["step"] for row in read_log(tmp_path / "log.jsonl")] == [1, 2, 3]
    assert len((tmp_path / "steps.csv").read_text().splitlines()) == 4
    assert read_log(tmp_path / "log.jsonl")[0]["stems"] == {"bass": None}


def test_the_board_shows_numbers_pictures_and_sounds(tmp_path):
    pytest.importorskip("tensorboard")
    board = Board.open(tmp_path, 0)
    board.numbers("step", 1, {"loss": 0.5, "name": "x"})
    sound = torch.randn(1, 2, 2, RATE)
    board.estimates(1, "song", STEMS, sound, sound, RATE)
    board.close()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) > RATE


def test_a_picture_has_its_tone_at_its_height():
    time = torch.arange(RATE) / RATE
    picture = spectrogram_picture(torch.sin(2 * math.pi * RATE / 8 * time)[None])
    rows = picture.shape[0]
    assert picture.min() >= 0 and picture.max() == 1
    assert int(picture.sum(1).argmax()) == pytest.approx(rows * 3 / 4, abs=2)


def test_curves_break_where_there_is_no_number():
    points = ((0, 1.0), (1, math.nan), (2, 2.0), (3, 3.0))
    figure = curves_chart([Curve("<a>", points)], "title", "dB")
    assert "&lt;a&gt;" in figure and figure.count("M", figure.index("fill=none") - 60) >= 1
    assert curves_chart([Curve("a", ((0, math.nan),))], "title", "dB") == ""
