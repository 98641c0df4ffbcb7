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

from . import _notes
from ._axes import Places
from ._blocks import blocks
from ._encoding import Spectrum
from ._protocol import Backend
from ._rows import Rows
from ._turns import Runs

ROW_ELEMENTS = 2**16  # that are ready at a time: 256 KiB of float32, which stay in the second-level cache


class Stands(NamedTuple):
    """Where rows (*own, *inner) stand, and for which axes of the arrays they are the same.

    Attributes
    ----------
    own, shared : tuple of int
        Axes before those of the sequence: those along which positions, or which rows are real, differ; the others.
    form : tuple of int
        The sizes of the own axes.
    inner : tuple of int
        The sizes of the axes of the sequence.
    at : function
        Of an index of (*own, *inner), as `blocks` makes them: the positions there, (k, *form), NaN where a row is
        masked.
    """

    own: tuple[int, ...]
    shared: tuple[int, ...]
    form: tuple[int, ...]
    inner: tuple[int, ...]
    at: Callable[[tuple[Any, ...]], NDArray[np.float64]]


def _own(arrays: Sequence[NDArray[Any] | None], leading: tuple[int, ...]) -> tuple[int, ...]:
    """Along which of the first axes some of the arrays, (*leading, ...) if they are given, differ."""
    return tuple(
        axis
        for axis, size in enumerate(leading)
        if size > 1 and any(array is not None and array.strides[axis] != 0 for array in arrays)
    )


def _first(array: NDArray[Any], own: tuple[int, ...], count: int) -> NDArray[Any]:
    """Of an array (*leading, ...), `count` of these, the own axes and the first of all others."""
    part: NDArray[Any] = array[tuple(slice(None) if axis in own else 0 for axis in range(count))]
    return part


def of_rows(rows: Rows) -> Stands:
    """Along one axis."""
    leading, count = rows.leading, len(rows.leading)
    values = rows.values if rows.own_values else None
    mask = rows.mask if rows.own_mask else None
    own = _own([values, mask], leading)
    form = tuple(leading[axis] for axis in own)
    lone = rows._replace(leading=form, explicit=True)
    if values is not None:
        lone = lone._replace(values=_first(values, own, count))
    if mask is not None:
        lone = lone._replace(mask=_first(mask, own, count))

    def at(index: tuple[Any, ...]) -> NDArray[np.float64]:
        last = index[len(form)] if len(index) > len(form) else slice(0, rows.length)
        positions = lone.at(index[: len(form)], last.start, last.stop)
        return positions.reshape(1, *_sizes(index[: len(form)], form), positions.shape[-1])

    return Stands(own, _others(own, count), form, (rows.length,), at)


def of_places(places: Places, leading: tuple[int, ...]) -> Stands:
    """Along several axes."""
    count, spread = len(leading), len(places.shape) > len(places.inner)
    own = _own([places.cells, places.mask], leading) if spread else ()
    form = tuple(leading[axis] for axis in own)
    lone = places._replace(shape=(*form, *places.inner))
    if spread and places.cells is not None:
        lone = lone._replace(cells=_first(places.cells, own, count))
    if spread and places.mask is not None:
        lone = lone._replace(mask=_first(places.mask, own, count))

    def at(index: tuple[Any, ...]) -> NDArray[np.float64]:
        positions = lone.at(index)
        if lone.mask is not None:
            positions = np.where(lone.mask[index] != 0, positions, np.nan)
        return positions

    return Stands(own, _others(own, count), form, places.inner, at)


def _others(own: tuple[int, ...], count: int) -> tuple[int, ...]:
    return tuple(axis for axis in range(count) if axis not in own)


def _sizes(index: tuple[Any, ...], shape: tuple[int, ...]) -> list[int]:
    """The shape of what an index of `shape` leaves."""
    whole = (*index, *(slice(None),) * (len(shape) - len(index)))
    return [len(range(n)[part]) for n, part in zip(shape, whole, strict=True) if isinstance(part, slice)]


class Job(NamedTuple):
    """Turn `x` (*leading, *inner, D) by the rows of an encoding, and write that to `out`, which may be `x`."""

    run: Backend
    spectra: Sequence[Spectrum]
    pairs: Runs
    inverse: bool
    threads: int

    def write(self, x: NDArray[Any], out: NDArray[Any], stands: Stands) -> None:
        order = (*stands.own, *stands.shared, *range(x.ndim - 1 - len(stands.inner), x.ndim))
        old = out.transpose(order) if x is out else x.transpose(order)
        new = old if x is out else out.transpose(order)
        dim = out.shape[-1]
        wide = np.dtype(np.float64) if out.dtype == np.float64 else np.dtype(np.float32)
        height = max(1, ROW_ELEMENTS // dim)
        memory = np.empty((min(height, math.prod(stands.form) * math.prod(stands.inner)), dim), wide)
        parts = 0
        try:
            for index in blocks((*stands.form, *stands.inner), height):
                positions = stands.at(index)
                rows = self._rows(positions.reshape(len(positions), -1), memory)
                rows = rows.reshape(*positions.shape[1:], dim)
                own, inner = index[: len(stands.form)], index[len(stands.form) :]
                middle = (slice(None),) * (len(stands.shared) + len(stands.form) - len(own))
                where = (*own, *middle, *inner)
                count = positions.ndim - 1 - len(stands.inner) + sum(not isinstance(i, slice) for i in inner)
                self._turn(old[where], new[where], rows, count, x is out)
                parts += 1
        except BaseException as error:
            if parts:
                _notes.add(error, f"posenc: that counts one part of the array; {parts} before it have been written")
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

    def _turn(self, x: NDArray[Any], out: NDArray[Any], rows: NDArray[Any], own: int, same: bool) -> None:
        """Of arrays (*own, *shared, *sequence, D) and rows (*own, *sequence, D)."""
        sequence = rows.ndim - 1 - own
        if sequence > 1:  # as one axis if that is how they lie in memory, or else one after the other
            if not all(_lies_together(array, sequence) for array in (x, out)):
                outer: tuple[Any, ...] = (slice(None),) * (x.ndim - 1 - sequence)
                for i in range(rows.shape[own]):
                    self._turn(x[(*outer, i)], out[(*outer, i)], rows[(*outer[:own], i)], own, same)
                return
            shape = (*x.shape[: x.ndim - 1 - sequence], -1, x.shape[-1])
            x, out = x.reshape(shape), out.reshape(shape)
            rows = rows.reshape(*rows.shape[:own], -1, rows.shape[-1])
        self.run.rotate(out if same else x, out, rows, self.pairs, self.inverse, self.threads)


def _lies_together(array: NDArray[Any], count: int) -> bool:
    """Whether `count` axes before the last one are evenly spaced, as one would be."""
    sizes, strides = array.shape[-1 - count : -1], array.strides[-1 - count : -1]
    return all(outer == inner * n for outer, inner, n in zip(strides, strides[1:], sizes[1:], strict=False))
