"""Means over long rows: onnxruntime gives what float64 gives."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import parser

from deviation import deviation_db
from unbraid.engines.onnx.long_means import LONG, make_exact

ROW = 12 * LONG  # 786,432 numbers
MEAN = """
    <ir_version: 10, opset_import: ["" : 20]>
    means (float[1,2,{n}] x) => (float[1,1,1] y) <int64[2] axes = {{1, 2}}> {{
        y = ReduceMean <keepdims = 1> (x, axes)
    }}"""
NORM = """
    <ir_version: 10, opset_import: ["" : 20]>
    norms (float[1,2,{n},8] x, float[2] weight, float[2] bias) => (float[1,2,{n},8] y) {{
        y = InstanceNormalization <epsilon = 0.001> (x, weight, bias)
    }}"""


def loud(*shape: int) -> np.ndarray:
    """Numbers with a mean that a long sum in float32 does not hold on to."""
    return 10 + np.random.default_rng(0).standard_normal(shape, np.float32)


def run(model: onnx.ModelProto, **inputs: np.ndarray) -> np.ndarray:
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, inputs)[0]


def test_a_long_mean_is_exact():
    plain, x = parser.parse_model(MEAN.format(n=ROW // 2)), loud(1, 2, ROW // 2)
    wanted = x.mean(dtype=np.float64)
    before = deviation_db(run(plain, x=x), wanted)
    exact = deviation_db(run(make_exact(plain), x=x), wanted)
    assert exact < min(-140, before - 10)


def test_a_long_normalization_is_exact():
    plain, x = parser.parse_model(NORM.format(n=ROW // 8)), loud(1, 2, ROW // 8, 8)
    weight, bias = np.array([1, 2], np.float32), np.array([0.5, -1], np.float32)
    wide = x.astype(np.float64)
    centred = wide - wide.mean((2, 3), keepdims=True)
    deviation = np.sqrt(np.square(centred).mean((2, 3), keepdims=True) + 0.001)
    wanted = centred / deviation * weight[:, None, None] + bias[:, None, None]
    before = deviation_db(run(plain, x=x, weight=weight, bias=bias), wanted)
    exact = deviation_db(run(make_exact(plain), x=x, weight=weight, bias=bias), wanted)
    assert exact < min(-120, before - 10)


@pytest.mark.parametrize("text", [MEAN.format(n=LONG // 4), NORM.format(n=LONG // 16)])
def test_short_rows_are_left_to_onnxruntime(text):
    model = parser.parse_model(text)
    assert make_exact(parser.parse_model(text)) == model


def test_what_is_written_has_standard_operators_only():
    exact = make_exact(parser.parse_model(NORM.format(n=ROW // 8)))
    assert {node.domain for node in exact.graph.node} == {""}
    assert not exact.functions
    assert [entry.domain for entry in exact.opset_import] == [""]
