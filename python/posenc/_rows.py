"""Where the rows of an array stand, for an encoding over one axis; the others: _axes.py.

Everything is checked whole before anything is written, without copies; the positions that a backend takes are made of
one block of rows at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _arrays, _positions, _refusals
from ._blocks import blocks
from ._positions import LARGEST, fits
from ._where import Axes, Where

SEQUENCES = 2**16  # that a backend is given at a time
POSITIONS = 2**17  # that are made at a time, where rows have positions of their own


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

    def unmasked(self) -> Rows:
        """The same without the mask, if masked rows stand at positions that are allowed as well."""
        bare = self._replace(mask=None)
        if self.mask is None or _beyond(bare)[0] is not None:
            return self
        return bare._replace(explicit=_is_explicit(bare))

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
                    length = 1 if self.every else self.length
                    raise _positions.refusal(worst.item(), self.name, length, self.offset, self.values)


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
    rows = Rows(axes.leading, length, name, values, every, bounds, mask, offset)
    _check(rows)
    return rows._replace(explicit=_is_explicit(rows))


def _is_explicit(rows: Rows) -> bool:
    if rows.every or rows.bounds is not None or rows.mask is not None:
        return True
    return not (rows.offset == 0.0 or _counts_on(rows.values, rows.offset))


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


def _beyond(rows: Rows) -> tuple[Any, int]:
    """A position, or a start, that is not allowed, or None, and of how many rows; whatever the mask hides."""
    if rows.bounds is not None:
        return _beyond_packed(rows.values, rows.bounds, rows.offset)
    length = 1 if rows.every else rows.length
    return _positions.beyond(once(rows.values), length, rows.offset), length


def _check(rows: Rows) -> None:
    """Refuse positions that are not allowed."""
    worst, length = _beyond(rows)
    if worst is None:
        return
    if rows.mask is None or 0 in (*rows.leading, rows.length):
        raise _positions.refusal(worst, rows.name, length, rows.offset, rows.values)
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
