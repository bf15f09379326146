"""Blocks against stored outputs of the public implementation, and what they promise."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from reference.generator import fill, signal
from unbraid.engines.torch.official import residual_steps
from unbraid.errors import SettingsError
from unbraid.models.layers.attention import LocalAttention
from unbraid.models.layers.recurrent import SpanLSTM
from unbraid.models.layers.residual import ResidualBranches, ResidualShape


def fill_block(block: nn.Module, public_key=lambda key: key) -> nn.Module:
    for key, value in block.state_dict().items():
        value.copy_(fill(public_key(key), tuple(value.shape)))
    return block.eval()


def check(y, total, std, first, last):
    assert float(y.sum()) == pytest.approx(total, abs=1e-4)
    assert float(y.std()) == pytest.approx(std, abs=2e-6)
    assert y[0, 0, :4].tolist() == pytest.approx(first, abs=2e-6)
    assert y[-1, -1, -4:].tolist() == pytest.approx(last, abs=2e-6)


@torch.inference_mode()
def test_local_attention_is_the_public_one():
    y = fill_block(LocalAttention(8, heads=4, decays=4))(signal(2, 8, 7, gain=2))
    first, last = (
        [-0.394278, 0.540530, -0.074873, 0.263072],
        [0.302676, 0.729002, -0.764052, 0.852309],
    )
    check(y, 6.867025, 0.674453, first, last)


@torch.inference_mode()
def test_local_attention_with_periods_is_the_public_one():
    y = fill_block(LocalAttention(8, heads=4, decays=4, periods=3))(signal(2, 8, 7, gain=2))
    first, last = (
        [-0.411114, 0.955064, 0.260225, 0.501929],
        [1.407243, 1.756751, 0.595062, 1.965295],
    )
    check(y, 9.698829, 0.887350, first, last)


@pytest.mark.parametrize("steps, total, std, first, last", [
    (200, -22.991580, 0.589496, [-.630560, .416717, -.162113, .084623],
     [-.416469, -.692991, -.162225, -.483892]),
    (431, -3.124544, 0.576212, [-.661824, .410962, -.123528, .132657],
     [.217718, -.641991, .081493, -.169333]),
])  # fmt: skip
@torch.inference_mode()
def test_span_lstm_is_the_public_one(steps, total, std, first, last):
    y = fill_block(SpanLSTM(4, layers=2, span=200))(signal(2, 4, steps, gain=2))
    check(y, total, std, first, last)


@pytest.mark.parametrize("steps, wide, total, std, first, last", [
    (30, False, 60.689900, 0.705958, [-.668080, .661547, -.438851, -.339348],
     [-.207276, -.592335, -.268029, -.564384]),
    (230, True, 44.838920, 0.661796, [-.797255, .393869, .349942, -.030047],
     [-.357548, -1.567801, -.819282, -.288286]),
])  # fmt: skip
@torch.inference_mode()
def test_residual_branches_are_the_public_ones(steps, wide, total, std, first, last):
    def public_key(key: str) -> str:
        _, branch, part, *rest = key.split(".")
        step = residual_steps(lstm=wide, attention=wide).index(part)
        return ".".join(["layers", branch, str(step), *rest])

    block = ResidualBranches(16, ResidualShape(lstm=wide, attention=wide))
    check(fill_block(block, public_key)(signal(2, 16, steps, gain=2)), total, std, first, last)


@torch.inference_mode()
def test_a_step_far_from_all_edges_of_its_span_sees_what_the_whole_lstm_sees():
    torch.manual_seed(0)
    whole, spans = SpanLSTM(4, span=None), SpanLSTM(4, span=200)
    spans.load_state_dict(whole.state_dict())
    x = torch.randn(1, 4, 400)
    torch.testing.assert_close(spans(x)[..., 20:80], whole(x)[..., 20:80], atol=1e-4, rtol=0)


def test_a_single_step_attends_to_nothing_but_is_finite():
    assert torch.isfinite(LocalAttention(8)(torch.randn(1, 8, 1))).all()


def test_widths_that_do_not_divide_are_refused():
    with pytest.raises(SettingsError, match="multiple of heads"):
        LocalAttention(6)
    with pytest.raises(SettingsError, match="multiple of 4"):
        SpanLSTM(4, span=10)
