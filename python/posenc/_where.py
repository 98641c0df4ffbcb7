"""What users say about positions, and the axes of an array that it is about."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _refusals, _validate
from ._positions import fits


class Where(NamedTuple):
    """What a user says about positions, and about the axes along which they run."""

    start: Any = 0
    positions: Any = None
    mask: Any = None
    cu_seqlens: Any = None
    seq_axis: Any = None
    channel_axis: Any = -1
    grid: Any = None
    prefix: Any = 0


class Axes(NamedTuple):
    """The axes of an array: how its user counts them, and in which order a backend takes them.

    Attributes
    ----------
    shape : tuple of int
        Of the user's array, channels left out.
    order : tuple of int, or None
        The user's axes as a backend takes them, the channels last; None if that is how they are.
    leading, sequence : tuple of int
        The sizes of the others in that order: of those before the axes along which positions run, and of these.
    inner : tuple of int
        `sequence`, or the sizes of the grid that the rows of a single sequence axis are the cells of.
    prefix : int
        How many rows stand before those cells and have no position.
    """

    shape: tuple[int, ...]
    order: tuple[int, ...] | None
    leading: tuple[int, ...]
    sequence: tuple[int, ...]
    inner: tuple[int, ...]
    prefix: int = 0

    def view(self, array: NDArray[Any]) -> NDArray[Any]:
        """The user's array as (*leading, *sequence, D)."""
        return array if self.order is None else array.transpose(self.order)

    def cells(self, array: NDArray[Any]) -> NDArray[Any]:
        """Of (..., *sequence, *others) what is not prefix, as (..., *inner, *others); a view.

        Others are those that `array` has more than `view` without channels has.
        """
        if self.inner == self.sequence and not self.prefix:
            return array
        axis = len(self.leading) if array.ndim > len(self.leading) else 0
        rest = array[(*(slice(None),) * axis, slice(self.prefix, None))]
        return rest.reshape(*array.shape[:axis], *self.inner, *array.shape[axis + 1 :])

    def spread(self, values: NDArray[Any], name: str, *last: int) -> NDArray[Any]:
        """`values`, one (or `last`) for each row, as (*sequence, *last) or (*leading, *sequence, *last).

        Nothing is copied, except where coordinates of a grid are those of a list of rows.
        """
        whole = (*self.shape, *last)
        common = (*self.sequence, *last)
        if values.shape == common:
            return values
        if values.shape != whole:
            size = values.ndim - len(last)
            rows, k = values.shape[:size], (*last, 0)[0]
            if len(self.sequence) == 1 and size == k > 1 and rows != self.shape and math.prod(rows) == self.sequence[0]:
                return values.reshape(common)  # the cells of a grid as a list
            if not fits(rows, self.shape) or values.shape[size:] != last:
                raise _refusals.shape(name, values.shape, common, whole, self.leading if self.order is None else None)
        if self.order is not None:
            order = self.outer_order()
            values = values.transpose(*order, *range(len(order), values.ndim))
        count = len(self.leading)
        if math.prod(values.shape[:count]) == 1:
            values, wanted = values[(0,) * count], common
        else:
            wanted = (*self.leading, *common)
        return values if values.shape == wanted else np.broadcast_to(values, wanted)

    def outer_order(self) -> tuple[int, ...]:
        """The axes of `shape` in the order (*leading, *sequence)."""
        if self.order is None:
            return tuple(range(len(self.shape)))
        channel = self.order[-1]
        return tuple(axis - (axis > channel) for axis in self.order[:-1])


