"""Where the rows of an array stand: from what users say to what backends take. Encodings over several axes: _grid.py.

Everything is checked whole before anything is written; the wording of refusals is that of _validate.py.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _arrays, _validate, _ways

LARGEST = 2**53
LAST = -1  # Python has only one of it, as of other small integers


class Axes(NamedTuple):
    """The axes of an array: how its user counts them, and in which order a backend takes them.

    Attributes
    ----------
    shape : tuple of int
        Of the user's array, channels left out.
    order : tuple of int, or None
        The user's axes as a backend takes them, the channels last; None if that is how they are.
    leading, inner : tuple of int
        The sizes of the others in that order: of those before the axes along which positions run, and of these.
    """

    shape: tuple[int, ...]
    order: tuple[int, ...] | None
    leading: tuple[int, ...]
    inner: tuple[int, ...]

    def view(self, array: NDArray[Any]) -> NDArray[Any]:
        """The user's array as (*leading, *inner, D)."""
        return array if self.order is None else array.transpose(self.order)

    def spread(self, values: NDArray[Any], name: str, *last: int) -> NDArray[Any]:
        """`values`, one (or `last`) for each place, as (*inner, *last) or (*leading, *inner, *last)."""
        expected = [(*self.inner, *last), (*self.shape, *last)]
        if values.shape == expected[0]:
            return values
        if values.shape != expected[1]:
            raise ValueError(
                f"{name}: expected shape {' or '.join(map(str, dict.fromkeys(expected)))}, got {values.shape}"
            )
        if self.order is None:
            return values
        channel = self.order[-1]
        outer = [axis - (axis > channel) for axis in self.order[:-1]]
        return values.transpose(*outer, *range(len(outer), values.ndim))


def axes(shape: tuple[int, ...], name: str, count: int, positions: Any, seq_axis: Any, channel_axis: Any) -> Axes:
    """The axes of an array of `shape` for an encoding over `count` of them."""
    ndim = len(shape)
    if ndim < 2:
        raise ValueError(f"{name}: expected at least 2 dimensions (a sequence axis and channels), got shape {shape}")
    if seq_axis is None and channel_axis is LAST and count == 1 and shape[-1]:
        return Axes(shape[:-1], None, shape[:-2], shape[-2:-1])  # the usual case, and a fast one
    channel = _validate.integer(channel_axis, "channel_axis")
    if not -ndim <= channel < ndim:
        raise ValueError(f"channel_axis: expected an axis of {name}, got {channel} for shape {shape}")
    channel %= ndim
    if shape[channel] == 0:
        where = "the last dimension" if channel == ndim - 1 else f"dimension {channel}"
        raise ValueError(f"{name}: expected at least 1 channel in {where}, got shape {shape}")
    outer = [axis for axis in range(ndim) if axis != channel]
    if seq_axis is None:
        if count > 1 and positions is not None:  # coordinates of rows in a list, or of those in a grid
            count = max(1, min(count, len(outer), _arrays.numbers(positions, "positions").ndim - 1))
        if count > len(outer):
            raise ValueError(f"{name}: expected {count} axes for the encoding, and channels, got shape {shape}")
        inner = outer[-count:]
    else:
        inner = _sequence_axes(seq_axis, name, shape, channel)
        if len(inner) != count and (len(inner) > 1 or positions is None):
            many = "an integer" if count == 1 else f"a tuple of {count} integers for the encoding"
            raise (TypeError if count == 1 else ValueError)(f"seq_axis: expected {many}, got {seq_axis!r}")
    leading = [axis for axis in outer if axis not in inner]
    order = (*leading, *inner, channel)
    return Axes(
        tuple([shape[axis] for axis in outer]),
        None if order == tuple(range(ndim)) else order,
        tuple([shape[axis] for axis in leading]),
        tuple([shape[axis] for axis in inner]),
    )


def _sequence_axes(seq_axis: Any, name: str, shape: tuple[int, ...], channel: int) -> list[int]:
    """The axes that a user means."""
    ndim = len(shape)
    chosen = []
    for item in seq_axis if isinstance(seq_axis, tuple) else (seq_axis,):
        axis = _validate.integer(item, "seq_axis")
        if not -ndim <= axis < ndim or axis % ndim == channel:
            raise ValueError(
                f"seq_axis: expected an axis of {name} other than {channel}, which holds the channels; got {axis} "
                f"for shape {shape}"
            )
        chosen.append(axis % ndim)
    if sorted(set(chosen)) != chosen:
        raise ValueError(f"seq_axis: expected axes in increasing order, got {seq_axis}")
    return chosen


