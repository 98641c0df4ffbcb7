"""Single positions so far out that a double knows their angle to a part of a quarter turn, where results are small.

The worst of them are numerators of convergents: whole positions at which a sine or a cosine comes closest to zero.
"""

from __future__ import annotations

import functools

import numpy as np
import posenc
import pytest
from posenc import Encoding

from . import truth
from .arrays import assert_same_bits

FAR = 2.0**40


def test_positions_from_the_field(backend: str) -> None:
    for position, column in ((44042936442063, 0), (47439236297749.2, 1)):
        got = posenc.encode([position], 2, backend=backend)
        want = truth.encoding([position], 2).float32()
        assert_same_bits(got, want, str(position))
        assert abs(got[0, column]) < 1e-6
    assert posenc.encode([44042936442063], 2, backend=backend)[0, 0] == np.float32(8.672269e-11)
    assert posenc.encode([47439236297749.2], 2, backend=backend)[0, 1] == np.float32(9.0554414e-07)


@functools.cache
def hard(dim: int, multiples: int) -> list[float]:
    """Convergents of every frequency, their multiples and the halves and quarters between: all beyond 2^40."""
    whole = {
        p * m for k in range((dim + 1) // 2) for p in truth.near_quarter_turns(k, dim) for m in range(1, multiples)
    }
    positions = {float(p) for p in whole if FAR <= p <= 2**53}
    # Where doubles have digits behind the point, the position nearest to a zero is no whole number.
    positions |= {p + step for p in positions if p < 2.0**50 for step in (-0.25, 0.125, 0.5)}
    return sorted(positions) + [-p for p in sorted(positions)[::5]]


@pytest.mark.parametrize(("dim", "multiples"), [(2, 12), (3, 6), (8, 3), (16, 2)])
def test_convergents(dim: int, multiples: int, backend: str) -> None:
    positions = hard(dim, multiples)
    assert len(positions) > 20
    got = posenc.encode(np.array(positions), dim, backend=backend)
    assert_same_bits(got, truth.encoding(positions, dim).float32())


@pytest.mark.parametrize("layout", ["interleaved", "concatenated"])
@pytest.mark.parametrize("cos_first", [False, True])
def test_convergents_in_other_orders(layout: str, cos_first: bool, backend: str) -> None:
    positions = hard(8, 3)
    encoding = Encoding(layout=layout, cos_first=cos_first)
    got = posenc.encode(np.array(positions), 8, encoding=encoding, backend=backend)
    want = truth.encoding(positions, 8).float32().reshape(-1, 4, 2)[..., :: -1 if cos_first else 1]
    want = want.swapaxes(1, 2) if layout == "concatenated" else want
    assert_same_bits(got, np.ascontiguousarray(want).reshape(-1, 8))


@pytest.mark.parametrize("dtype", [np.float16])
def test_convergents_in_16_bits(dtype: type, backend: str) -> None:
    positions = hard(8, 3)
    got = posenc.encode(np.array(positions), 8, dtype=dtype, backend=backend)
    assert_same_bits(
        got, truth.encoding(positions, 8).rounded(11, 2.0**-24).astype(dtype) + dtype(0)
    )  # zero has no sign


def fractional_zeros(dim: int, count: int) -> list[float]:
    """Doubles next to multiples of a quarter turn of w_0, at random: results as small as the position allows."""
    rng = np.random.default_rng(44)
    with truth.mp.workprec(truth.BITS):
        turns = [int(2.0 ** rng.uniform(41, 52.3)) for _ in range(count)]
        return [float(n * truth.mp.pi / 2) for n in turns]


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_fractional_positions_next_to_zeros(dim: int, backend: str) -> None:
    positions = fractional_zeros(dim, 400)
    got = posenc.encode(np.array(positions), dim, backend=backend)
    assert_same_bits(got, truth.encoding(positions, dim).float32())


def test_a_start_that_is_rounded_in_every_row(backend: str | None) -> None:
    # start + i, rounded once, in whatever pieces rows are made: beyond 2^52 every second half is rounded up.
    start, rows, dim = 2.0**52 - 100.5, 300, 768
    want = posenc.encode(start + np.arange(rows), dim, backend="numpy")
    for other in (np.empty((rows, 2 * dim), np.float32)[:, ::2], np.empty((dim, rows), np.float32).T):
        assert_same_bits(posenc.fill_(other, start=start, backend=backend), want)
    ids = np.zeros((3, rows), np.int8)
    got = posenc.embed(ids, np.zeros((1, dim), np.float32), start=start, backend=backend)
    assert_same_bits(got, np.broadcast_to(want, (3, rows, dim)) + np.float32(0))
