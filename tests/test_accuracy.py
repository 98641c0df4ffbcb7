"""Every backend against mpmath: float32 correctly rounded, float64 within 1e-15. No comparison with our own code."""

from __future__ import annotations

import itertools
import math

import numpy as np
import posenc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from . import truth
from .arrays import assert_same_bits

WHOLE = [0, 1, 5000, 10**5, 10**6, 10**7, 2**24 + 1, 2**31, 2**53]
CENTRES = [0, 10**5, 10**6, 10**7, 2**24 + 1, 2**31, 2**45 + 1]

# Numerators of convergents of pi and of pi/2: the whole positions where sin(p) or cos(p) is smallest.
KNOWN_NUMERATORS = [
    *(22, 333, 355, 710, 103993, 104348, 208341, 312689, 833719, 1146408, 4272943, 5419351, 80143857, 165707065),
    *(245850922, 411557987, 1068966896, 2549491779, 6167950454, 14885392687, 21053343141, 1783366216531),
]

POSITIONS = {
    "whole": [sign * p for p in WHOLE for sign in (1, -1)],
    "fractional": [0.5, -0.25, math.pi, -math.e, 4999.999, 1e5 / 3, -1e7 / 7, 2**31 - 0.125, 2**52 / 7, -(2**53) / 11],
    "tiny": [s * p for p in (1e-300, 5e-324, 2.5e-310, 1e-150, 1e-45, 7e-46, 1e-40, 1e-30, 1e-8) for s in (1, -1)],
    "quarter turns": [f * n * math.pi / 2 for n in (1, 2, 3, 4, 1001, 10**6 + 3, 2**31 + 1) for f in (1.0, 1 + 3e-16)],
    "float32 ties": truth.near_ties(),
    "tiny float32 ties": truth.tiny_ties(),
    "known numerators": [sign * p for p in KNOWN_NUMERATORS for sign in (1, -1)],
}


def check(got32: np.ndarray, got64: np.ndarray, positions: list[float], dim: int) -> None:
    true = truth.encoding(positions, dim)
    worst = true.ulps(got32).max()
    assert worst <= 0.51, f"float32: {worst} ulp"
    np.testing.assert_array_equal(got32, true.float32())
    near = np.abs(np.array(positions, np.float64)) <= 2.0**31
    if near.any():
        worst = true.distance(got64)[near].max()
        assert worst <= 1e-15, f"float64: {worst}"


def check_positions(positions: list[float], dim: int, backend: str) -> None:
    where = np.array(positions, np.float64)
    got = [posenc.encode(where, dim, dtype=dtype, backend=backend) for dtype in (np.float32, np.float64)]
    check(*got, positions, dim)


def check_run(start: int, length: int, rows: list[int], dim: int, backend: str) -> None:
    got = [posenc.encode(length, dim, start=start, dtype=d, backend=backend)[rows] for d in (np.float32, np.float64)]
    check(*got, [start + row for row in rows], dim)


@pytest.mark.parametrize("dim", [1, 2, 5, 16])
@pytest.mark.parametrize("kind", POSITIONS)
def test_list_of_positions(kind: str, dim: int, backend: str) -> None:
    check_positions(POSITIONS[kind], dim, backend)


def test_every_row_to_5000(backend: str) -> None:
    check_run(0, 5001, list(range(5001)), 6, backend)


@pytest.mark.parametrize("dim", [64, 512])
def test_every_column(dim: int, backend: str) -> None:
    check_run(0, 5001, [0, 1, 2, 15, 16, 17, 511, 1234, 2500, 4095, 4096, 4999, 5000], dim, backend)


# Whole positions in a row are turned from a common anchor, which is another way to the same values.
@pytest.mark.parametrize("start", [*(c - 36 for c in CENTRES), -(2**31) - 5, -(2**53), 2**53 - 71])
def test_run(start: int, backend: str) -> None:
    check_run(start, 72, list(range(72)), 12, backend)


