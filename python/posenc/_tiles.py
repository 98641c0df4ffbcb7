"""How the Python backends walk an array: a tile of rows is made once, then written to every sequence that shares it.

Not a backend. What a backend brings is `rows`, see `Rows`; its other functions are those here. They take `threads` as a
backend does, and always run on one.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from . import _notes
from ._blocks import blocks
from ._encoding import Spectrum
from ._half import narrow, narrow_unsigned, widen

TILE_ELEMENTS = 2**16  # a float32 tile of this size, and what it is made from, stay in the second-level cache


class Rows(Protocol):
    def __call__(
        self,
        spectrum: Spectrum,
        positions: NDArray[np.float64],
        starts: NDArray[np.intp],
        out: NDArray[np.floating],
        odd: bool = False,
        factor: np.floating | None = None,
    ) -> None:
        """Write the rows at `positions` (L,) to `out` (L, dim), C-contiguous; or given a factor, out * factor + rows.

        float32 rows are correctly rounded, or rounded to odd (see `_half.to_odd`); float64 ones are the formula's. Runs
        of whole positions p, p + 1, ... begin at `starts`, of which the first is 0.
        """


class Tile(NamedTuple):
    where: tuple[Any, ...]  # in `out` (..., L, dim)
    form: tuple[int, ...]  # of the rows there, or of those that several sequences share
    positions: NDArray[np.float64]
    starts: NDArray[np.intp]
    masked: NDArray[np.bool_] | None  # rows to be left out, if there are any
    direct: NDArray[np.floating] | None  # `out` there, if rows can be made in place


def fill(
    rows: Rows,
    out: NDArray[Any],
    spectrum: Spectrum,
    positions: NDArray[np.float64],
    threads: int,
    direct_elements: int = TILE_ELEMENTS,
) -> None:
    """Write rows; `direct_elements` at a time where they can be made in place."""
    # errstate as in compiled code: what the caller asked for may not end half way
    with np.errstate(all="ignore"), _walk(out, positions) as walk:
        for tile in _tiles(out, positions, direct_elements):
            values = np.empty((len(tile.positions), spectrum.dim), _wide(out)) if tile.direct is None else tile.direct
            rows(spectrum, tile.positions, tile.starts, values, odd=out.itemsize == 2)
            if tile.masked is not None:
                values[tile.masked] = 0.0
            if tile.direct is None:
                made = narrow_unsigned(values, out.dtype) if out.itemsize == 2 else values
                out[tile.where] = made.reshape(*tile.form, spectrum.dim)
            walk.done += out[tile.where].size


def add(
    rows: Rows,
    x: NDArray[Any],
    out: NDArray[Any],
    spectrum: Spectrum,
    positions: NDArray[np.float64],
    scale: float,
    threads: int,
    direct_elements: int = TILE_ELEMENTS,
) -> None:
    """Write x * scale + rows; `out` may be `x`."""
    factor = _wide(out)(scale)
    with np.errstate(all="ignore"), _walk(out, positions) as walk:
        for tile in _tiles(out, positions, direct_elements):
            if tile.direct is not None and tile.masked is None:
                if x is not out:
                    out[tile.where] = x[tile.where]
                rows(spectrum, tile.positions, tile.starts, tile.direct, factor=factor)
            else:
                values = np.empty((len(tile.positions), spectrum.dim), _wide(out))
                rows(spectrum, tile.positions, tile.starts, values)
                present: Any = True if tile.masked is None else ~tile.masked.reshape(*tile.form, 1)
                values = values.reshape(*tile.form, spectrum.dim)
                combine(x[tile.where], values, factor, out[tile.where], present)
            walk.done += out[tile.where].size


def embed(
    add: Callable[[NDArray[Any], NDArray[Any], Spectrum, NDArray[np.float64], float, int], None],
    ids: NDArray[np.int64],
    table: NDArray[Any],
    out: NDArray[Any],
    spectrum: Spectrum,
    positions: NDArray[np.float64],
    scale: float,
    threads: int,
) -> None:
    """Write table[ids] * scale + rows, and rows of zeros where an id is negative; `add` is a backend's."""
    parts = [*blocks(ids.shape, max(1, TILE_ELEMENTS // spectrum.dim))]
    x = out if len(parts) > 1 else np.empty_like(out)  # so that no memory is needed once a single part is written
    for index in parts:
        real = ids[index] >= 0
        here = x[index]
        here[real] = table[ids[index][real]]
        here[~real] = 0
    add(x, out, spectrum, positions, scale, threads)
    for index in parts:
        out[index][ids[index] < 0] = 0


def merge(x: NDArray[Any] | None, out: NDArray[Any], parts: Sequence[NDArray[Any]], scale: float, threads: int) -> None:
    """Write rows (or x * scale + rows) to `out` (*own, ..., n_1, ..., n_k, dim): the bitwise or of a row of each part.

    `parts` are k arrays (*own, n_i, dim), of the dtype of `out` or, for sums, of the one to compute in.
    """
    order = "array by array" if parts[0].ndim > 2 else "the first cells of every array"
    with np.errstate(all="ignore"), _notes.Walk(out.size, order) as walk:
        for image in np.ndindex(parts[0].shape[:-2]):
            _merge(None if x is None else x[image], out[image], [part[image] for part in parts], scale, walk)


def _merge(
    x: NDArray[Any] | None, out: NDArray[Any], parts: Sequence[NDArray[Any]], scale: float, walk: _notes.Walk
) -> None:
    """The same for one index of `own`."""
    kind, dim = parts[0].dtype, out.shape[-1]
    outer = [part.view(f"u{kind.itemsize}") for part in parts]
    inner = np.zeros(dim, outer[0].dtype)  # what the last axes have in common everywhere, as many as fit into a tile

    def beside(rows: NDArray[Any]) -> NDArray[Any]:
        return rows.reshape(-1, *(1,) * (inner.ndim - 1), dim)

    while len(outer) > 1 and len(outer[-1]) * inner.size <= TILE_ELEMENTS:
        inner = beside(outer.pop()) | inner
    *heads, middle = outer
    height = max(1, TILE_ELEMENTS // inner.size)
    for index in np.ndindex(*map(len, heads)):
        row: Any = functools.reduce(np.bitwise_or, (head[i] for head, i in zip(heads, index, strict=True)), 0)
        for first in range(0, len(middle), height):
            rows = beside(middle[first : first + height] | row)
            where = (..., *index, slice(first, first + height), *(slice(None),) * inner.ndim)
            if x is None:
                np.bitwise_or(rows, inner, out=out.view(inner.dtype)[where])
            else:
                combine(x[where], (rows | inner).view(kind), kind.type(scale), out[where])
            walk.done += out[where].size


def combine(x: NDArray[Any], values: NDArray[Any], factor: Any, out: NDArray[Any], where: Any = True) -> None:
    """Write x * factor + values to `out`, in the precision of `values` and rounded once to that of `out`."""
    if out.ndim > values.ndim and out.size > TILE_ELEMENTS:  # piece by piece: what lies between stays in the cache
        for i in range(0, len(out), step := max(1, TILE_ELEMENTS // out[0].size)):
            piece = slice(i, i + step) if step > 1 else i
            combine(x[piece], values, factor, out[piece], where)
    elif out.itemsize == 2:
        wide = widen(x)
        if factor != 1:
            wide *= factor
        wide += values
        np.copyto(out, narrow(wide, out.dtype), where=where)
    else:
        if factor != 1:
            x = np.multiply(x, factor, out=out, where=where)
        np.add(x, values, out=out, where=where)


def runs(positions: NDArray[np.float64]) -> NDArray[np.intp]:
    """Where runs begin in `positions` (L,): whole numbers, each one more than the one before."""
    whole = positions % 1.0 == 0.0
    begins = np.ones(len(positions), bool)
    begins[1:] = ~(whole[1:] & whole[:-1] & (np.diff(positions) == 1.0))
    return np.flatnonzero(begins)


def _walk(out: NDArray[Any], positions: NDArray[np.float64]) -> _notes.Walk:
    """How `_tiles` goes through `out`."""
    together = len(positions) == 1 and math.prod(out.shape[:-2]) > 1
    return _notes.Walk(out.size, "the first rows of every sequence" if together else "the first ones")


def _wide(out: NDArray[Any]) -> Any:
    """The dtype to compute in."""
    return np.float64 if out.dtype == np.float64 else np.float32


def _tiles(out: NDArray[Any], positions: NDArray[np.float64], direct_elements: int) -> Iterator[Tile]:
    """All of `out`.

    `positions` is (1,) or (N,): starts, for all sequences or for each; or (1, L) or (N, L): every position, or NaN for
    a masked row. Such a row gets its own number for a position: numbers make runs, which cost little.
    """
    *leading, length, dim = out.shape
    shared = len(positions) == 1
    direct = out.itemsize > 2 and out.flags.carray and (not shared or math.prod(leading) == 1)
    elements = direct_elements if direct else TILE_ELEMENTS
    height = min(length, max(1, elements // dim))
    each = (positions[:, None] if positions.ndim == 1 else positions).reshape(*(() if shared else leading), 1, -1)
    for sequences in blocks(each.shape[:-2], max(1, elements // (height * dim))):  # that are made together
        given = each[sequences].reshape(-1, each.shape[-1])
        for first in range(0, length, height):
            last = min(first + height, length)
            numbers = np.arange(first, last, dtype=np.float64)
            where = (*sequences, ..., slice(first, last), slice(None))
            form = (*each[sequences].shape[:-2], last - first)
            masked = None
            if positions.ndim == 1:
                there = (given + numbers).reshape(-1)
            else:
                there = given[:, first:last].reshape(-1)
                if np.isnan(there).any():
                    masked = np.isnan(there)
                    there = np.where(masked, np.tile(numbers, len(given)), there)
            made_in_place = out[where].reshape(-1, dim) if direct else None
            yield Tile(where, form, there, runs(there), masked, made_in_place)
