"""The compiled backend, as `_backend` sees it: tables from a cache, then one call into `_core`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._cache import Cache
from ._encoding import Encoding, Spectrum, spectra
from ._frequencies import pack

# From this size on an output does not fit the last of the caches, and is written past them.
STREAM_BYTES = _core.tuning()["stream_bytes"]

LARGEST_OFFSET = 2**20  # of positions in small calls, which are whole and far from 2**53


def _make_table(spectrum: Spectrum) -> _core.Table:
    s = spectrum
    return _core.Table(s.frequencies, s.source, s.amplitude, pack([s.factor]), s.numbers, s.special, s.full_turns)


_tables: Cache[Spectrum, _core.Table] = Cache(_make_table)


def remember(named: object, encoding: Encoding, dim: int) -> None:
    """Let the short way of small calls (`_backend.add_small`) know what a user means by `named` at this width."""
    if encoding.axes == 1:
        (spectrum,) = spectra(encoding, dim)
        if spectrum.offset % 1 == 0 and abs(spectrum.offset) <= LARGEST_OFFSET:
            _core.remember(_tables[spectrum], named, spectrum.offset)


def _streams(x: NDArray[Any] | None, out: NDArray[Any]) -> bool:
    return out is not x and out.nbytes >= STREAM_BYTES


def fill(out: NDArray[Any], spectrum: Spectrum, positions: NDArray[np.float64], threads: int) -> None:
    """Write the encoding of `positions` (see `_tiles`) to `out`."""
    _core.write(_tables[spectrum], None, out, positions, 1.0, _streams(None, out), threads)


def add(
    x: NDArray[Any],
    out: NDArray[Any],
    spectrum: Spectrum,
    positions: NDArray[np.float64],
    scale: float,
    threads: int,
) -> None:
    """Write x * scale + encoding to `out`, which may be `x`."""
    _core.write(_tables[spectrum], x, out, positions, scale, _streams(x, out), threads)


def merge(x: NDArray[Any] | None, out: NDArray[Any], parts: Sequence[NDArray[Any]], scale: float, threads: int) -> None:
    """Write the bitwise or of rows of `parts`, or x * scale plus that, to `out` (see `_tiles`)."""
    _core.merge(x, out, list(parts), scale, _streams(x, out), threads)
