"""How `rotate_` writes: rows of the encoding are made once, a block of them at a time, for all that share positions.

Heads share them, and so do sequences that begin alike: axes along which positions do not change come last before the
rows, whatever they are, so that a block of rows (cos and sin, in the cache) is applied to one array after the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._axes import Places
from ._blocks import blocks
from ._protocol import Backend
from ._rows import Rows
from ._spectrum import Spectrum
from ._turns import Runs

# That are ready at a time. Measured on Zen 4, 32 x 4096 x 128 float32, ms of 2^15, 2^16, 2^17 and 2^18: 3.4, 3.2, 2.9
# and 3.2.
ROW_ELEMENTS = 2**17
LINE = 64  # bytes: a vector that straddles two lines costs as much as two


class Stands(NamedTuple):
    """Where the rows of arrays (*outer, L, D) stand, and for which of the outer axes they are the same.

    Attributes
    ----------
    own, shared : tuple of int
        Outer axes: those along which positions, or which rows are real, differ; the others.
    form : tuple of int
        The sizes of the own axes.
    length : int
    at : function
        Of an index of (*form, L), as `blocks` makes them: the positions there, (k, ...), NaN where a row is masked.
    """

    own: tuple[int, ...]
    shared: tuple[int, ...]
    form: tuple[int, ...]
    length: int
    at: Callable[[tuple[Any, ...]], NDArray[np.float64]]


def of_rows(rows: Rows) -> Stands:
    """Along one axis."""
    values = rows.values if rows.own_values else None
    mask = rows.mask if rows.own_mask else None
    own, first = _own(rows.leading, [values, mask])
    form = tuple(rows.leading[axis] for axis in own)
    lone = rows._replace(leading=form, explicit=True)
    if values is not None:
        lone = lone._replace(values=values[first])
    if mask is not None:
        lone = lone._replace(mask=mask[first])

    def at(index: tuple[Any, ...]) -> NDArray[np.float64]:
        last = index[len(form)] if len(index) > len(form) else slice(0, rows.length)
        positions = lone.at(index[: len(form)], last.start, last.stop)
        return positions.reshape(1, *_sizes(index[: len(form)], form), positions.shape[-1])

    return Stands(own, _others(own, len(rows.leading)), form, rows.length, at)


def of_places(places: Places, leading: tuple[int, ...]) -> Stands:
    """Along several axes, of which the last one counts as that of the rows."""
    *inner, length = places.inner
    missing = len(leading) + len(places.inner) - len(places.shape)  # axes that all arrays share
    outer = (*leading, *inner)
    cells = places.cells if places.lines is None else None
    own, first = _own(outer[missing:], [cells, places.mask], len(inner) if places.lines is not None else 0)
    lone = places._replace(shape=(*(outer[missing:][axis] for axis in own), length))
    if cells is not None:
        lone = lone._replace(cells=cells[first])
    if places.mask is not None:
        lone = lone._replace(mask=places.mask[first])

    def at(index: tuple[Any, ...]) -> NDArray[np.float64]:
        positions = lone.at(index)
        if lone.mask is not None:
            positions = np.where(lone.mask[index] != 0, positions, np.nan)
        return positions

    own = tuple(axis + missing for axis in own)
    return Stands(own, _others(own, len(outer)), lone.shape[:-1], length, at)


def _own(
    outer: tuple[int, ...], arrays: Sequence[NDArray[Any] | None], last: int = 0
) -> tuple[tuple[int, ...], tuple[Any, ...]]:
    """Along which axes some of the arrays (*outer, ...) differ, the `last` ones in any case; an index of the others."""
    own = tuple(
        axis
        for axis, size in enumerate(outer)
        if axis >= len(outer) - last
        or (size > 1 and any(array is not None and array.strides[axis] != 0 for array in arrays))
    )
    return own, tuple(slice(None) if axis in own else 0 for axis in range(len(outer)))


def _others(own: tuple[int, ...], count: int) -> tuple[int, ...]:
    return tuple(axis for axis in range(count) if axis not in own)


def _sizes(index: tuple[Any, ...], shape: tuple[int, ...]) -> list[int]:
    """The shape of what an index of `shape` leaves."""
    whole = (*index, *(slice(None),) * (len(shape) - len(index)))
    return [len(range(n)[part]) for n, part in zip(shape, whole, strict=True) if isinstance(part, slice)]


def _aligned(rows: int, dim: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """New memory that begins with a cache line."""
    whole = np.empty(rows * dim + LINE // dtype.itemsize, dtype)
    first = -whole.__array_interface__["data"][0] % LINE // dtype.itemsize
    return whole[first : first + rows * dim].reshape(rows, dim)


class Job(NamedTuple):
    """Turn arrays (*outer, L, D) by the rows of an encoding."""

    run: Backend
    spectra: Sequence[Spectrum]
    pairs: Runs
    inverse: bool
    threads: int

    def write(self, x: NDArray[Any], out: NDArray[Any], stands: Stands) -> None:
        """Write `x`, turned, to `out`, which may be `x`."""
        length, dim = out.shape[-2:]
        order = (*stands.own, *stands.shared, out.ndim - 2, out.ndim - 1)
        new = out.transpose(order)
        old = new if x is out else x.transpose(order)
        height = max(1, ROW_ELEMENTS // dim)
        wide = np.dtype(np.float64) if out.dtype == np.float64 else np.dtype(np.float32)
        memory = _aligned(min(height, math.prod(stands.form) * length), dim, wide)
        parts = 0
        try:
            for index in blocks((*stands.form, length), height):
                positions = stands.at(index)
                rows = self._rows(positions.reshape(len(positions), -1), memory)
                own, rest = index[: len(stands.form)], index[len(stands.form) :]
                here = (*own, ..., *rest, slice(None)) if rest else own
                there = new[here]
                self.run.rotate(
                    there if x is out else old[here],
                    there,
                    rows.reshape(*positions.shape[1:], dim),
                    self.pairs,
                    self.inverse,
                    self.threads,
                )
                parts += 1
        except BaseException as error:
            if parts:
                error.add_note(f"posenc: that counts one part of the array; {parts} before it have been written")
            raise

    def _rows(self, positions: NDArray[np.float64], memory: NDArray[Any]) -> NDArray[Any]:
        """The rows at positions (k, n), as (n, D); NaN where they are masked."""
        rows = memory[: positions.shape[1]]
        self.run.fill(rows, self.spectra[0], np.ascontiguousarray(positions[:1]), self.threads)
        bits = rows.view(f"u{rows.itemsize}")
        for spectrum, values in zip(self.spectra[1:], positions[1:], strict=True):
            more = np.empty_like(rows)
            self.run.fill(more, spectrum, np.ascontiguousarray(values[None]), self.threads)
            bits |= more.view(bits.dtype)
        masked = np.isnan(positions[0])
        if masked.any():
            rows[masked] = np.nan
        return rows