@pytest.mark.parametrize("k", range(4))
def test_whole_positions_near_quarter_turns(k: int, backend: str) -> None:
    positions = [p + step for p in truth.near_quarter_turns(k, 8) for step in (-1, 0, 1) if abs(p + step) <= 2**53]
    check_positions(positions, 8, backend)


@pytest.mark.parametrize("dim", [2, 6, 64])
def test_small_values_at_single_positions(dim: int, backend: str) -> None:
    # Lists are evaluated quickly, and from 2^44 quarter turns on in another way, whose error is absolute.
    places = [(44042936442063.0, 0)]
    for k in range(0, dim // 2, max(1, dim // 16)):
        near = [p for p in truth.near_quarter_turns(k, dim) if p > 2**30]
        places += [(float(m * p), k) for p in near for m in range(1, 14) if m * p <= 2**53]
        places += [(float(p + q), k) for p, q in itertools.pairwise(near) if p + q <= 2**53]
    positions = [p for p, _ in places]
    got = posenc.encode(positions, dim, backend=backend)
    for row, (p, k) in zip(got, places, strict=True):
        true = [truth.nearest(truth.element(p, 2 * k + j, dim), 24, -149) for j in (0, 1)]
        assert row[2 * k : 2 * k + 2].tolist() == true, (p, k)


def test_the_convergents_are_those_of_pi() -> None:
    # pi/2 = [1; 1, 1, 3, 31, 1, 145, ...]; 11/7 = (22/7)/2, 355/226 = (355/113)/2.
    assert {1, 2, 3, 11, 344, 355, 51819, 52174} <= set(truth.near_quarter_turns(0, 2))
    assert abs(math.sin(max(truth.near_quarter_turns(0, 2)))) not in (0.0, 1.0)


@pytest.mark.parametrize("row", [0, 1, 20, 39, 40])
def test_runs_across_quarter_turns(row: int, backend: str) -> None:
    for p in [p for p in truth.near_quarter_turns(0, 4) if row <= p <= 2**53 - 40]:
        check_run(p - row, 41, [row], 4, backend)


def test_zero_is_exact(backend: str) -> None:
    for dtype in (np.float32, np.float64):
        want = np.tile(np.array([0.0, 1.0], dtype), 33)[:65]
        for start in (0, -0.0, -1, -16, -17, -40):
            row = posenc.encode(60, 65, start=start, dtype=dtype, backend=backend)[-int(start)]
            assert_same_bits(row, want, f"start {start}")
        for zeros in ([0, 0], [0.0, -0.0]):
            assert_same_bits(posenc.encode(zeros, 65, dtype=dtype, backend=backend)[1], want)


@given(
    positions=st.lists(st.floats(-(2.0**53), 2.0**53) | st.integers(-(2**53), 2**53), min_size=1, max_size=4),
    dim=st.integers(1, 9),
)
def test_any_positions(positions: list[float], dim: int, backend: str) -> None:
    check_positions([float(p) for p in positions], dim, backend)


@given(start=st.integers(-(2**53), 2**53 - 69), dim=st.integers(1, 4))
def test_any_run(start: int, dim: int, backend: str) -> None:
    check_run(start, 70, [0, 16, 17, 34, 52, 69], dim, backend)


@pytest.mark.slow
def test_every_row_and_column_to_5000(backend: str) -> None:
    check_run(0, 5001, list(range(5001)), 128, backend)


@pytest.mark.slow
def test_many_ties(backend: str) -> None:
    check_positions(truth.near_ties(3000, seed=1), 2, backend)
    check_positions(truth.tiny_ties(60, seed=1), 8, backend)


@pytest.mark.slow
@pytest.mark.parametrize("magnitude", [1.0, 1e3, 1e6, 2.0**31, 2.0**53])
def test_many_random_positions(magnitude: float, backend: str) -> None:
    where = np.random.default_rng(7).uniform(-magnitude, magnitude, 20_000)
    check_positions(where.tolist(), 2, backend)
