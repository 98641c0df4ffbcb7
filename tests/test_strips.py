"""Runs of positions where a strip's doubles err most, or their error counts most; on every backend, either way up.

What docs/accuracy.md, section 6, derives: steps that are lost to rounding row after row, angles so large that their own
error is felt, small angles below 0, quarter turns and their neighbours, zeros of a sine, 16-bit subnormal numbers.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import posenc
import pytest
from mpmath import mp, mpf
from posenc import Encoding

from . import truth
from .arrays import assert_same_bits, bfloat16

FORMATS = {np.float32: (24, 2.0**-149), np.float16: (11, 2.0**-24), bfloat16: (8, 2.0**-133)}
SMALL = Encoding(frequencies=[1e-3, 3e-4, 1e-5, 1e-7], amplitude=-3.1)
NEAR_QUARTERS = [0.25, 0.25 + 2**-40, 0.25 + 2**-30 + 2**-51, 0.5 - 2**-45, 0.75, 0.125]
LARGE = Encoding(position_scale=1647099.3291654119)
CASES = {  # encoding, columns, first position, rows
    "small angles below 0": (SMALL, 8, -448, 450),
    "small angles across 0": (SMALL, 8, -31, 64),
    "underflow below 0": (Encoding(frequencies=[1e-60, 1e-45, 1e-30, 1e-9]), 8, -300, 340),
    "quarter turns": (Encoding(frequencies=NEAR_QUARTERS, full_turns=True), 12, 0, 200),
    "alternating": (Encoding(frequencies=[2.0, 3.1, math.pi / 2, math.pi, 3.0]), 10, 12345, 200),
    "float16 subnormal": (Encoding(amplitude=2.0**-15), 8, 777, 320),
    "float32 subnormal": (Encoding(amplitude=1e-38), 8, -777, 320),
    "tie of 32 bits": (Encoding(frequencies=[0.25, 0.5, 1 / 12], full_turns=True, amplitude=1 + 2**-24), 6, 0, 96),
    "tiny amplitude": (Encoding(amplitude=2.0**-100), 8, 1, 96),
    "tiny frequencies": (Encoding(frequencies=[1e-38, 1e-60, 1e-100, 1e-150]), 8, 1, 300),
    "ties of 16 bits": (Encoding(frequencies=[0.25, 1 / 12], full_turns=True, amplitude=1 + 2**-9 + 2**-11), 4, 0, 96),
}


@functools.cache
def right(encoding: Encoding, dim: int, start: int, rows: int) -> truth.Truth:
    """The true values of a run, of an encoding whose columns are sines and cosines in turn."""
    high, low = np.empty((2, rows, dim))
    with mp.workprec(400):
        amplitude = mpf(encoding.amplitude)
        scale = mpf(encoding.position_scale)
        for k in range(dim // 2):
            w = scale * (mpf(encoding.frequencies[k]) if encoding.frequencies else truth.frequency(k, dim, 400))
            for row in range(rows):
                angle = 2 * (start + row) * w if encoding.full_turns else (start + row) * w
                values = (mp.sinpi(angle), mp.cospi(angle)) if encoding.full_turns else (mp.sin(angle), mp.cos(angle))
                for column, value in zip((2 * k, 2 * k + 1), values, strict=True):
                    high[row, column] = value * amplitude
                    low[row, column] = value * amplitude - mpf(high[row, column])
    return truth.Truth(high, low)


def check(encoding: Encoding, dim: int, start: int, rows: int, dtype: type, backend: str | None) -> None:
    want = right(encoding, dim, start, rows).rounded(*FORMATS[dtype]).astype(dtype) + dtype(0)  # no negative zeros
    # One after the other, so that narrow ones share strips; apart; and down columns.
    for out in (
        np.empty((rows, dim), dtype),
        np.empty((rows, dim + 2), dtype)[:, :dim],
        np.empty((dim, rows), dtype).T,
    ):
        posenc.fill_(out, start=start, encoding=encoding, backend=backend)
        assert_same_bits(out, want, f"strides {out.strides}")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", FORMATS, ids=["float32", "float16", "bfloat16"])
def test_strips(case: str, dtype: type, backend: str | None) -> None:
    if dtype is None:
        pytest.skip("ml_dtypes is not installed")
    check(*CASES[case], dtype, backend)


def near_ties(encoding: Encoding, bound: float) -> list[int]:
    """Rows of a run of LARGE whose first column is closer to a tie of float32 than `bound`."""
    values = posenc.encode(2**14, 2, start=2**52, encoding=encoding, dtype=np.float64, backend="numpy")[:, 0]
    unit = np.ldexp(1.0, np.frexp(values)[1] - 24)
    return np.flatnonzero(np.abs(values / unit % 1.0 - 0.5) * unit < bound).tolist()


def test_large_angles(backend: str | None) -> None:
    # Where the double next to a tie errs by the angle's error, up to 2^-31.
    rows = near_ties(LARGE, 2.0**-34)
    assert len(rows) > 10
    for row in rows:
        want = right(LARGE, 2, 2**52 + row, 1).float32()[0, 0]
        for first in (0, max(0, row - 40)):
            assert (
                posenc.encode(row - first + 40, 2, start=2**52 + first, encoding=LARGE, backend=backend)[row - first, 0]
                == want
            ), (row, first)


def test_steady_rounding(backend: str | None) -> None:
    # In each of a tile's rows a step of just below half a unit is lost; the last one is next to a tie.
    encoding = Encoding(frequencies=[3.5e-16], amplitude=1.05)
    with mp.workprec(200):
        for m in range(2**23 + 2**14, 2**23 + 2**17, 2**12):
            tie = (mpf(m) + 0.5) / 2**23
            position = int(mp.acos(tie / mpf(1.05)) / mpf(3.5e-16))
            for after in (1, 3, 8):
                check_row(encoding, position + after, 63, backend)


def check_row(encoding: Encoding, position: int, row: int, backend: str | None) -> None:
    want = right(encoding, 2, position, 1).float32()[0]
    got = posenc.encode(row + 1, 2, start=position - row, encoding=encoding, backend=backend)[row]
    assert_same_bits(got, want, f"position {position}")


@pytest.mark.parametrize("dtype", FORMATS, ids=["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("row", [1, 17, 63, 64, 200, 319])
def test_zeros(row: int, dtype: type, backend: str | None) -> None:
    if dtype is None:
        pytest.skip("ml_dtypes is not installed")
    for k in range(4):
        for position in truth.near_quarter_turns(k, 8):
            if row <= position <= 2**53 - 40:
                values = truth.encoding([position], 8).rounded(*FORMATS[dtype])
                for out in (np.empty((row + 40, 8), dtype), np.empty((8, row + 40), dtype).T):
                    posenc.fill_(out, start=position - row, backend=backend)
                    assert_same_bits(out[row], (values[0] + 0.0).astype(dtype) + dtype(0), f"position {position}")


def test_narrow_rows_added_to_one_row(backend: str | None) -> None:
    x = np.broadcast_to(np.arange(8, dtype=np.float32), (400, 8))
    want = posenc.add(x.copy(), backend=backend)
    assert_same_bits(posenc.add(x, out=np.empty((400, 8), np.float32), backend=backend), want)


NARROW = {
    "pairs": Encoding(),
    "halves": Encoding(layout="concatenated", cos_first=True, odd="truncate", amplitude=-1.5),
    "any order": Encoding(layout="concatenated", odd="extra", base=3.0, position_offset=0.25),
    "alternating": Encoding(frequencies=[math.pi, 3.0, 2.0, 0.1], tile=2),
}


@pytest.mark.parametrize(
    ("encoding", "dim"),
    [(name, dim) for name in NARROW for dim in ([16] if name == "alternating" else [*range(1, 18), 20, 24, 31, 33])],
)
def test_narrow_rows(encoding: str, dim: int, backend: str | None) -> None:
    """Rows that share strips have the bits of rows alone, wherever they begin and however many there are."""
    options = {"encoding": NARROW[encoding], "backend": backend}
    for start, rows in [(0, 1100), (-700, 1001), (2.0**40 - 5, 340), (0.5, 513), (2.0**53 - 700, 700)]:
        positions = np.arange(rows) + start
        order = np.random.default_rng(rows).permutation(rows)
        for dtype in (np.float32, np.float16):
            alone = np.empty((rows, dim), dtype)
            alone[order] = posenc.encode(positions[order], dim, dtype=dtype, **options)
            memory = np.full(rows * dim + 40, 7, dtype)
            for offset in (16, 19):  # elements, so that rows begin with lines, or anywhere
                x = memory[offset : offset + rows * dim].reshape(rows, dim)
                assert_same_bits(posenc.fill_(x, start=start, **options), alone, f"{start}, {offset}")
                assert (memory[:offset] == 7).all()
                assert (memory[offset + x.size :] == 7).all()
                x[...] = np.linspace(-3.0, 3.0, x.size).reshape(x.shape)
                sums = posenc.add(x[order], positions=positions[order], **options)
                assert_same_bits(posenc.add_(x, start=start, **options)[order], sums)
                memory[...] = 7
