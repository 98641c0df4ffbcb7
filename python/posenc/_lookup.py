"""Token ids, and the rows of a table that they name. All ids are checked before anything is written."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _arrays, _refusals, _validate
from ._blocks import blocks
from ._positions import CHECKED

OVERLAP_WORK = 10_000  # how long to look for an element that two arrays share, in units of np.shares_memory


class Lookup(NamedTuple):
    """What `embed` reads.

    Attributes
    ----------
    ids : ndarray of integers, (..., L)
    table : ndarray, (V, D)
    """

    ids: NDArray[Any]
    table: NDArray[Any]

    def checked(self, mask: NDArray[Any] | None) -> NDArray[np.int64]:
        """A copy of the ids, each that of a row of the table, or -1 where `mask` is 0."""
        ids, count = self.ids, len(self.table)
        checked = np.empty(ids.shape, np.int64)
        real = None if mask is None else np.broadcast_to(mask, ids.shape)
        for index in blocks(ids.shape, CHECKED):
            part = ids[index].copy()  # another thread may change them between a look and the use
            if real is None and part.size and part.min() >= 0 and part.max() < count:
                checked[index] = part
                continue
            named = np.asarray((part >= 0) & (part < count), np.bool_)
            here = np.ones(part.shape, np.bool_) if real is None else real[index] != 0
            wrong = here & ~named
            if wrong.any():
                first = tuple(int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape))
                place = (*index[:-1], index[-1].start + first[0], *first[1:]) if index else first
                raise _refusals.token(int(part[first]), place, count, mask is not None)
            checked[index] = np.where(here, np.where(named, part, 0).astype(np.int64), -1)
        return checked


def lookup(ids: Any, table: Any) -> Lookup:
    """Views of what a user passes."""
    view = _validate.readable(table, "table")
    if view.ndim != 2:
        raise _refusals.table_shape(view.shape)
    if not view.shape[1]:
        raise ValueError(f"table: expected at least 1 channel, shape (V, D), got {view.shape}; give its rows some")
    return Lookup(integers(ids), view)


def integers(ids: Any) -> NDArray[Any]:
    """What a user passes as ids; their values are not checked yet."""
    array = _arrays.numbers(ids, "ids")
    if array.dtype == np.float64 and isinstance(
        ids, (list, tuple)
    ):  # as NumPy has them if there are none, or large ones
        boxed = np.array(ids, object)
        if all(type(item) is int for item in boxed.flat):
            array = boxed
    big = array.dtype == object and all(type(item) is int for item in array.flat)  # beyond 64 bits
    if array.dtype.kind not in "iu" and not big:
        raise _refusals.token_kind(ids, array)
    if not array.ndim:
        raise ValueError(
            "ids: expected at least 1 dimension, (..., L), got shape (); `ids=[ids]` is a sequence of one token"
        )
    return array


def refuse_overlap(out: NDArray[Any], others: Lookup) -> None:
    """Refuse to write what is being read."""
    for name, array in zip(others._fields, others, strict=True):
        if _share_memory(out, array):
            raise ValueError(
                f"out: expected memory of its own, got some that is also that of {name}; `out=None` makes a new array"
            )


def _share_memory(a: NDArray[Any], b: NDArray[Any]) -> bool:
    try:
        return np.shares_memory(a, b, OVERLAP_WORK)  # type: ignore[arg-type]  # stubs know of -1 and 0 only
    except np.exceptions.TooHardError:
        return True
