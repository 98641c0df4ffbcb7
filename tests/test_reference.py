"""The NumPy reference by itself: values worked out by hand, and the identities that sine and cosine obey."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from posenc import _reference

from .backends import spectrum


def rows(positions: list[float], dim: int) -> np.ndarray:
    return _reference.rows_float64(spectrum(dim), np.array(positions, np.float64))


def test_by_hand() -> None:
    # D = 4: w_0 = 1, w_1 = 10000^(-1/2) = 1/100. At 100 pi / 2 the second pair has made a quarter turn.
    got = rows([0.0, np.pi / 2, np.pi, 50 * np.pi], 4)
    want = [
        [0, 1, 0, 1],
        [1, 0, 0.015707317311820675, 0.9998766324816606],
        [0, -1, 0.031410759078128292, 0.9995065603657316],
        [0, 1, 1, 0],
    ]
    np.testing.assert_allclose(got, want, rtol=0, atol=2e-14)  # the positions themselves are rounded


@pytest.mark.parametrize("dim", [1, 2, 3, 6, 7])
def test_columns(dim: int) -> None:
    # The usual recipe, where it is good enough: small positions, in double.
    position = np.arange(8)[:, None]
    angle = position * 10000.0 ** (-(np.arange(dim) // 2 * 2) / dim)
    want = np.where(np.arange(dim) % 2, np.cos(angle), np.sin(angle))
    np.testing.assert_allclose(rows(list(range(8)), dim), want, rtol=0, atol=2e-15)


positions = st.floats(-(2.0**53), 2.0**53)


@given(positions)
def test_on_the_unit_circle(position: float) -> None:
    pairs = rows([position], 8).reshape(-1, 2)
    np.testing.assert_allclose((pairs**2).sum(axis=1), 1, rtol=0, atol=1e-15)


@given(positions)
def test_sines_are_odd_and_cosines_even(position: float) -> None:
    there, back = rows([position], 8), rows([-position], 8)
    np.testing.assert_array_equal(there[:, 0::2], -back[:, 0::2])
    np.testing.assert_array_equal(there[:, 1::2], back[:, 1::2])


@given(st.integers(-(2**40), 2**40), st.integers(-(2**40), 2**40))
def test_a_shift_is_a_rotation(position: int, shift: int) -> None:
    # What the paper chose the encoding for: PE(p + s) is a rotation of PE(p) that depends on s alone.
    at, by, there = (rows([float(p)], 8).reshape(-1, 2).T for p in (position, shift, position + shift))
    np.testing.assert_allclose(there[0], at[0] * by[1] + at[1] * by[0], rtol=0, atol=3e-15)
    np.testing.assert_allclose(there[1], at[1] * by[1] - at[0] * by[0], rtol=0, atol=3e-15)


def test_a_row_is_made_of_its_position_alone() -> None:
    together = rows([3.0, -7.5, 2.0**52, 3.0], 5)
    for row, position in zip(together, (3.0, -7.5, 2.0**52, 3.0), strict=True):
        np.testing.assert_array_equal(row, rows([position], 5)[0])
