"""The specification in NumPy: short, obvious, and the last fallback.

Exactly rounded like the other backends. `rows_float64` and `rows_float32` say what an encoding is; `turned_float32` is
the one concession to speed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _tiles
from ._cache import Cache
from ._encoding import Spectrum, spectrum
from ._exact import exact_float32
from ._formula import cosine, reduce_angle, sine

# An evaluated double is within 16 units of its last place, and what a large angle lacks, of the truth; one turned by
# angle addition within 1e-15 and the same.
BOUND = 2.0**-49
TURNED_BOUND = 1e-15
ANGLE_BOUND = 2.0**-103

STRIDE = 64  # rows turned from each evaluated one


def pairs(table: Spectrum, positions: NDArray[np.float64]) -> NDArray[np.complex128]:
    """sin(p w_k) + i cos(p w_k) for `positions` (L,), as (L, K)."""
    frequency, frequency_low, _ = table.frequencies
    f, quarters = reduce_angle(positions[:, None] + 0.0, frequency, frequency_low)  # + 0.0: no negative zero
    s, c = sine(f), cosine(f)
    odd = np.abs(quarters) == 1.0
    result = np.empty(f.shape, np.complex128)
    result.real = np.where(odd, c, s) * np.where((quarters < 0.0) | (quarters == 2.0), -1.0, 1.0)
    result.imag = np.where(odd, s, c) * np.where((quarters > 0.0) | (quarters == -2.0), -1.0, 1.0)
    return result


def columns(table: Spectrum, values: NDArray[np.complex128]) -> NDArray[np.float64]:
    """The columns (L, dim) of an encoding from the `pairs` (L, K) they show."""
    return values.view(np.float64)[:, table.source]


def rows_float64(table: Spectrum, positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """The encoding of `positions` (L,) as (L, dim) float64."""
    return columns(table, pairs(table, positions))


def rows_float32(table: Spectrum, positions: NDArray[np.float64]) -> NDArray[np.float32]:
    """The same, correctly rounded to float32."""
    values = rows_float64(table, positions)
    bound = np.abs(values) * BOUND + np.abs(positions[:, None]) * (table.largest * ANGLE_BOUND)
    low: NDArray[np.float32] = (values - bound).astype(np.float32)
    for row, column in np.argwhere(low != (values + bound).astype(np.float32)):
        low[row, column] = exact_float32(table, float(positions[row]), int(column))
    return low


def turned_float32(table: Spectrum, positions: NDArray[np.float64]) -> NDArray[np.float32]:
    """The same for positions p, p + 1, ...: by angle addition, one complex product for a sine and a cosine."""
    turned = pairs(table, positions[::STRIDE])[:, None, :] * _steps[table.dim]
    values = columns(table, turned.reshape(-1, turned.shape[-1])[: len(positions)])
    bound = TURNED_BOUND + float(np.abs(positions).max()) * (table.largest * ANGLE_BOUND)
    low: NDArray[np.float32] = (values - bound).astype(np.float32)
    doubtful = np.flatnonzero((low != (values + bound).astype(np.float32)).any(axis=1))
    low[doubtful] = rows_float32(table, positions[doubtful])
    return low


def _make_steps(dim: int) -> NDArray[np.complex128]:
    """cos(r w_k) - i sin(r w_k) for r = 0 ... STRIDE - 1: what turns `pairs` by r positions."""
    return pairs(spectrum(dim), np.arange(STRIDE, dtype=np.float64)) * -1j


_steps: Cache[int, NDArray[np.complex128]] = Cache(_make_steps)


def rows(table: Spectrum, positions: NDArray[np.float64], run: bool, dtype: np.dtype[Any]) -> NDArray[np.floating]:
    """The rows at `positions` in `dtype`; `run` says that each position is one more than the one before."""
    if dtype == np.float64:
        return rows_float64(table, positions)
    return turned_float32(table, positions) if run else rows_float32(table, positions)


def fill(out: NDArray[np.floating], positions: NDArray[np.float64], threads: int) -> None:
    """Write the encoding of `positions` (see `_tiles`) to `out`; always on one thread."""
    _tiles.fill(rows, out, positions)


def add(
    x: NDArray[np.floating], out: NDArray[np.floating], positions: NDArray[np.float64], scale: float, threads: int
) -> None:
    """Write x * scale + encoding to `out`, which may be `x`; always on one thread."""
    _tiles.add(rows, x, out, positions, scale)