def rows(
    axes: Axes, offset: float, start: Any, positions: Any, mask: Any = None, cu_seqlens: Any = None
) -> NDArray[np.float64]:
    """The positions of all rows of an array, `offset` added, as backends take them.

    Returns
    -------
    ndarray, float64
        (1,) or (N,): the start of all sequences, or of each; (1, L) or (N, L): every position, NaN where not `mask`.
    """
    length = axes.inner[0]
    name = "start"
    if positions is not None:
        name = "positions"
        refuse_both(positions, start, cu_seqlens)
        values = _flat(axes.spread(numbers(positions, name), name))
    elif cu_seqlens is not None:
        values = _packed(cu_seqlens, start, length)
    else:
        values = _starts(start, axes.leading, length)
    if offset:
        values = _moved(values, offset, length, name)
    if mask is not None:
        real = _flat(axes.spread(truths(mask), "mask"))
        if not real.all():
            values = np.where(real, _counted(values, length), np.nan)
    return values


def refuse_both(positions: Any, start: Any, cu_seqlens: Any) -> None:
    if not (type(start) is int and start == 0):
        raise ValueError("positions: expected either start or positions, got both")
    if cu_seqlens is not None:
        raise ValueError("positions: expected either cu_seqlens or positions, got both")


def _flat(values: NDArray[Any]) -> NDArray[Any]:
    """(1, L) or (N, L)."""
    return np.ascontiguousarray(values).reshape(math.prod(values.shape[:-1]), values.shape[-1])


