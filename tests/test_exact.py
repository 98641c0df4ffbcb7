"""`_exact.exact` against mpmath, above all where a double can't tell which way to round."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from posenc._exact import exact as exact_element

from . import truth
from .arrays import assert_same_bits
from .backends import spectrum

POSITIONS = {
    "ties": truth.near_ties(200),
    "tiny ties": truth.tiny_ties(),
    "quarter turns": [float(p) for p in truth.near_quarter_turns(0, 2)],
    "ends": [2.0**53, -(2.0**53), 5e-324, -1e-300, 1e-45, 7e-46],
}


def exact(positions: list[float], dim: int) -> np.ndarray:
    return np.array([[exact_element(spectrum(dim), p, j) for j in range(dim)] for p in positions], np.float32)


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("kind", POSITIONS)
def test_hard_cases(kind: str, dim: int) -> None:
    assert_same_bits(exact(POSITIONS[kind], dim), truth.encoding(POSITIONS[kind], dim).float32())


def test_the_ties_are_hard() -> None:
    # Else the test above would say little: a double sine rounds to the wrong side for many of them.
    positions = np.array(POSITIONS["ties"])
    true = truth.encoding(positions.tolist(), 1)
    distance = np.abs(true.ulps(true.float32()) - 0.5)
    assert (distance < 1e-8).all()
    assert (np.sin(positions).astype(np.float32) != true.float32()[:, 0]).sum() > 5


@given(st.floats(-(2.0**53), 2.0**53), st.integers(1, 9))
def test_any(position: float, dim: int) -> None:
    assert_same_bits(exact([position], dim), truth.encoding([position], dim).float32())


def test_zero() -> None:
    for zero in (0.0, -0.0):
        got = exact([zero], 4)[0]
        assert got.tolist() == [0, 1, 0, 1]
        assert math.copysign(1, got[0]) == 1
