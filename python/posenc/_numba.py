"""The Numba backend: `_formula` compiled, one thread, no fastmath. Imported only when it is chosen.

Float32 rows of a run are turned from an anchor row; a row with an element that a double can't
round for sure is left to the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from . import _formula, _tiles, _turns
from ._cache import Cache
from ._encoding import Spectrum
from ._formula import GRID
from ._half import to_odd
from ._reference import angle_bounds, nearest, weights
from ._reference import rows_float32 as rows_float32_for_sure
from ._reference import small_calls as small_calls
from ._turns import Run

REACH = 48  # rows turned from an anchor, on either side, if they are not too wide
DIRECT_ELEMENTS = 2**20  # at a time: a call costs little beside them, and is over soon enough for Ctrl-C

# Numba caches compiled code by the text of this file, which does not change with _formula's: so this number has to,
# the CRC-32 of that file (tests/test_numba.py compares them).
FORMULA = 0xCB71FAE2


def compiled(function: Callable[..., Any]) -> Any:
    """`function` compiled at its first call, kept on disk where Numba may write.

    contract and reassociate are what fastmath would allow; none of it here, so that bits are those of the reference.
    """
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # neither the package's folder nor the user's can be written, as in a container
        return numba.njit(nogil=True, error_model="numpy")(function)


reduce_angle = compiled(_formula.reduce_angle)
sine = compiled(_formula.sine)
cosine = compiled(_formula.cosine)
turn_from_anchor = compiled(_formula.turn_from_anchor)
turned = compiled(_formula.turned)


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
def arrange(trig, source, weight, row):  # type: ignore[no-untyped-def]
    values = trig.reshape(trig.size)
    for j in range(len(row)):
        row[j] = weight[j] * values[source[j]] + 0.0  # no negative zero


@compiled
def rounded(y, odd):  # type: ignore[no-untyped-def]
    """`y` in float32, no negative zero: the nearest, or as `_half.to_odd`."""
    nearest = np.float32(np.float32(y) + np.float32(0.0))
    if not odd:
        return nearest
    bits = nearest.view(np.int32) - np.int32(abs(nearest) > abs(y))
    return np.int32(bits | np.int32(nearest != y)).view(np.float32)


@compiled
def turn(value, derivative, cos, sin, bound, odd, before, after):  # type: ignore[no-untyped-def]
    """The float32 rows on either side, value cos -+ derivative sin; tells whether one may be rounded the wrong way."""
    doubt = False
    for j in range(len(before)):
        a, b = value[j] * cos[j], derivative[j] * sin[j]
        before_low, before_high = rounded((a - b) - bound[j], odd), rounded((a - b) + bound[j], odd)
        after_low, after_high = rounded((a + b) - bound[j], odd), rounded((a + b) + bound[j], odd)
        before[j], after[j] = before_high, after_high
        doubt |= (before_low != before_high) | (after_low != after_high)
    return doubt


@compiled
def settle(value, angle_bound, position, odd, out):  # type: ignore[no-untyped-def]
    """An evaluated row in float32; tells whether it may be rounded the wrong way."""
    doubt = False
    for j in range(len(out)):
        bound = abs(value[j]) * _formula.BOUND + abs(position) * angle_bound[j]
        low, high = rounded(value[j] - bound, odd), rounded(value[j] + bound, odd)
        out[j] = high
        doubt |= low != high
    return doubt


@compiled
def add_row(row, factor, out):  # type: ignore[no-untyped-def]
    for j in range(len(out)):
        out[j] = out[j] * factor + row[j]


@compiled
def turn_double(value, derivative, sin, cos, weight, row):  # type: ignore[no-untyped-def]
    for j in range(len(row)):
        row[j] = weight[j] * turned(value[j], derivative[j], sin[j], cos[j]) + 0.0  # no negative zero


@compiled
def rows_float64(frequencies, source, weight, positions, factor, out):  # type: ignore[no-untyped-def]
    count, dim = frequencies.shape[1], len(source)
    is_cosine, k = source >= count, source % np.uintp(count)
    mirrored = np.where(is_cosine, weight, -weight)  # for positions below 0
    trig, row = np.empty((2, count)), np.empty(dim)
    value, derivative, anchor = np.empty(dim), np.empty(dim), -1.0
    kept = GRID if len(positions) >= GRID else 1
    sin, cos, turn = np.empty((kept, dim)), np.empty((kept, dim)), np.full(kept, -1.0)
    for i in range(len(positions)):
        by = turn_from_anchor(positions[i])
        at, place = abs(positions[i]) - by, int(by) % kept
        if at != anchor:
            anchor = at
            evaluate(frequencies, at, trig)
            for j in range(dim):
                value[j] = trig[1, k[j]] if is_cosine[j] else trig[0, k[j]]
                derivative[j] = -trig[0, k[j]] if is_cosine[j] else trig[1, k[j]]
        if turn[place] != by:
            turn[place] = by
            evaluate(frequencies, by, trig)
            for j in range(dim):
                sin[place, j], cos[place, j] = trig[0, k[j]], trig[1, k[j]]
        signed = mirrored if positions[i] < 0.0 else weight
        if factor is None:
            turn_double(value, derivative, sin[place], cos[place], signed, out[i])
        else:
            turn_double(value, derivative, sin[place], cos[place], signed, row)
            add_row(row, factor, out[i])


@compiled
def rows_float32(  # type: ignore[no-untyped-def]
    frequencies, source, weight, partner, slope, angle_bound, cos, sin, positions, starts, odd, factor, out, doubtful
):
    """Rows for `out`, as `_tiles.Rows`; marks in `doubtful` those with elements that may be rounded the wrong way.

    Without a factor doubtful rows are written as well, with one they are left alone.
    """
    dim, reach = len(source), len(cos) - 1
    trig = np.empty((2, frequencies.shape[1]))
    value, derivative, bound, other = np.empty(dim), np.empty(dim), np.empty(dim), np.empty(dim)
    if factor is not None:
        block = np.empty((2 * reach + 1, dim), np.float32)
    for run in range(len(starts)):
        first = starts[run]
        end = starts[run + 1] if run + 1 < len(starts) else len(positions)
        while first < end:
            half = min(reach, (end - first - 1) // 2)
            centre, last = first + half, first + 2 * half + 1
            if factor is None:
                block = out[first:last]
            evaluate(frequencies, positions[centre], trig)
            arrange(trig, source, weight, value)
            doubtful[centre] = settle(value, angle_bound, positions[centre], odd, block[half])
            if half:
                arrange(trig, partner, slope, derivative)
                bound[:] = _formula.TURNED_BOUND * np.abs(weight) + (abs(positions[centre]) + half) * angle_bound
            for r in range(1, half + 1):
                if turn(value, derivative, cos[r], sin[r], bound, odd, block[half - r], block[half + r]):
                    for i in (centre - r, centre + r):
                        evaluate(frequencies, positions[i], trig)
                        arrange(trig, source, weight, other)
                        doubtful[i] = settle(other, angle_bound, positions[i], odd, block[i - first])
            if factor is not None:
                for i in range(first, last):
                    if not doubtful[i]:
                        add_row(block[i - first], factor, out[i])
            first = last


class Columns:
    """What makes rows out of sines and cosines: for each column where its own is, and that of its derivative."""

    def __init__(self, spectrum: Spectrum) -> None:
        count = spectrum.frequencies.shape[1]
        k, cosine = np.divmod(np.maximum(spectrum.source, 0).astype(np.uintp), 2)  # unsigned: no index from the end
        self.source, self.partner = k + cosine * count, k + (1 - cosine) * count
        self.weight = weights(spectrum)
        self.slope = np.where(cosine, -self.weight, self.weight)  # sin' = cos, cos' = -sin
        self.angle_bound = angle_bounds(spectrum)
        reach = min(REACH, DIRECT_ELEMENTS // 2 // spectrum.dim)
        self.cos, self.sin = np.empty((2, reach + 1, spectrum.dim))  # of r w
        trig = np.empty((2, count))
        for r in range(reach + 1):
            evaluate(spectrum.frequencies, float(r), trig)
            self.sin[r], self.cos[r] = trig[:, k]

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in vars(self).values())


_columns: Cache[Spectrum, Columns] = Cache(Columns)


def rows(
    spectrum: Spectrum,
    positions: NDArray[np.float64],
    starts: NDArray[np.intp],
    out: NDArray[np.floating],
    odd: bool = False,
    factor: np.floating | None = None,
) -> None:
    """Write the rows at `positions` to `out`, or out * factor + rows; see `_tiles.Rows`."""
    c = _columns[spectrum]
    if out.dtype == np.float64:
        rows_float64(spectrum.frequencies, c.source, c.weight, positions, factor, out)
        return
    doubtful = np.zeros(len(positions), np.bool_)
    rows_float32(
        *(spectrum.frequencies, c.source, c.weight, c.partner, c.slope, c.angle_bound, c.cos, c.sin),
        *(positions, starts, odd, factor, out, doubtful),
    )
    if doubtful.any():
        values = rows_float32_for_sure(spectrum, positions[doubtful], to_odd if odd else nearest)
        out[doubtful] = values if factor is None else out[doubtful] * factor + values


fill = partial(_tiles.fill, rows, direct_elements=DIRECT_ELEMENTS)
add = partial(_tiles.add, rows, direct_elements=DIRECT_ELEMENTS)
embed = partial(_tiles.embed, add)
merge = _tiles.merge


@compiled
def turn_rows(x, out, rows, cos, sin, count, step, inverse):  # type: ignore[no-untyped-def]
    """Turn one run of pairs of x (L, dim) by rows (L, dim)."""
    for i in range(len(rows)):
        if np.isnan(rows[i, 0]):
            continue
        for j in range(count):
            a, b = cos + j * step, sin + j * step
            u, v, c, s = x[i, a], x[i, b], rows[i, a], rows[i, b]
            if inverse:
                out[i, a], out[i, b] = u * c + v * s, v * c - u * s
            else:
                out[i, a], out[i, b] = u * c - v * s, v * c + u * s


def rotate(
    x: NDArray[Any], out: NDArray[Any], rows: NDArray[Any], pairs: Sequence[Run], inverse: bool, threads: int
) -> None:
    """Write `x`, turned by `rows`, to `out`, which may be `x` (see `_turns`); always on one thread."""
    if x.itemsize == 2:
        _turns.turn(x, out, rows, pairs, inverse, _turns.TILE_ELEMENTS)
        return
    for index in np.ndindex(*x.shape[:-2]):
        here = rows[index[: rows.ndim - 2]]
        for run in pairs:
            turn_rows(x[index], out[index], here, run.cos, run.sin, run.number, run.step, inverse)
