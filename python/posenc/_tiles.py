"""How the Python backends walk an array: a tile of rows is made once, then written to every sequence that shares it.

Not a backend. What a backend brings is `rows(spectrum, positions, run, dtype)`, a (len(positions), dim) array.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._encoding import Spectrum

Rows = Callable[[Spectrum, NDArray[np.float64], bool, np.dtype[Any]], NDArray[np.floating]]

TILE_ELEMENTS = 2**16  # a float32 tile of this size stays in the second-level cache


def fill(rows: Rows, out: NDArray[np.floating], spectrum: Spectrum, positions: NDArray[np.float64]) -> None:
    with np.errstate(all="ignore"):  # as in compiled code: what the caller asked for may not end half way
        for where, values in _tiles(rows, out, spectrum, positions):
            out[where] = values


def add(
    rows: Rows,
    x: NDArray[np.floating],
    out: NDArray[np.floating],
    spectrum: Spectrum,
    positions: NDArray[np.float64],
    scale: float,
) -> None:
    factor = out.dtype.type(scale)
    with np.errstate(all="ignore"):
        for where, values in _tiles(rows, out, spectrum, positions):
            if factor == 1:
                np.add(x[where], values, out=out[where])
            else:
                np.multiply(x[where], factor, out=out[where])
                np.add(out[where], values, out=out[where])


def _tiles(
    rows: Rows, out: NDArray[np.floating], spectrum: Spectrum, positions: NDArray[np.float64]
) -> Iterator[tuple[tuple[Any, ...], NDArray[np.floating]]]:
    """Pairs of an index into `out` (..., L, dim) and the rows that belong there.

    `positions` is (1,) or (N,): starts, for all sequences or for each; or (1, L) or (N, L): every position.
    """
    length, dim = out.shape[-2:]
    height = max(1, TILE_ELEMENTS // dim)
    sequences: Iterable[tuple[Any, ...]] = [(...,)] if len(positions) == 1 else np.ndindex(out.shape[:-2])
    for sequence, where in zip(sequences, positions, strict=True):
        for first in range(0, length, height):
            last = min(first + height, length)
            if positions.ndim == 1:
                tile, run = where + np.arange(first, last, dtype=np.float64), bool(where % 1 == 0)
            else:
                tile, run = where[first:last], False
            yield (*sequence, slice(first, last), slice(None)), rows(spectrum, tile, run, out.dtype)
