"""The specification in NumPy: short, obvious, and the last fallback.

Exactly rounded like the other backends; not fast (about as fast as the usual float64 recipe).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import _tiles
from ._encoding import Spectrum
from ._exact import exact_float32
from ._formula import cosine, reduce_angle, sine

# An evaluated double is within 16 units of its last place, and what a large angle lacks, of the truth.
BOUND = 2.0**-49
ANGLE_BOUND = 2.0**-103


def rows_float64(spectrum: Spectrum, positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """The encoding of `positions` (L,) as (L, dim) float64."""
    frequency, frequency_low, _ = spectrum.frequencies
    f, quarters = reduce_angle(positions[:, None] + 0.0, frequency, frequency_low)  # + 0.0: no negative zero
    s, c = sine(f), cosine(f)
    odd = np.abs(quarters) == 1.0
    pairs = np.empty((len(positions), len(frequency), 2))
    pairs[:, :, 0] = np.where(odd, c, s) * np.where((quarters < 0.0) | (quarters == 2.0), -1.0, 1.0)
    pairs[:, :, 1] = np.where(odd, s, c) * np.where((quarters > 0.0) | (quarters == -2.0), -1.0, 1.0)
    return pairs.reshape(len(positions), -1)[:, spectrum.source]


def rows_float32(spectrum: Spectrum, positions: NDArray[np.float64]) -> NDArray[np.float32]:
    """The same, correctly rounded to float32."""
    exact_to_a_double = rows_float64(spectrum, positions)
    largest = np.abs(spectrum.frequencies[0]).max()
    bound = np.abs(exact_to_a_double) * BOUND + np.abs(positions[:, None]) * (largest * ANGLE_BOUND)
    low: NDArray[np.float32] = (exact_to_a_double - bound).astype(np.float32)
    high = (exact_to_a_double + bound).astype(np.float32)
    for row, column in np.argwhere(low != high):
        low[row, column] = exact_float32(spectrum, float(positions[row]), int(column))
    return low


def rows(spectrum: Spectrum, positions: NDArray[np.float64], run: bool, dtype: np.dtype) -> NDArray[np.floating]:
    """The rows at `positions` in `dtype`. Whether they are a run makes no difference here."""
    return rows_float32(spectrum, positions) if dtype == np.float32 else rows_float64(spectrum, positions)


def fill(out: NDArray[np.floating], positions: NDArray[np.float64], threads: int) -> None:
    """Write the encoding of `positions` (see `_tiles`) to `out`; always on one thread."""
    _tiles.fill(rows, out, positions)


def add(
    x: NDArray[np.floating], out: NDArray[np.floating], positions: NDArray[np.float64], scale: float, threads: int
) -> None:
    """Write x * scale + encoding to `out`, which may be `x`; always on one thread."""
    _tiles.add(rows, x, out, positions, scale)
