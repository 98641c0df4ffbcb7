"""The mathematics of one element: the reduction against exact fractions, the polynomials against mpmath."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from mpmath import mp, mpf
from posenc import _formula

from .backends import spectrum

FREQUENCIES = spectrum(8).frequencies


@given(st.floats(-(2.0**53), 2.0**53), st.integers(0, 3))
@example(2.0**53, 0)
@example(-(2.0**53), 0)
@example(2.0**53 - 1, 3)
@example(0.0, 0)
def test_reduce_angle(position: float, k: int) -> None:
    high, low = FREQUENCIES[:2, k].tolist()
    f, quarters = _formula.reduce_angle(position, high, low)
    assert quarters in (-2, -1, 0, 1, 2)
    assert abs(f) <= 0.5
    angle = Fraction(position) * (Fraction(high) + Fraction(low))
    turns = (angle - Fraction(f) - Fraction(quarters)) / 4
    # f is the nearest double, or next to it; near 2^53 the angle's low part is itself rounded to 2^-53.
    assert abs(turns - round(turns)) * 4 <= Fraction(2) ** -54 + abs(Fraction(position)) * Fraction(2) ** -105


@given(st.floats(-0.5, 0.5))
@example(0.5)
@example(-0.5)
def test_polynomials(f: float) -> None:
    with mp.workprec(200):
        angle = mp.pi / 2 * mpf(f)
        assert abs(_formula.sine(f) - mp.sin(angle)) <= 2e-16
        assert abs(_formula.cosine(f) - mp.cos(angle)) <= 2e-16


@given(st.floats(-0.5, 0.5).filter(lambda f: abs(f) > 1e-290))
def test_small_sines_are_relatively_exact(f: float) -> None:
    # What lets float32 be rounded correctly near the zeros of sine and cosine.
    with mp.workprec(200):
        true = mp.sin(mp.pi / 2 * mpf(f))
        assert abs(_formula.sine(f) - true) <= abs(true) * mpf(2) ** -51


def test_exact_points() -> None:
    assert (_formula.sine(0.0), _formula.cosine(0.0)) == (0.0, 1.0)
    assert _formula.reduce_angle(0.0, 0.6, 1e-17) == (0.0, 0.0)


def test_scalars_and_arrays_agree() -> None:
    # _reference gives arrays, _numba scalars: the same operations, so the same bits.
    generator = np.random.default_rng(3)
    where = np.concatenate([generator.uniform(-(2.0**53), 2.0**53, 50), generator.uniform(-9, 9, 50)])
    high, low = FREQUENCIES[:2, 1].tolist()
    f, quarters = _formula.reduce_angle(where, high, low)
    for i, position in enumerate(where.tolist()):
        assert _formula.reduce_angle(position, high, low) == (f[i], quarters[i])
        assert _formula.sine(float(f[i])) == _formula.sine(f)[i]
        assert _formula.cosine(float(f[i])) == _formula.cosine(f)[i]
