"""Encodings over several axes: coordinates of grids, and how they are written with one backend call per axis.

A row is the bitwise OR of its axes' rows, each of which is zero in the columns of the others.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _positions, _validate
from ._encoding import Spectrum
from ._positions import Axes

AXIS_ELEMENTS = 2**20  # of the rows of one axis that are ready at a time
TILE_ELEMENTS = 2**16  # of the rows of scattered cells that are
PLANE_ELEMENTS = 2**17  # of the planes of channels that are


def grid(
    *shape: int,
    start: ArrayLike = 0.0,
    step: ArrayLike = 1.0,
    normalize: bool = False,
    offset: ArrayLike = 0.0,
    eps: float = 1e-6,
    order: Sequence[int] | None = None,
) -> NDArray[np.float64]:
    """Coordinates of the cells of a grid: start + step * index along each axis.

    What `fill_` and `add_` do without positions needs none of it. Where a parameter is said to be one number or one per
    axis, the axes are those of `shape`.

    Parameters
    ----------
    *shape : int
        Number of cells along each axis: (h, w) for an image, (t, h, w) for a video.
    start, step : float, or one per axis, default 0 and 1
        Coordinate of the first cell, and from one to the next.
    normalize : bool, default False
        Whether to go on from a coordinate p to (p + offset) / (last + eps), where `last` is p of the axis' last cell.
        With start=1 that is what DETR does, and with offset=-0.5 as well Deformable DETR.
    offset : float, or one per axis, default 0
    eps : float, default 1e-6
        See `normalize`.
    order : sequence of int, optional
        Whose axis' coordinate stands first, second ...: (1, 0) gives x before y. Default: (0, 1, ...), as encodings
        over several axes expect it, whatever the order of their columns.

    Returns
    -------
    ndarray of shape (*shape, len(shape)), float64

    Raises
    ------
    TypeError, ValueError
        If an argument is not of the kind or shape described above.

    Examples
    --------
    >>> import posenc
    >>> posenc.grid(2, 3)[1]  # (y, x) of the second row
    array([[1., 0.],
           [1., 1.],
           [1., 2.]])
    >>> normalized = posenc.grid(4, 4, start=1, normalize=True)
    >>> posenc.encode(normalized, 8, encoding=posenc.get_encoding("detr", normalize=True)).shape
    (4, 4, 8)
    """
    sizes = tuple(_validate.integer(size, "shape", minimum=0) for size in shape)
    if not sizes:
        raise ValueError("shape: expected the size of at least 1 axis, got none")
    if not isinstance(normalize, (bool, np.bool_)):
        raise TypeError(f"normalize: expected True or False, got {_validate.shown(normalize)}")
    count = len(sizes)
    first, gap, shift = (
        _per_axis(value, name, count) for value, name in ((start, "start"), (step, "step"), (offset, "offset"))
    )
    last = first + gap * (np.array(sizes) - 1)
    below = last + _per_axis(eps, "eps", count)
    if normalize and not below.all():
        raise ValueError(f"eps: expected last coordinates + eps other than 0, got {last.tolist()} + {eps}")
    axes = _validate.axis_order(order, "order", count)
    result = np.empty((*sizes, count))
    for place, a in enumerate(axes):
        line = first[a] + gap[a] * np.arange(sizes[a])
        if normalize:
            line = (line + shift[a]) / below[a]
        result[..., place] = line.reshape(-1, *(1,) * (count - 1 - a))
    return result


def _per_axis(value: Any, name: str, count: int) -> NDArray[np.float64]:
    numbers = _positions.numbers(value, name)
    if numbers.shape not in ((), (count,)):
        raise ValueError(f"{name}: expected a number or one for each of {count} axes, got shape {numbers.shape}")
    return np.broadcast_to(numbers, (count,))


class Places(NamedTuple):
    """Where the rows of an array stand.

    Attributes
    ----------
    lines : list of ndarray, or None
        The positions along each axis of a grid, if each is the same for all cells that share its index.
    cells : ndarray, or None
        Otherwise the positions of each cell, (k, *inner) or (k, *leading, *inner) in the terms of `Axes`.
    chosen : ndarray of bool, or None
        The cells to write, in one of these shapes without k; None for all.
    """

    lines: list[NDArray[np.float64]] | None
    cells: NDArray[np.float64] | None
    chosen: NDArray[np.bool_] | None


def places(axes: Axes, offsets: Sequence[float], start: Any, positions: Any, mask: Any, cu_seqlens: Any) -> Places:
    """The places of the rows of an array, for an encoding over as many axes as there are `offsets`."""
    count = len(offsets)
    if cu_seqlens is not None:
        raise ValueError(f"cu_seqlens: expected None for an encoding over {count} axes, got {cu_seqlens!r}")
    cells: Any = None
    lines: list[NDArray[np.float64]] | None
    if positions is None:
        name = "start"
        starts = _per_axis(start, name, count)
        for first, size in zip(starts, axes.inner, strict=True):
            _positions.refuse_beyond(first, size, name)
        lines = [first + np.arange(size) for first, size in zip(starts, axes.inner, strict=True)]
    else:
        name = "positions"
        _positions.refuse_both(positions, start, cu_seqlens)
        cells = np.moveaxis(axes.spread(_positions.numbers(positions, name), name, count), -1, 0)
        lines = _lines(cells)
        if lines is not None:
            cells = None
    for values, offset in zip(cells if lines is None else lines, offsets, strict=True):
        if offset:
            values += offset
            _positions.refuse_beyond(values, 1, name, offset)
    chosen = None if mask is None else axes.spread(_positions.truths(mask), "mask")
    return Places(lines, cells, None if chosen is None or chosen.all() else chosen)


def _lines(cells: NDArray[np.float64]) -> list[NDArray[np.float64]] | None:
    """What `Places` calls lines, where `cells` consist of them."""
    count, shape = len(cells), cells.shape[1:]
    if len(shape) < count or 0 in shape:
        return None
    lines = []
    for values, axis in zip(cells, range(len(shape) - count, len(shape)), strict=True):
        line = values[tuple(slice(None) if i == axis else slice(1) for i in range(len(shape)))]
        if not (values == line).all():
            return None
        lines.append(line.flatten())
    return lines


def _has_planes(array: NDArray[Any] | None, count: int) -> bool:
    """Whether each channel of (*leading, *inner, D), `count` inner axes, is one piece of memory, or evenly spaced."""
    assert array is not None
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

    run: ModuleType
    x: NDArray[Any] | None
    out: NDArray[Any]
    spectra: Sequence[Spectrum]
    scale: float
    threads: int

    def at(self, where: Places) -> None:
        lines, cells, chosen = where
        if lines is not None and chosen is None:
            self._at_lines(lines)
            return
        if cells is None:
            assert lines is not None
            cells = np.stack(np.meshgrid(*lines, indexing="ij"))
        if chosen is not None or cells.ndim - 1 <= len(self.spectra):
            self._at_cells(cells, chosen)
            return
        for image in np.ndindex(cells.shape[1 : -len(self.spectra)]):  # each has its own grid, or none
            own = cells[(slice(None), *image)]
            self._part(image).at(Places(_lines(own), own, None))

    def _part(self, index: tuple[Any, ...]) -> Job:
        out = self.out[index]
        return self._replace(x=out if self.x is self.out else None if self.x is None else self.x[index], out=out)

    def _rows(self, *shape: int) -> NDArray[Any]:
        """New memory for rows of single axes, as a backend's `merge` wants them."""
        wide = self.out.dtype if self.x is None or self.out.dtype == np.float64 else np.float32
        return np.empty((*shape, self.out.shape[-1]), wide)

    def _at_lines(self, lines: Sequence[NDArray[np.float64]]) -> None:
        """Write a grid, the rows of each axis made once."""
        height = max(1, AXIS_ELEMENTS // self.out.shape[-1])
        memory = [self._rows(min(height, len(line))) for line in lines]
        for corner in itertools.product(*(range(0, len(line), height) for line in lines)):
            block = tuple(slice(first, first + height) for first in corner)
            parts = []
            for rows, spectrum, line, chunk in zip(memory, self.spectra, lines, block, strict=True):
                parts.append(rows[: len(line[chunk])])
                self.run.fill(parts[-1], spectrum, line[None, chunk], self.threads)
            part = self._part((..., *block, slice(None)))
            if _has_planes(part.out, len(lines)) and (self.x is None or _has_planes(part.x, len(lines))):
                part._by_planes(parts)
            else:
                self.run.merge(part.x, part.out, parts, self.scale, self.threads)

    def _by_planes(self, parts: Sequence[NDArray[Any]]) -> None:
        """Write a grid whose channels come first in memory: what are rows for `merge` are its planes."""
        count, dim = len(parts), self.out.shape[-1]
        sizes = [len(rows) for rows in parts]
        x, out = (None if a is None else _planes(a, count) for a in (self.x, self.out))
        assert out is not None
        height = max(1, PLANE_ELEMENTS // math.prod(sizes))
        memory = np.empty((min(height, dim), *sizes), parts[0].dtype)
        bits = f"u{memory.itemsize}"
        for first in range(0, dim, height):
            channels = slice(first, first + height)
            planes = memory[: len(range(dim)[channels])]
            planes[...] = 0
            for axis, rows in enumerate(parts):
                lines = rows[:, channels].T.reshape(-1, *(1,) * axis, sizes[axis], *(1,) * (count - 1 - axis))
                np.bitwise_or(planes.view(bits), lines.view(bits), out=planes.view(bits))
            here = (..., channels, slice(None))
            old = x if x is None else x[here]
            self.run.merge(old, out[here], [planes.reshape(len(planes), -1)], self.scale, self.threads)

    def _at_cells(self, cells: NDArray[np.float64], chosen: NDArray[np.bool_] | None) -> None:
        """Write cells in any order, a few at a time; those not chosen become zero, or stay as they are."""
        shape = np.broadcast_shapes(cells.shape[1:], () if chosen is None else chosen.shape)
        all_values = [np.broadcast_to(values, shape) for values in cells]
        sequences = math.prod(self.out.shape[: self.out.ndim - 1 - len(shape)])
        height = max(1, TILE_ELEMENTS // (self.out.shape[-1] * max(1, sequences)))
        memory = self._rows(len(cells), height)
        bits = memory.view(f"u{memory.itemsize}")
        wanted = None
        if chosen is not None:
            chosen = np.broadcast_to(chosen, shape)
            wanted = np.flatnonzero(chosen)
        count = math.prod(shape) if wanted is None else len(wanted)
        for first in range(0, count, height):
            last = min(first + height, count)
            index = np.unravel_index(np.arange(first, last) if wanted is None else wanted[first:last], shape)
            rows = memory[:, : last - first]
            for part, spectrum, values in zip(rows, self.spectra, all_values, strict=True):
                self.run.fill(part, spectrum, values[index][None], self.threads)
            for other in bits[1:, : last - first]:
                bits[0, : last - first] |= other
            here: Any = (..., *index, slice(None))
            if self.x is None:
                self.out[here] = rows[0]
            else:
                sums = self.x[here]
                self.run.merge(sums, sums, [rows[0]], self.scale, self.threads)
                self.out[here] = sums
        if self.x is None and chosen is not None:
            self.out[(..., ~chosen, slice(None))] = 0
