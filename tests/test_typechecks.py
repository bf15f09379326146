"""Annotations are checked while tests run: types, shapes, and sizes with the same letter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from jaxtyping import Float, TypeCheckError
from numpy import ndarray

from typechecks import checked
from unbraid.separation.settings import SeparationSettings

Rows = Float[ndarray, "r c"]


@checked
def scaled(rows: Rows, weights: Float[ndarray, " r"], by: float = 1.0) -> Rows:
    """Rows, the second of which is lost where `by` is 0."""
    return (rows * weights[:, None] * by)[: 1 if by == 0 else None]


@checked
def rows_of(*many: Rows, known_later: OnlyForTypeCheckers = None) -> Iterator[int]:  # noqa: F821
    yield from map(len, many)


@checked
@dataclass(frozen=True)
class Pair:
    left: Rows
    right: Rows
    gain: float = 0.0


def _rows(count):
    return np.zeros((count, 3))


def test_right_calls_go_through_and_an_int_is_a_float():
    assert scaled(_rows(2), np.zeros(2), by=2).shape == (2, 3)
    assert Pair(_rows(2), _rows(2), 1).gain == 1
    assert list(rows_of(_rows(2), _rows(2), known_later="anything")) == [2, 2]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: scaled([[0.0]], np.zeros(1)),
        lambda: scaled(_rows(2).astype(int), np.zeros(2)),
        lambda: scaled(np.zeros(2), np.zeros(2)),
        lambda: scaled(_rows(2), np.zeros(3)),
        lambda: scaled(_rows(2), np.zeros(2), by="1"),
        lambda: scaled(_rows(2), np.zeros(2), by=0),
        lambda: Pair(_rows(2), _rows(3)),
        lambda: Pair(_rows(2), _rows(2), gain=None),
        lambda: rows_of(_rows(2), _rows(3)),
        lambda: SeparationSettings(overlap="0.5"),
    ],
)
def test_wrong_ones_are_refused(wrong):
    with pytest.raises(TypeCheckError):
        wrong()


def test_every_call_has_sizes_of_its_own():
    for count in (2, 3):
        assert len(scaled(_rows(count), np.zeros(count))) == count


def test_nothing_is_checked_where_our_own_errors_are_looked_at(unchecked):
    assert scaled(_rows(2), np.zeros(2), by=np.float64(0)).shape == (1, 3)