def _counted(values: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Every position, where `values` may be starts."""
    return values[:, None] + np.arange(length) if values.ndim == 1 else values


def _starts(start: Any, shape: tuple[int, ...], length: int) -> NDArray[np.float64]:
    if type(start) in (int, float) and -LARGEST <= start <= LARGEST - length:
        return np.array([start], np.float64)  # the usual case, and a fast one
    starts = numbers(start, "start")
    if starts.ndim and starts.shape != shape:
        raise ValueError(f"start: expected a number or one per sequence, shape {shape}, got shape {starts.shape}")
    starts = starts.reshape(-1)
    refuse_beyond(starts, length, "start")
    return starts


def refuse_beyond(starts: NDArray[np.float64], length: int, name: str, offset: float = 0.0) -> None:
    """Refuse starts that are too far from 0 for sequences of `length` rows; they are `numbers`, plus `offset`."""
    if not (starts.size and length) or (length == 1 and not offset):
        return
    low, high = int(starts.min()), int(starts.max())
    if low < -LARGEST or high + (length - 1) > LARGEST:
        worst = (starts.min() if low < -LARGEST else starts.max()) - offset
        rows = f" and {length} rows" if length > 1 else ""
        with_offset = f" with the encoding's offset of {offset:.17g}" if offset else ""
        raise ValueError(
            f"{name}: expected positions of at most 2**53 in magnitude, got {worst:.17g}{rows}{with_offset}"
        )


def _moved(values: NDArray[np.float64], offset: float, length: int, name: str) -> NDArray[np.float64]:
    """`values` + offset. Starts stay starts only where counting on from there gives the same doubles."""
    moved = values + offset
    if values.ndim == 1:
        added = moved - values
        error = (values - (moved - added)) + (offset - added)
        if not (error == 0.0).all() or not (values == np.floor(values)).all():
            moved = _counted(values, length) + offset
    refuse_beyond(moved, length if moved.ndim == 1 else 1, name, offset)
    return moved


def _packed(cu_seqlens: Any, start: Any, length: int) -> NDArray[np.float64]:
    """Positions (1, L) that begin anew where a sequence does."""
    bounds = _arrays.numbers(cu_seqlens, "cu_seqlens")
    expected = f"cu_seqlens: expected integers from 0 to {length}, the number of rows, none below the one before"
    if bounds.ndim != 1 or bounds.size == 0:
        raise ValueError(f"{expected}, got shape {bounds.shape}")
    if bounds.dtype.kind not in "iu":
        raise TypeError(f"{expected}, got {_validate.shown(cu_seqlens, bounds)}")
    bounds = bounds.astype(np.int64)
    if bounds[0] != 0 or bounds[-1] != length:
        raise ValueError(f"{expected}, got {bounds[0]} to {bounds[-1]}")
    lengths = np.diff(bounds)
    if (lengths < 0).any():
        first = int(np.argmax(lengths < 0))
        raise ValueError(f"{expected}, got {bounds[first]} before {bounds[first + 1]}")
    starts = numbers(start, "start")
    if starts.ndim and starts.shape != lengths.shape:
        raise ValueError(
            f"start: expected a number or one per sequence, shape {lengths.shape}, got shape {starts.shape}"
        )
    starts = np.broadcast_to(starts, lengths.shape)
    beyond = starts > LARGEST - np.maximum(lengths - 1, 0)
    if beyond.any():
        first = int(np.argmax(beyond))
        refuse_beyond(starts[first : first + 1], int(lengths[first]), "start")
    counted = np.arange(length) - np.repeat(bounds[:-1], lengths)
    result: NDArray[np.float64] = np.repeat(starts, lengths) + counted
    return result[None]


def numbers(value: Any, name: str) -> NDArray[np.float64]:
    """Positions as float64, where nothing is lost by that; a copy."""
    array = _arrays.numbers(value, name)
    kind = array.dtype
    if kind.kind == "O" and all(type(item) is int for item in array.flat):
        worst = max(array.flat, key=abs, default=0)  # an integer that no integer dtype holds
        raise ValueError(f"{name}: expected at most 2**53 in magnitude, got {worst}")
    if kind.kind not in "iuf" or (kind.kind == "f" and kind.itemsize not in (4, 8)):
        raise TypeError(
            f"{name}: expected integers or float32 or float64 numbers, got {_validate.shown(value, array)}"
            f"{_ways.numbers(array, name)}"
        )
    if array.size:
        low, high = array.min().item(), array.max().item()  # both NaN if any is
        if not (low >= -LARGEST and high <= LARGEST):
            if not (math.isfinite(low) and math.isfinite(high)):
                raise ValueError(f"{name}: expected finite numbers, got {array[~np.isfinite(array)].flat[0]}")
            worst = high if high > LARGEST else low
            way = _ways.nearer(array, name)
            raise ValueError(f"{name}: expected at most 2**53 in magnitude, got {worst}{way}")
    result: NDArray[np.float64] = array.astype(np.float64)
    return result


def truths(mask: Any) -> NDArray[np.bool_]:
    """A mask as an array of bool."""
    array = _arrays.numbers(mask, "mask")
    if array.dtype.kind == "b":
        return array
    if array.dtype.kind not in "iu":
        way = _ways.truths(array, "mask")
        raise TypeError(f"mask: expected True or False, or 1 or 0, got {_validate.shown(mask, array)}{way}")
    others = (array != 0) & (array != 1)
    if others.any():
        raise ValueError(f"mask: expected True or False, or 1 or 0, got {array[others].flat[0]}")
    return array.astype(np.bool_)


def positions_from_mask(mask: ArrayLike, *, start: ArrayLike = 0, padding: int = 0) -> NDArray[np.int64]:
    """Positions of a padded batch: real tokens are counted, on whichever side the padding is.

    Parameters
    ----------
    mask : array of shape (..., L), bool or 0 and 1
        True or 1 for a real token. A gap between real tokens is not counted either, as if they stood side by side.
    start : int, or array of shape mask.shape[:-1], default 0
        Position of the first real token: of all sequences, or of each.
    padding : int, default 0
        What stands where there is no token. Any position will do where the same mask is passed to `fill_` or `add_`.

    Returns
    -------
    ndarray of the shape of `mask`, int64
        A tensor if `mask` is one.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of the kind, shape or size described above.

    Examples
    --------
    >>> import posenc
    >>> posenc.positions_from_mask([[0, 0, 1, 1, 1], [1, 1, 1, 1, 0]])
    array([[0, 0, 0, 1, 2],
           [0, 1, 2, 3, 0]])
    """
    real = truths(mask)
    if not real.ndim:
        raise ValueError("mask: expected at least 1 dimension, got shape ()")
    first = numbers(start, "start")
    if first.ndim and first.shape != real.shape[:-1]:
        raise ValueError(
            f"start: expected an integer or one per sequence, shape {real.shape[:-1]}, got shape {first.shape}"
        )
    if (first != np.floor(first)).any():
        raise ValueError(f"start: expected whole numbers, got {first[first != np.floor(first)].flat[0]}")
    refuse_beyond(first, real.shape[-1], "start")
    elsewhere = _validate.integer(padding, "padding")
    if abs(elsewhere) > LARGEST:
        raise ValueError(f"padding: expected at most 2**53 in magnitude, got {elsewhere}")
    counted = np.cumsum(real, axis=-1, dtype=np.int64) + (first.astype(np.int64)[..., None] - 1)
    result = np.where(real, counted, elsewhere)
    return _arrays.tensor(result) if _arrays.is_tensor(mask) else result
