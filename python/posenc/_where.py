"""Where the rows of an array stand: from what users say to what backends take. Encodings over several axes: _axes.py.

Everything is checked whole before anything is written, without copies; the positions that a backend takes are made of
one block of rows at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _arrays, _positions, _refusals, _validate
from ._blocks import blocks
from ._positions import LARGEST, fits

SEQUENCES = 2**16  # that a backend is given at a time
POSITIONS = 2**17  # that are made at a time, where rows have positions of their own


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


def owned(values: NDArray[Any], target: NDArray[Any] | None) -> NDArray[Any]:
    """`values` to be read while `target` is written: a copy if they may share memory."""
    return values.copy() if target is not None and np.may_share_memory(values, target) else values


class Rows(NamedTuple):
    """Where the rows of an array (*leading, L, D) stand. Nothing is copied from what the user gave.

    Attributes
    ----------
    values : ndarray
        Of any dtype: starts, () or (*leading), or positions, (L,) or (*leading, L); with `bounds`, the starts of packed
        sequences (S,).
    every : bool
        Whether `values` are positions of every row.
    bounds : ndarray of int, or None
        Where packed sequences begin, and where the last one ends.
    mask : ndarray, or None
        Not 0 where a row is real: (L,) or (*leading, L).
    offset : float
        What the encoding adds to a position.
    explicit : bool
        Whether a backend has to be told every position, since it can't count on from starts.
    """

    leading: tuple[int, ...]
    length: int
    name: str
    values: NDArray[Any]
    every: bool = False
    bounds: NDArray[Any] | None = None
    mask: NDArray[Any] | None = None
    offset: float = 0.0
    explicit: bool = False

    @property
    def own_values(self) -> bool:
        """Whether sequences differ in their starts or positions."""
        return self.bounds is None and self.values.ndim > self.every

    @property
    def own_mask(self) -> bool:
        return self.mask is not None and self.mask.ndim > 1

    def parts(self) -> Iterator[tuple[Any, NDArray[np.float64]]]:
        """What to give to a backend, one call after the other: an index of (*leading, L, D), and the positions there.

        The index is None if it is all. Positions are as backends take them, float64: (1,) or (N,), the start of all
        sequences, or of each; (1, L) or (N, L): every position, NaN for a masked row.
        """
        own = self.own_values or self.own_mask
        count = math.prod(self.leading)
        if count <= SEQUENCES and (not self.explicit or self.length * (count if own else 1) <= POSITIONS):
            yield None, self.at((), 0, self.length)
            return
        rows = min(self.length, POSITIONS) if self.explicit else self.length
        spans = [(first, min(first + rows, self.length)) for first in range(0, self.length, rows)]
        if own:
            most = max(1, POSITIONS // rows) if self.explicit else SEQUENCES
            for index in blocks(self.leading, most):
                for span in spans:
                    yield (*index, ..., slice(*span), slice(None)), self.at(index, *span)
        else:
            for span in spans:
                positions = self.at((), *span)
                for index in blocks(self.leading, SEQUENCES):
                    yield (*index, ..., slice(*span), slice(None)), positions

    def at(self, index: tuple[Any, ...], first: int, last: int) -> NDArray[np.float64]:
        """The positions of rows [first, last) of the sequences at an index of `leading`, as backends take them."""
        if not self.explicit:
            starts = np.array(self.values[index] if index else self.values, np.float64, order="C").reshape(-1)
            return starts + self.offset if self.offset else starts
        values, counted = self._bare(index, first, last)
        positions = np.array(values, np.float64, order="C")
        if counted is not None:
            positions = positions + counted
        if self.offset:
            positions += self.offset
        if self.mask is not None:
            positions = np.where(self._real(index, first, last), positions, np.nan)
        return np.ascontiguousarray(positions.reshape(math.prod(positions.shape[:-1]), last - first))

    def _bare(self, index: tuple[Any, ...], first: int, last: int) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """The values as they were given, of rows (..., last - first), or starts (..., 1) and what to count on."""
        if self.bounds is not None:
            return _packed(self.bounds, self.values, first, last)
        values = self.values
        if self.every:
            return values[(*index, ..., slice(first, last)) if self.own_values else slice(first, last)], None
        return values[index if self.own_values else ()][..., None], np.arange(first, last)

    def _real(self, index: tuple[Any, ...], first: int, last: int) -> NDArray[np.bool_]:
        assert self.mask is not None
        here = self.mask[(*index, ..., slice(first, last)) if self.own_mask else slice(first, last)]
        real: NDArray[np.bool_] = here != 0
        return real

    def check_real(self) -> None:
        """Refuse a real row at a position that is not allowed. Those that the mask hides may be anything."""
        leading = self.leading if self.own_values or self.own_mask else ()
        for index in blocks(leading, max(1, _positions.CHECKED // self.length)):
            for first in range(0, self.length, _positions.CHECKED):
                last = min(first + _positions.CHECKED, self.length)
                values, counted = self._bare(index, first, last)
                allowed = (values >= -LARGEST) & (values <= LARGEST)
                with np.errstate(all="ignore"):
                    positions = values.astype(np.float64)
                    if counted is not None:
                        allowed = allowed & (positions <= LARGEST - counted)
                        positions = positions + counted
                    allowed = allowed & (np.abs(positions + self.offset) <= LARGEST)
                wrong = ~allowed & self._real(index, first, last)
                if wrong.any():
                    worst = np.broadcast_to(values, wrong.shape)[wrong].flat[0]
                    raise _positions.refusal(worst.item(), self.name, 1 if self.every else self.length, self.offset)


def place(axes: Axes, offset: float, where: Where, given: NDArray[Any] | None, target: NDArray[Any] | None) -> Rows:
    """Where the rows of an array stand, all of them checked. `given` are the positions, if there are any.

    What shares memory with `target`, the array to be written, is copied; so has been `given`.
    """
    (length,) = axes.inner
    start = where.start
    plain = type(start) in (int, float) and -LARGEST <= start <= LARGEST
    if plain and given is where.mask is where.cu_seqlens is None and start <= LARGEST - length and offset == 0.0:
        return Rows(axes.leading, length, "start", np.array(start))  # the usual case, and a fast one
    mask = None
    if where.mask is not None:
        mask = axes.cells(axes.spread(owned(_positions.truths(where.mask), target), "mask"))
        mask = None if once(mask).all() else mask
    bounds = None
    if given is not None:
        refuse_both(where)
        name, values = "positions", axes.spread(given, "positions")
    else:
        name = "start"
        values = np.array(start) if plain else owned(_positions.numbers(start, name), target)
        if where.cu_seqlens is not None:
            bounds = owned(_bounds(where, values, length), target)
            values = np.broadcast_to(values, (len(bounds) - 1,))
        else:
            values = _starts(values, axes)
    every = given is not None
    explicit = every or bounds is not None or mask is not None or not (offset == 0.0 or _counts_on(values, offset))
    rows = Rows(axes.leading, length, name, values, every, bounds, mask, offset, explicit)
    _check(rows)
    return rows


def refuse_both(where: Where) -> None:
    if not (type(where.start) is int and where.start == 0):
        raise ValueError(
            "positions: expected either start or positions, got both; leave one out (positions may contain start)"
        )
    if where.cu_seqlens is not None:
        raise ValueError(
            "positions: expected either cu_seqlens or positions, got both; leave one out (positions may begin anew "
            "anywhere)"
        )


def _check(rows: Rows) -> None:
    """Refuse positions that are not allowed."""
    if rows.bounds is None:
        length = 1 if rows.every else rows.length
        worst = _positions.beyond(once(rows.values), length, rows.offset)
    else:
        worst, length = _beyond_packed(rows.values, rows.bounds, rows.offset)
    if worst is None:
        return
    if rows.mask is None or 0 in (*rows.leading, rows.length):
        raise _positions.refusal(worst, rows.name, length, rows.offset)
    rows.check_real()


def once(values: NDArray[Any]) -> NDArray[Any]:
    """`values` without their repetitions along axes of stride 0."""
    if 0 not in values.strides or 0 in values.shape:
        return values
    return values[tuple([slice(1) if stride == 0 else slice(None) for stride in values.strides])]


def _starts(values: NDArray[Any], axes: Axes) -> NDArray[Any]:
    """Starts of all sequences, (), or of each, (*leading)."""
    if not values.ndim:
        return values
    wanted = axes.leading
    shape = values.shape
    if len(shape) == len(axes.shape):  # beside the rows: one for all of them
        (place,) = axes.outer_order()[len(axes.leading) :]
        if shape[place] == 1:
            shape = (*shape[:place], *shape[place + 1 :])
    if shape != wanted and not fits(shape, wanted):
        raise _refusals.starts(values.shape, wanted)
    if shape != values.shape:
        values = values.reshape(shape)
    if values.size == 1:
        return values.reshape(())
    return values if shape == wanted else np.broadcast_to(values, wanted)


def _counts_on(values: NDArray[Any], offset: float) -> bool:
    """Whether (start + i) + offset is (start + offset) + i in float64, for every row i."""
    values = once(values)
    for index in blocks(values.shape, _positions.CHECKED):
        starts = values[index].astype(np.float64)
        moved = starts + offset
        added = moved - starts
        error = (starts - (moved - added)) + (offset - added)  # two_sum
        if not ((error == 0.0) & (starts == np.floor(starts))).all():
            return False
    return True


def _bounds(where: Where, starts: NDArray[Any], length: int) -> NDArray[Any]:
    """The bounds of packed sequences, checked."""
    bounds = _arrays.numbers(where.cu_seqlens, "cu_seqlens")
    expected = f"cu_seqlens: expected integers from 0 to {length}, the number of rows, none below the one before"
    if bounds.ndim != 1 or bounds.size == 0:
        raise _refusals.packed_shape(expected, bounds.shape)
    if bounds.dtype.kind not in "iu":
        raise _refusals.packed_kind(expected, where.cu_seqlens, bounds)
    first, last = int(bounds[0]), int(bounds[-1])
    falls = _first_fall(bounds)
    if first != 0 or last != length:
        raise _refusals.packed_ends(expected, bounds, length, falls is None, bool(starts.ndim))
    if falls is not None:
        raise _refusals.packed_order(expected, *falls)
    count = len(bounds) - 1
    if starts.ndim and not fits(starts.shape, (count,)):
        raise _refusals.starts(starts.shape, (count,))
    return bounds


def _first_fall(bounds: NDArray[Any]) -> tuple[int, int] | None:
    """The first two neighbours of which the second is less."""
    for first in range(0, len(bounds) - 1, _positions.CHECKED):
        part = bounds[first : first + _positions.CHECKED + 1]
        less = part[1:] < part[:-1]
        if less.any():
            i = int(np.argmax(less))
            return int(part[i]), int(part[i + 1])
    return None


def _beyond_packed(values: NDArray[Any], bounds: NDArray[Any], offset: float) -> tuple[Any, int]:
    """The start of a packed sequence that is not allowed, or None, and the length of that sequence."""
    if _positions.beyond(once(values), int(bounds[-1]), offset) is None:
        return None, 0  # not even if one sequence had all rows
    worst = _positions.beyond(once(values))
    if worst is not None:
        return worst, 1
    for first in range(0, len(values), _positions.CHECKED):
        starts = values[first : first + _positions.CHECKED].astype(np.float64)
        lengths = np.diff(bounds[first : first + _positions.CHECKED + 1].astype(np.int64))
        beyond = (starts + offset > LARGEST - np.maximum(lengths - 1, 0)) | (starts + offset < -LARGEST)
        beyond &= lengths > 0
        if beyond.any():
            i = int(np.argmax(beyond))
            return starts[i].item(), int(lengths[i])
    return None, 0


def _packed(bounds: NDArray[Any], starts: NDArray[Any], first: int, last: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """For rows [first, last) the start of the packed sequence that each is in, and its number there."""
    values, counted = np.empty(last - first, starts.dtype), np.empty(last - first, np.int64)
    begin = _last_at_most(bounds, first)
    row = first
    while row < last:
        here: NDArray[Any] = bounds[begin : begin + _positions.CHECKED + 1].astype(np.int64)
        cut: NDArray[Any] = np.clip(here, row, last)
        lengths = cut[1:] - cut[:-1]
        end = min(int(here[-1]), last)
        where = slice(row - first, end - first)
        values[where] = np.repeat(starts[begin : begin + len(lengths)], lengths)
        counted[where] = np.arange(row, end) - np.repeat(here[:-1], lengths)
        row = max(row, end)
        begin += len(lengths)
    return values, counted


def _last_at_most(bounds: NDArray[Any], row: int) -> int:
    """The last of the ascending bounds that is not beyond a row; by halves, as NumPy would copy some of them whole."""
    low, high = 0, len(bounds)
    while high - low > 1:
        middle = (low + high) // 2
        if bounds[middle] <= row:
            low = middle
        else:
            high = middle
    return low
