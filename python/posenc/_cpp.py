"""The compiled backend, as `_backend` sees it: tables from a cache, then one call into `_core`."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._cache import Cache
from ._encoding import Spectrum

# Beyond this size an output no longer fits the caches it shares, and is written past them.
STREAM_BYTES = 32 * 2**20


def _make_table(spectrum: Spectrum) -> _core.Table:
    return _core.Table(spectrum.frequencies, spectrum.source)


_tables: Cache[Spectrum, _core.Table] = Cache(_make_table)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_core.forget)  # for the reason given in _cache


def _table(spectrum: Spectrum) -> _core.Table:
    table = _tables[spectrum]
    _core.remember(table)  # for the short way of small calls (`_backend.add_small`)
    return table


def fill(out: NDArray[np.floating], spectrum: Spectrum, positions: NDArray[np.float64], threads: int) -> None:
    """Write the encoding of `positions` (see `_tiles`) to `out`."""
    _core.fill(_table(spectrum), out, positions, out.nbytes >= STREAM_BYTES, threads)


def add(
    x: NDArray[np.floating],
    out: NDArray[np.floating],
    spectrum: Spectrum,
    positions: NDArray[np.float64],
    scale: float,
    threads: int,
) -> None:
    """Write x * scale + encoding to `out`, which may be `x`."""
    stream = out is not x and out.nbytes >= STREAM_BYTES
    _core.add(_table(spectrum), x, out, positions, scale, stream, threads)
