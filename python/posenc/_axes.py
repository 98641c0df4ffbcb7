"""Encodings over several axes: where cells stand, and how they are written with one backend call per axis.

A row is the bitwise OR of its axes' rows, each of which is zero in the columns of the others.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _positions, _refusals
from ._blocks import blocks
from ._encoding import Spectrum
from ._positions import CHECKED, LARGEST
from ._protocol import Backend
from ._rows import SEQUENCES, once, owned, refuse_both
from ._where import Axes, Where

# Elements of a block: of rows of one axis, the same of several arrays, rows of scattered cells, planes of channels.
AXIS_ELEMENTS = 2**19
BLOCK_ELEMENTS = 2**17
TILE_ELEMENTS = 2**16
PLANE_ELEMENTS = 2**17


class Line(NamedTuple):
    """The positions along one axis of a grid: those that were given, or what is counted on from a start."""

    values: NDArray[Any]  # (n,), (*leading, n) of grids of their own, or ()
    offset: float

    def at(self, first: int, last: int, image: tuple[Any, ...] = ()) -> NDArray[np.float64]:
        if self.values.ndim:
            return self.values[(*image, ..., slice(first, last))].astype(np.float64, order="C") + self.offset
        counted: NDArray[np.float64] = (self.values.astype(np.float64) + np.arange(first, last)) + self.offset
        return counted


class Places(NamedTuple):
    """Where the cells of an array (*leading, *inner, D) stand. Nothing is copied from what the user gave.

    Attributes
    ----------
    shape : tuple of int
        `inner`, or (*leading, *inner) if arrays differ in where their cells stand, or which of them are real.
    inner : tuple of int
    offsets : sequence of float
        What the encoding adds to a position along each of its axes.
    lines : list of Line, or None
        The positions along each axis of a grid, if each is the same for all cells of an array that share its index.
    cells : ndarray, or None
        Otherwise the positions of each cell, (*shape, k), of any dtype.
    mask : ndarray, or None
        Not 0 where a cell is real, of that shape without k.
    """

    shape: tuple[int, ...]
    inner: tuple[int, ...]
    offsets: Sequence[float]
    lines: list[Line] | None
    cells: NDArray[Any] | None
    mask: NDArray[Any] | None = None

    def at(self, index: tuple[Any, ...]) -> NDArray[np.float64]:
        """The positions of the cells at an index of `shape` (see `blocks`), with a first axis for the k axes."""
        form = [len(range(n)[part]) for n, part in _parts(index, self.shape) if isinstance(part, slice)]
        positions = np.empty((len(self.offsets), *form))
        for axis, offset in enumerate(self.offsets):
            if self.lines is not None:
                positions[axis] = _along(self.lines[axis], index, self.shape, len(self.shape) - len(self.inner) + axis)
            else:
                assert self.cells is not None
                positions[axis] = self.cells[(*index, ..., axis)]
                positions[axis] += offset
        return positions

    def check_real(self) -> None:
        """Refuse a real cell at a position that is not allowed. Those that the mask hides may be anything."""
        assert self.cells is not None
        assert self.mask is not None
        for index in blocks(self.shape, CHECKED):
            real = self.mask[index] != 0
            for axis, offset in enumerate(self.offsets):
                values = self.cells[(*index, ..., axis)]
                allowed = (values >= -LARGEST) & (values <= LARGEST)
                with np.errstate(all="ignore"):
                    allowed &= np.abs(values.astype(np.float64) + offset) <= LARGEST
                wrong = real & ~allowed
                if wrong.any():
                    raise _positions.refusal(values[wrong].flat[0].item(), "positions", 1, offset)


def _parts(index: tuple[Any, ...], shape: tuple[int, ...]) -> list[tuple[int, Any]]:
    """The sizes of all axes, and what an index takes of each."""
    return [(n, index[axis] if axis < len(index) else slice(0, n)) for axis, n in enumerate(shape)]


def _along(line: Line, index: tuple[Any, ...], shape: tuple[int, ...], axis: int) -> Any:
    """Of the cells at an index of `shape` the positions along one axis, to be broadcast along the others."""
    _, part = _parts(index, shape)[axis]
    if not isinstance(part, slice):
        return line.at(part, part + 1)[0]
    return line.at(part.start, part.stop).reshape(-1, *(1,) * (len(shape) - 1 - axis))


def place(
    axes: Axes, offsets: Sequence[float], where: Where, given: NDArray[Any] | None, target: NDArray[Any] | None
) -> Places:
    """Where the cells of an array stand, for an encoding over as many axes as there are `offsets`; all checked.

    As `_rows.place`.
    """
    count, inner = len(offsets), axes.inner
    if where.cu_seqlens is not None:
        raise _refusals.packed_axes(count, where.cu_seqlens)
    mask = None
    if where.mask is not None:
        mask = axes.cells(axes.spread(owned(_positions.truths(where.mask), target), "mask"))
        mask = None if once(mask).all() else mask
    lines, cells = None, None
    if given is None:
        starts = per_axis(where.start, "start", count)
        for start, size, offset in zip(starts, inner, offsets, strict=True):
            _positions.refuse_beyond(start, "start", size, offset)
        lines = [Line(start, offset) for start, offset in zip(starts, offsets, strict=True)]
    else:
        refuse_both(where)
        cells = axes.spread(given, "positions", count)
    own = any(array is not None and array.ndim > rank for array, rank in ((cells, len(inner) + 1), (mask, len(inner))))
    shape = (*axes.leading, *inner) if own else inner
    if mask is not None and mask.shape != shape:
        mask = np.broadcast_to(mask, shape)
    if cells is not None and cells.shape[:-1] != shape:
        cells = np.broadcast_to(cells, (*shape, count))
    places = Places(shape, inner, offsets, lines, cells, mask)
    if cells is not None:
        worst = [_positions.beyond(once(cells[..., axis]), 1, offset) for axis, offset in enumerate(offsets)]
        if worst != [None] * count:
            if mask is None or 0 in shape:
                value, offset = next(pair for pair in zip(worst, offsets, strict=True) if pair[0] is not None)
                raise _positions.refusal(value, "positions", 1, offset)
            places.check_real()
        if mask is None:
            return places._replace(lines=lines_of(cells, len(inner), offsets))
    return places


def per_axis(value: Any, name: str, count: int) -> NDArray[np.float64]:
    """A number for each axis."""
    numbers = _positions.floats(value, name)
    if numbers.shape not in ((), (count,)):
        raise ValueError(
            f"{name}: expected a number or one for each of {count} axes, got shape {numbers.shape}; positions= takes "
            "the coordinates of every cell"
        )
    return np.broadcast_to(numbers, (count,))


def lines_of(cells: NDArray[Any], rank: int, offsets: Sequence[float]) -> list[Line] | None:
    """What `Places` calls lines, where `cells` (..., *inner, k) consist of them, `rank` inner axes."""
    shape, count = cells.shape[:-1], cells.shape[-1]
    if rank != count or 0 in shape:
        return None
    edges = [cells[(..., *(slice(None if i == axis else 1) for i in range(count)), axis)] for axis in range(count)]
    for index in blocks(shape, CHECKED):
        for axis, edge in enumerate(edges):
            if not (cells[(*index, ..., axis)] == np.broadcast_to(edge, shape)[index]).all():
                return None
    own = shape[: len(shape) - count]
    return [Line(edge.reshape(*own, -1), offset) for edge, offset in zip(edges, offsets, strict=True)]


def _has_planes(array: NDArray[Any], count: int) -> bool:
    """Whether each channel of (*leading, *inner, D), `count` inner axes, is one piece of memory, or evenly spaced."""
    shape, strides = array.shape[-1 - count : -1], array.strides[-1 - count :]
    return abs(strides[-1]) > abs(strides[0]) and all(
        outer == inner * size for outer, inner, size in zip(strides, strides[1:-1], shape[1:], strict=False)
    )


def _planes(array: NDArray[Any], count: int) -> NDArray[Any]:
    """The same elements as (*leading, D, all inner ones)."""
    channels_first = np.moveaxis(array, -1, -1 - count)
    return channels_first.reshape(*channels_first.shape[:-count], -1)


class Job(NamedTuple):
    """Write x * scale + encoding, or the encoding if `x` is None, to `out` (*leading, *inner, D)."""

    run: Backend
    x: NDArray[Any] | None
    out: NDArray[Any]
    spectra: Sequence[Spectrum]
    scale: float
    threads: int

    def at(self, where: Places) -> None:
        """Write all cells; masked ones become zero, or stay as they are."""
        if where.mask is None and where.lines is not None:
            self._at_lines(where.lines)
            return
        self._at_cells(where)

    def _part(self, index: tuple[Any, ...]) -> Job:
        if not index:
            return self
        out = self.out[index]
        return self._replace(x=out if self.x is self.out else None if self.x is None else self.x[index], out=out)

    def _rows(self, *shape: int) -> NDArray[Any]:
        """New memory for rows of single axes, (*shape, D), as `merge` wants them: zeros but for what `_fill` writes."""
        wide = self.out.dtype if self.x is None or self.out.dtype == np.float64 else np.float32
        return np.zeros((*shape, self.out.shape[-1]), wide)

    def _fill(self, rows: NDArray[Any], axis: int, positions: NDArray[np.float64]) -> None:
        """Write an axis's columns of `rows` (N, L, D), at `positions` (N, L)."""
        columns, spectrum = self.spectra[axis].block
        self.run.fill(rows[..., columns], spectrum, positions, self.threads)

    def _at_lines(self, lines: Sequence[Line]) -> None:
        """Write grids, the rows of each axis made once: for all arrays, or for each, a block of arrays at a time."""
        count, dim = len(lines), self.out.shape[-1]
        sizes = self.out.shape[-1 - count : -1]
        own = lines[0].values.shape[:-1]
        height = max(1, AXIS_ELEMENTS // dim)
        together = max(1, BLOCK_ELEMENTS // max(dim * max(sizes), math.prod(sizes), 1))
        memory = [self._rows(min(together, math.prod(own)) * min(height, size)) for size in sizes]
        for images in blocks(own, together):
            job = self._part(images)
            form = job.out.shape[: len(own) - max(0, len(images) - 1)]  # of the arrays that have grids of their own
            for corner in itertools.product(*(range(0, size, height) for size in sizes)):
                block = [slice(first, min(first + height, size)) for first, size in zip(corner, sizes, strict=True)]
                parts = []
                for axis, (rows, line, chunk) in enumerate(zip(memory, lines, block, strict=True)):
                    places = line.at(chunk.start, chunk.stop, images).reshape(math.prod(form), -1)
                    rows = rows[: places.size].reshape(*places.shape, dim)
                    self._fill(rows, axis, places)
                    parts.append(rows.reshape(*form, -1, dim))
                each = (slice(None),) * len(form)
                for index in blocks(job.out.shape[len(form) : -1 - count], SEQUENCES):
                    job._part((*each, *index, ..., *block, slice(None)))._merge(parts)

    def _merge(self, parts: Sequence[NDArray[Any]]) -> None:
        """Write grids of which these are the axes' rows, (*own, n, D)."""
        if all(array is None or _has_planes(array, len(parts)) for array in (self.x, self.out)):
            self._by_planes(parts)
        else:
            self.run.merge(self.x, self.out, parts, self.scale, self.threads)

    def _by_planes(self, parts: Sequence[NDArray[Any]]) -> None:
        """Write grids whose channels come first in memory: what are rows for `merge` are their planes."""
        count, dim = len(parts), self.out.shape[-1]
        own, sizes = parts[0].shape[:-2], [rows.shape[-2] for rows in parts]
        x, out = (None if a is None else _planes(a, count) for a in (self.x, self.out))
        assert out is not None
        height = max(1, PLANE_ELEMENTS // math.prod([*own, *sizes]))
        memory = np.empty(min(height, dim) * math.prod([*own, *sizes]), parts[0].dtype)
        bits = f"u{memory.itemsize}"
        for first in range(0, dim, height):
            channels = slice(first, min(first + height, dim))
            number = channels.stop - channels.start
            planes = memory[: number * math.prod([*own, *sizes])].reshape(*own, number, *sizes)
            planes[...] = 0
            for axis, rows in enumerate(parts):
                lines = np.moveaxis(rows[..., channels], -1, -2)
                lines = lines.reshape(*own, number, *(1,) * axis, sizes[axis], *(1,) * (count - 1 - axis))
                np.bitwise_or(planes.view(bits), lines.view(bits), out=planes.view(bits))
            here = (..., channels, slice(None))
            old = x if x is None else x[here]
            self.run.merge(old, out[here], [planes.reshape(*own, number, -1)], self.scale, self.threads)

    def _at_cells(self, where: Places) -> None:
        """Write cells that are no grid, or not all of one, a few at a time."""
        dim = self.out.shape[-1]
        others = self.out.shape[: self.out.ndim - 1 - len(where.shape)]  # axes of arrays that share the cells
        memory = self._rows(len(self.spectra), min(max(1, TILE_ELEMENTS // dim), math.prod(where.shape)))
        for index in blocks(where.shape, memory.shape[1]):
            positions = where.at(index)
            real = None
            if where.mask is not None:
                real = where.mask[index] != 0
                real = None if real.all() else real
            if real is None:
                chosen = positions.reshape(len(positions), -1)
            elif self.x is None:
                chosen = np.where(real, positions, np.nan).reshape(len(positions), -1)  # rows of zeros
            else:
                chosen = positions[:, real]
            number = chosen.shape[1]
            if not number:
                continue
            rows = memory[:, :number]
            for axis, values in enumerate(chosen):
                self._fill(rows[axis][None], axis, np.ascontiguousarray(values)[None])
            whole = np.bitwise_or.reduce(rows.view(f"u{rows.itemsize}")).view(rows.dtype)
            tail = (slice(None),) * (len(where.shape) - len(index) + 1)
            for outer in blocks(others, max(1, TILE_ELEMENTS // (number * dim))):
                self._part((*outer, ..., *index, *tail))._write(whole, real, positions.shape[1:])

    def _write(self, rows: NDArray[Any], real: NDArray[np.bool_] | None, form: tuple[int, ...]) -> None:
        """Write `rows` (n, D) to the cells of `out`, or to those that are real; `form` is the shape of the cells."""
        out, x = self.out, self.x
        shape = (*out.shape[: out.ndim - 1 - len(form)], len(rows), out.shape[-1])
        if x is None:
            out[...] = rows.reshape(*form, -1)
        elif real is not None:
            here = (..., real, slice(None))
            sums = x[here]
            self.run.merge(sums, sums, [rows], self.scale, self.threads)
            out[here] = sums
        else:
            sums = out.reshape(shape)
            self.run.merge(x.reshape(shape), sums, [rows], self.scale, self.threads)
            if not np.may_share_memory(sums, out):  # the cells are no one axis in memory
                out[...] = sums.reshape(out.shape)
