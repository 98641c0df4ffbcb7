"""The compiled backend, as `_backend` sees it: tables from a cache, then one call into `_core`."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._cache import Cache
from ._encoding import spectrum

# Beyond this size an output no longer fits the caches it shares, and is written past them.
STREAM_BYTES = 32 * 2**20


def _make_table(dim: int) -> _core.Table:
    parts = spectrum(dim)
    return _core.Table(parts.frequencies, parts.source)


_tables: Cache[int, _core.Table] = Cache(_make_table)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_core.forget)  # for the reason given in _cache


def _table(dim: int) -> _core.Table:
    table = _tables[dim]
    _core.remember(table)  # for the short way of small calls (`_backend.add_small`)
    return table


def fill(out: NDArray[np.floating], positions: NDArray[np.float64], threads: int) -> None:
    """Write the encoding of `positions` (see `_tiles`) to `out`."""
    _core.fill(_table(out.shape[-1]), out, positions, out.nbytes >= STREAM_BYTES, threads)


def add(
    x: NDArray[np.floating], out: NDArray[np.floating], positions: NDArray[np.float64], scale: float, threads: int
) -> None:
    """Write x * scale + encoding to `out`, which may be `x`."""
    stream = out is not x and out.nbytes >= STREAM_BYTES
    _core.add(_table(out.shape[-1]), x, out, positions, scale, stream, threads)