def axes(shape: tuple[int, ...], name: str, count: int, where: Where, coordinates: tuple[int, ...] | None) -> Axes:
    """The axes of an array of `shape` for an encoding over `count` of them.

    `coordinates` is the shape of where.positions, if there are any.
    """
    ndim = len(shape)
    seq_axis, channel_axis = where.seq_axis, where.channel_axis
    if ndim < 2:
        raise _refusals.too_few_dimensions(name, shape)
    plain = seq_axis is None and type(channel_axis) is int and channel_axis == -1 and shape[-1]
    if plain and count == 1 and where.grid is None and type(where.prefix) is int and where.prefix == 0:
        return Axes(shape[:-1], None, shape[:-2], shape[-2:-1], shape[-2:-1])  # the usual case, and a fast one
    channel = _channel(channel_axis, name, shape)
    outer = [axis for axis in range(ndim) if axis != channel]
    sizes = tuple([shape[axis] for axis in outer])
    if where.grid is not None:
        inner = outer[-1:] if seq_axis is None else _sequence_axes(seq_axis, name, shape, channel)
        if len(inner) != 1:
            raise TypeError(
                f"seq_axis: expected one axis, that of the tokens, with grid=, got {seq_axis!r}; several axes that are "
                "a grid need no grid="
            )
    elif seq_axis is not None:
        inner = _sequence_axes(seq_axis, name, shape, channel)
        if len(inner) != count and (len(inner) > 1 or coordinates is None):
            raise _refusals.sequence_axes(seq_axis, count)
    else:
        wanted = count
        if count > 1 and coordinates is not None:
            wanted = _coordinate_axes(coordinates[:-1], sizes, count)
        if wanted > len(outer):
            raise _refusals.too_few_axes(name, shape, count, sizes[-1])
        if count > 1 and coordinates is None and ndim == count + 1:
            raise _refusals.ambiguous(name, shape, tuple(outer))
        inner = outer[-wanted:]
    leading = [axis for axis in outer if axis not in inner]
    order = (*leading, *inner, channel)
    sequence = tuple([shape[axis] for axis in inner])
    cells, prefix = sequence, 0
    if where.grid is not None:
        cells, prefix = _token_grid(where, count, sequence[0])
    elif prefix := _validate.integer(where.prefix, "prefix", minimum=0):
        raise _refusals.prefix_without_grid(prefix, sequence, count)
    return Axes(
        sizes,
        None if order == tuple(range(ndim)) else order,
        tuple([shape[axis] for axis in leading]),
        sequence,
        cells,
        prefix,
    )


def _channel(channel_axis: Any, name: str, shape: tuple[int, ...]) -> int:
    """The axis of the channels, counted from 0."""
    ndim = len(shape)
    channel = _validate.integer(channel_axis, "channel_axis")
    if not -ndim <= channel < ndim:
        raise ValueError(
            f"channel_axis: expected an axis of {name}, got {channel} for shape {shape}; `channel_axis=-1` is the last"
        )
    channel %= ndim
    if shape[channel] == 0:
        where = "the last dimension" if channel == ndim - 1 else f"dimension {channel}"
        raise ValueError(
            f"{name}: expected at least 1 channel in {where}, got shape {shape}; channel_axis= names another one"
        )
    return channel


def _coordinate_axes(given: tuple[int, ...], sizes: tuple[int, ...], count: int) -> int:
    """Along how many of the last axes coordinates run: of rows in a list, or of cells in a grid."""
    number = max(1, min(count, len(sizes), len(given)))
    if given == sizes[-number:] or fits(given, sizes):
        return number
    return 1 if len(given) == count and math.prod(given) == sizes[-1] else number


def _sequence_axes(seq_axis: Any, name: str, shape: tuple[int, ...], channel: int) -> list[int]:
    """The axes that a user means."""
    ndim = len(shape)
    if isinstance(seq_axis, list):
        raise TypeError(
            f"seq_axis: expected an integer or a tuple of integers, got {seq_axis!r} (list); `seq_axis=tuple(seq_axis)`"
        )
    chosen = []
    for item in seq_axis if isinstance(seq_axis, tuple) else (seq_axis,):
        axis = _validate.integer(item, "seq_axis")
        if not -ndim <= axis < ndim or axis % ndim == channel:
            raise _refusals.sequence_axis(axis, name, shape, channel)
        chosen.append(axis % ndim)
    if sorted(set(chosen)) != chosen:
        raise ValueError(
            f"seq_axis: expected axes in increasing order, got {seq_axis}; an encoding's axis_order= orders "
            "the columns of its axes"
        )
    return chosen


def _token_grid(where: Where, count: int, length: int) -> tuple[tuple[int, ...], int]:
    """The sizes that grid= says, and the rows before them."""
    expected = f"a tuple of {count} integers, the sizes of the grid"
    given = where.grid if count > 1 or not isinstance(where.grid, (int, np.integer)) else (where.grid,)
    sizes = tuple(_validate.integer(n, "grid", minimum=0) for n in _validate.sequence(given, "grid", expected))
    if len(sizes) != count:
        raise _refusals.grid_axes(expected, sizes, count)
    prefix = _validate.integer(where.prefix, "prefix", minimum=0)
    if where.positions is not None:
        raise ValueError(
            "positions: expected either grid or positions, got both; leave one of them out (coordinates of tokens take "
            "the shape of the grid, or one row for each token)"
        )
    if where.cu_seqlens is not None:
        raise ValueError("cu_seqlens: expected either grid or cu_seqlens, got both; leave one of them out")
    if prefix + math.prod(sizes) != length:
        raise _refusals.token_grid(sizes, prefix, length)
    return sizes, prefix
