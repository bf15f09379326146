"""Files that unbraid wrote before models were made of models open and give the same stems.

They were written by `reference/make_old_files.py` with the code of that time, when ratio masks and
a second rate were settings of one network.
"""

from __future__ import annotations

import lzma
from pathlib import Path

import numpy as np
import pytest
import torch

import unbraid
from deviation import deviation_db
from reference.make_old_files import TINY, mixture, train_step
from small_composites import masked
from unbraid.engines.load import load_to_run
from unbraid.training.config import EmaRecipe, GuardRecipe
from unbraid.training.guard import Guard
from unbraid.training.state import RunState, make_averages, read_state

OLD = Path(__file__).parent.parent / "reference" / "old"


@pytest.fixture
def old(tmp_path):
    """Unpacks a file by its name."""

    def unpack(name: str) -> Path:
        path = tmp_path / name
        path.write_bytes(lzma.decompress((OLD / f"{name}.xz").read_bytes()))
        return path

    return unpack


def error_db(model, name: str) -> float:
    """How far a model's estimates are from those of then."""
    whole = unbraid.SeparationSettings(split=False)
    found = np.asarray(unbraid.apply_model(model, mixture().numpy(), whole))[..., ::5]
    with np.load(OLD / "estimates.npz") as estimates:
        return deviation_db(found, estimates[name])


def test_an_old_checkpoint_gives_the_same_stems_in_every_engine(old):
    path = old("two_rate.safetensors")
    assert type(unbraid.load_model(path).config).__name__ == "RatioMasksConfig"
    assert error_db(unbraid.load_model(path), "two_rate") < -110
    assert error_db(load_to_run(path), "two_rate") < -110


def test_an_old_export_gives_the_same_stems(old):
    pytest.importorskip("onnxruntime")
    assert error_db(unbraid.load_model(old("masked.onnx")), "masked") < -110


def test_a_run_begun_before_makes_the_step_that_it_would_have_made(old):
    model = masked("hybrid_demucs", **TINY).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    by_step, by_epoch = make_averages(model, EmaRecipe(batch=(0.9,), epoch=()))
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    state = RunState(model, optimizer, scaler, Guard(GuardRecipe()), by_step, by_epoch)
    state.load(read_state(old("state.pt")))
    assert state.position.step == 1
    for average in by_step.values():  # of one step: the weights themselves
        assert average.count == 1
        for name, weight in model.named_parameters():
            torch.testing.assert_close(average.values[name], weight.detach())
    (network,) = model.members.values()
    train_step(network, optimizer)
    assert error_db(model.eval(), "trained") < -80  # a step of Adam divides by small numbers
