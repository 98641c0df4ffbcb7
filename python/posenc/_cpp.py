"""The compiled backend, as `_backend` sees it: tables from a cache, then one call into `_core`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _conventions, _core
from ._cache import OVERHEAD, Cache
from ._encoding import Spectrum, spectra
from ._frequencies import pack
from ._turns import Run, runs

# From this size on an output does not fit the last of the caches, and is written past them.
STREAM_BYTES = _core.tuning()["stream_bytes"]
EMBED_STREAM_BYTES = STREAM_BYTES // _core.tuning()["embed_stream_share"]


def _make_table(spectrum: Spectrum) -> _core.Table:
    s = spectrum
    return _core.Table(
        s.frequencies, s.source, s.amplitude, pack([s.factor]), s.numbers.packed(), s.special, s.full_turns
    )


_tables: Cache[Spectrum, _core.Table] = Cache(_make_table)


def _resolve(
    named: Any, dim: int, turns: bool
) -> tuple[list[tuple[_core.Table, int, float]], int, tuple[list[Run], bool] | None]:
    """What a user means by `named` at a width: of each axis the table of its columns, the first of them, and its
    offset; the size of what names it; and, if it `turns` something, its pairs, and whether they can be turned back.
    """
    rule = _conventions.resolve(named)
    axes = spectra(rule, dim)
    factors = sum(len(spectrum.numbers.factors) for spectrum in axes)
    pairs = ([*runs(rule, dim)], axes[0].unscaled) if turns else None
    blocks = [spectrum.block for spectrum in axes] if len(axes) > 1 else [(slice(0, dim), axes[0])]
    return [(_tables[s], columns.start, s.offset) for columns, s in blocks], OVERHEAD + 32 * factors, pairs


def small_calls() -> _core.SmallCalls:
    """What does the calls that need no explanation."""
    return _core.SmallCalls(_resolve)


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


def embed(
    ids: NDArray[np.int64],
    table: NDArray[Any],
    out: NDArray[Any],
    spectrum: Spectrum,
    positions: NDArray[np.float64],
    scale: float,
    threads: int,
) -> None:
    """Write table[ids] * scale + encoding to `out`, and zeros where an id is negative."""
    streams = out.nbytes >= EMBED_STREAM_BYTES
    _core.embed(_tables[spectrum], ids, table, out, positions, scale, streams, threads)


def merge(x: NDArray[Any] | None, out: NDArray[Any], parts: Sequence[NDArray[Any]], scale: float, threads: int) -> None:
    """Write the bitwise or of rows of `parts`, or x * scale plus that, to `out` (see `_tiles`)."""
    _core.merge(x, out, list(parts), scale, _streams(x, out), threads)


def rotate(
    x: NDArray[Any], out: NDArray[Any], rows: NDArray[Any], pairs: Sequence[Run], inverse: bool, threads: int
) -> None:
    """Write `x`, turned by `rows`, to `out`, which may be `x` (see `_turns`)."""
    _core.rotate(None if x is out else x, out, rows, [*pairs], inverse, threads)
