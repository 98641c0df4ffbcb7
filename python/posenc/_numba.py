"""The Numba backend: `_formula` compiled, one thread, no fastmath. Imported only when it is chosen.

Float32 rows of a run are turned from an anchor row, as in csrc/rows.inl.hpp; a row with an element that a double can't
round for sure is left to the reference.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from . import _formula, _tiles
from ._cache import Cache
from ._encoding import Spectrum
from ._reference import TURNED_BOUND, angle_bounds, weights
from ._reference import rows_float32 as rows_float32_for_sure

REACH = 16  # rows turned from an anchor, on either side

# Numba caches compiled code by the text of this file, which does not change with _formula's: so this number has to,
# the CRC-32 of that file (tests/test_numba.py compares them).
FORMULA = 0x475E93F7

# contract and reassociate are what fastmath would allow; none of it here, so that bits are those of the reference.
compiled = numba.njit(cache=True, nogil=True, error_model="numpy")
reduce_angle = compiled(_formula.reduce_angle)
sine = compiled(_formula.sine)
cosine = compiled(_formula.cosine)


@compiled
def evaluate(frequencies, position, trig):  # type: ignore[no-untyped-def]
    """trig[0, k], trig[1, k] = sin, cos of position * w_k."""
    for k in range(frequencies.shape[1]):
        f, quarters = reduce_angle(position + 0.0, frequencies[0, k], frequencies[1, k])
        s, c = sine(f), cosine(f)
        odd = abs(quarters) == 1.0
        trig[0, k] = (c if odd else s) * (-1.0 if quarters < 0.0 or quarters == 2.0 else 1.0)
        trig[1, k] = (s if odd else c) * (-1.0 if quarters > 0.0 or quarters == -2.0 else 1.0)


@compiled
def arrange(source, weight, trig, value, derivative):  # type: ignore[no-untyped-def]
    """A row in column order, and its derivative by the angle."""
    for j in range(len(source)):
        k = source[j] >> 1
        if source[j] & 1:
            value[j], derivative[j] = weight[j] * trig[1, k], weight[j] * -trig[0, k]
        else:
            value[j], derivative[j] = weight[j] * trig[0, k], weight[j] * trig[1, k]


@compiled
def turn(value, derivative, cos, sin, sign, bound, out):  # type: ignore[no-untyped-def]
    """One float32 row, value cos + sign derivative sin; returns how many elements may be rounded the wrong way."""
    doubts = 0
    for j in range(len(out)):
        y = value[j] * cos[j] + sign * (derivative[j] * sin[j])
        low, high = np.float32(y - bound[j]), np.float32(y + bound[j])
        out[j] = high  # where the bound is 0, y + 0 is no negative zero
        doubts += low != high
    return doubts


@compiled
def rows_float64(frequencies, source, weight, positions, out):  # type: ignore[no-untyped-def]
    trig = np.empty((2, frequencies.shape[1]))
    for i in range(len(positions)):
        evaluate(frequencies, positions[i], trig)
        for j in range(len(source)):
            out[i, j] = weight[j] * trig[source[j] & 1, source[j] >> 1] + 0.0  # no negative zero


@compiled
def rows_float32(frequencies, source, weight, unit_bound, cos_step, sin_step, positions, run, out, doubtful):  # type: ignore[no-untyped-def]
    """Fill `out`; mark in `doubtful` the rows with elements that may be rounded the wrong way."""
    dim = len(source)
    trig = np.empty((2, frequencies.shape[1]))
    value, derivative, bound = np.empty(dim), np.empty(dim), np.empty(dim)
    count = len(positions)
    i = 0
    while i < count:
        half = min(REACH, (count - i) // 2) if run else 0
        centre = i + half
        evaluate(frequencies, positions[centre], trig)
        arrange(source, weight, trig, value, derivative)
        for j in range(dim):
            bound[j] = TURNED_BOUND * abs(weight[j]) + abs(positions[centre]) * unit_bound[j]
        for r in range(half + 1):
            for sign in (1.0, -1.0):
                row = centre + (r if sign > 0.0 else -r)
                if row < count and not (r == 0 and sign < 0.0):
                    doubtful[row] = turn(value, derivative, cos_step[r], sin_step[r], sign, bound, out[row])
        i = centre + half + 1


class Steps:
    """cos and sin of r w, r = 0 .. REACH, and what the columns are multiplied by and lack, in column order."""

    def __init__(self, spectrum: Spectrum) -> None:
        self.weight, self.unit_bound = weights(spectrum), angle_bounds(spectrum)
        self.cos, self.sin = np.empty((2, REACH + 1, spectrum.dim))
        trig = np.empty((2, spectrum.frequencies.shape[1]))
        for r in range(REACH + 1):
            evaluate(spectrum.frequencies, float(r), trig)
            self.sin[r], self.cos[r] = trig[:, spectrum.source >> 1]

    @property
    def nbytes(self) -> int:
        return self.weight.nbytes + self.unit_bound.nbytes + self.cos.nbytes + self.sin.nbytes


_steps: Cache[Spectrum, Steps] = Cache(Steps)


def rows(spectrum: Spectrum, positions: NDArray[np.float64], run: bool, dtype: np.dtype[Any]) -> NDArray[np.floating]:
    """The rows at `positions` in `dtype`; `run` says that each position is one more than the one before."""
    out = np.empty((len(positions), spectrum.dim), dtype)
    steps = _steps[spectrum]
    columns = spectrum.frequencies, spectrum.source, steps.weight
    if dtype == np.float64:
        rows_float64(*columns, positions, out)
        return out
    doubtful = np.zeros(len(positions), np.int64)
    rows_float32(*columns, steps.unit_bound, steps.cos, steps.sin, positions, run, out, doubtful)
    again = np.flatnonzero(doubtful)
    if again.size:
        out[again] = rows_float32_for_sure(spectrum, positions[again])
    return out


def fill(out: NDArray[np.floating], spectrum: Spectrum, positions: NDArray[np.float64], threads: int) -> None:
    """Write the encoding of `positions` (see `_tiles`) to `out`; always on one thread."""
    _tiles.fill(rows, out, spectrum, positions)


def add(
    x: NDArray[np.floating],
    out: NDArray[np.floating],
    spectrum: Spectrum,
    positions: NDArray[np.float64],
    scale: float,
    threads: int,
) -> None:
    """Write x * scale + encoding to `out`, which may be `x`; always on one thread."""
    _tiles.add(rows, x, out, spectrum, positions, scale)
