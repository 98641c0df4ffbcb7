"""The specification in NumPy: short, obvious, and the last fallback.

Exactly rounded like the other backends. `rows_float32` and `rows_float64` say what an encoding is; `turned_float32` is
the one concession to speed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import _tiles, _turns
from ._cache import Cache
from ._encoding import Spectrum
from ._exact import exact
from ._formula import (
    ANGLE_BOUND,
    BOUND,
    GRID,
    TURNED_BOUND,
    cosine,
    reduce_angle,
    sine,
    turn_from_anchor,
    turned,
)
from ._half import to_odd
from ._turns import Run

TURN_ELEMENTS = 2**18  # 2 MiB of turns; those of wider rows are not kept

Rounding: TypeAlias = Callable[[NDArray[np.float64]], NDArray[np.float32]]


def nearest(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """`values` in float32, none of them a negative zero."""
    result = values.astype(np.float32)
    result += 0.0
    return result


def pairs(spectrum: Spectrum, positions: NDArray[np.float64]) -> NDArray[np.complex128]:
    """sin(p w_k) + i cos(p w_k) for `positions` (L,), as (L, K)."""
    frequency, frequency_low = spectrum.frequencies
    f, quarters = reduce_angle(positions[:, None] + 0.0, frequency, frequency_low)  # + 0.0: no negative zero
    s, c = sine(f), cosine(f)
    odd = np.abs(quarters) == 1.0
    result = np.empty(f.shape, np.complex128)
    result.real = np.where(odd, c, s) * np.where((quarters < 0.0) | (quarters == 2.0), -1.0, 1.0)
    result.imag = np.where(odd, s, c) * np.where((quarters > 0.0) | (quarters == -2.0), -1.0, 1.0)
    return result


def columns(spectrum: Spectrum, values: NDArray[np.complex128]) -> NDArray[np.float64]:
    """The columns (L, dim) of an encoding from the `pairs` (L, K) they show."""
    result: NDArray[np.float64] = values.view(np.float64)[:, spectrum.source]
    if spectrum.amplitude != 1.0 or spectrum.source.min() < 0:
        result *= weights(spectrum)
    result += 0.0  # no negative zero
    return result


def weights(spectrum: Spectrum) -> NDArray[np.float64]:
    """What each column is multiplied by: the amplitude, or 0."""
    return np.where(spectrum.source < 0, 0.0, spectrum.amplitude)


def angle_bounds(spectrum: Spectrum) -> NDArray[np.float64]:
    """What a double lacks in each column for every unit of position."""
    bounds: NDArray[np.float64] = np.abs(weights(spectrum) * spectrum.frequencies[0, spectrum.source >> 1])
    return bounds * ANGLE_BOUND


def evaluated(spectrum: Spectrum, positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """The encoding of `positions` (L,) as (L, dim) doubles that are exact even where they are small."""
    return columns(spectrum, pairs(spectrum, positions))


def rows_float64(spectrum: Spectrum, positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """The encoding of `positions` (L,) as (L, dim) float64: angle addition from a fixed grid of anchors."""
    turns = turn_from_anchor(positions)
    anchors, which = np.unique(np.abs(positions) - turns, return_inverse=True)
    first = pairs(spectrum, anchors)[which]
    if len(positions) >= GRID and GRID * spectrum.dim <= TURN_ELEMENTS:
        second = _kept[spectrum][turns.astype(np.intp)]
    else:
        second = pairs(spectrum, turns)
    result = np.empty_like(first)
    result.real = turned(first.real, first.imag, second.real, second.imag)
    result.imag = turned(first.imag, -first.real, second.real, second.imag)
    result.real *= np.where(positions < 0.0, -1.0, 1.0)[:, None]
    return columns(spectrum, result)


def _make_turns(spectrum: Spectrum) -> NDArray[np.complex128]:
    return pairs(spectrum, np.arange(GRID, dtype=np.float64))


_kept: Cache[Spectrum, NDArray[np.complex128]] = Cache(_make_turns)


def rows_float32(
    spectrum: Spectrum, positions: NDArray[np.float64], rounding: Rounding = nearest
) -> NDArray[np.float32]:
    """The same in float32, as if rounded from the true values."""
    values = evaluated(spectrum, positions)
    distance = np.abs(positions[:, None])
    bound = np.abs(values) * BOUND + distance * angle_bounds(spectrum)
    low, high = rounding(values - bound), rounding(values + bound)
    doubtful = np.nonzero(low != high)
    high[doubtful] = rounding(np.array([exact(spectrum, positions[i], j) for i, j in zip(*doubtful, strict=True)]))
    return high


def turned_float32(
    spectrum: Spectrum, positions: NDArray[np.float64], rounding: Rounding = nearest
) -> NDArray[np.float32]:
    """The same, faster where there are many whole positions in a row."""
    values = rows_float64(spectrum, positions)
    bound = np.abs(weights(spectrum)) * TURNED_BOUND + np.abs(positions).max() * angle_bounds(spectrum)
    low, high = rounding(values - bound), rounding(values + bound)
    doubtful = np.flatnonzero((low != high).any(axis=1))
    high[doubtful] = rows_float32(spectrum, positions[doubtful], rounding)
    return high


def rows(
    spectrum: Spectrum,
    positions: NDArray[np.float64],
    starts: NDArray[np.intp],
    out: NDArray[np.floating],
    odd: bool = False,
    factor: np.floating | None = None,
) -> None:
    """Write the rows at `positions` to `out`, or out * factor + rows; see `_tiles.Rows`."""
    rounding = to_odd if odd else nearest
    values: NDArray[np.floating]
    if out.dtype == np.float64:
        values = rows_float64(spectrum, positions)
    elif len(starts) < len(positions):
        values = turned_float32(spectrum, positions, rounding)
    else:
        values = rows_float32(spectrum, positions, rounding)
    if factor is None:
        out[...] = values
    else:
        _tiles.combine(out, values, factor, out)


def small_calls() -> None:
    return None


fill = partial(_tiles.fill, rows)
add = partial(_tiles.add, rows)
embed = partial(_tiles.embed, add)
merge = _tiles.merge


def rotate(
    x: NDArray[Any], out: NDArray[Any], rows: NDArray[Any], pairs: Sequence[Run], inverse: bool, threads: int
) -> None:
    """Write `x`, turned by `rows`, to `out`, which may be `x` (see `_turns`); always on one thread."""
    _turns.turn(x, out, rows, pairs, inverse, _turns.TILE_ELEMENTS)
