"""What a position is: numbers of some dtype, finite and at most 2^53 in magnitude. Masks, and positions made from them.

What users pass is kept in its own dtype, as a view where it is an array: the float64 copies that backends take are made
of one block at a time (_rows.py, _axes.py).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _arrays, _validate, _ways
from ._arrays import LARGEST as LARGEST
from ._backend import chosen as _chosen
from ._blocks import blocks

CHECKED = 2**16  # elements that are looked at together


def numbers(value: Any, name: str) -> NDArray[Any]:
    """Integers, float32 or float64 numbers as they are; their values are not checked yet."""
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
    return array


def floats(value: Any, name: str) -> NDArray[np.float64]:
    """A few such numbers as float64, checked."""
    array = numbers(value, name)
    refuse_beyond(array, name)
    result: NDArray[np.float64] = array.astype(np.float64)
    return result


def beyond(array: NDArray[Any], length: int = 1, offset: float = 0.0) -> Any:
    """The first position that is not allowed among those of sequences that start at `array`, or None.

    Sequences have `length` rows, and the encoding adds `offset`. Nothing is copied: an array that is right is only
    searched for its extremes.
    """
    if not array.size:
        return None
    # both NaN if any is
    low, high = (array.min().item(), array.max().item()) if array.ndim else (array.item(),) * 2
    if low >= -LARGEST and high <= LARGEST:
        if not offset and high <= LARGEST - max(length - 1, 0):
            return None
        if not length:
            return None
        if int(low + offset) < -LARGEST:
            return low
        return high if int(high + offset) + length - 1 > LARGEST else None
    if math.isfinite(low) and math.isfinite(high):
        return high if high > LARGEST else low
    for index in blocks(array.shape, CHECKED):
        part = array[index]
        wrong = ~np.isfinite(part)
        if wrong.any():
            return part[wrong].flat[0]
    return low


def refuse_beyond(array: NDArray[Any], name: str, length: int = 1, offset: float = 0.0) -> None:
    worst = beyond(array, length, offset)
    if worst is not None:
        raise refusal(worst, name, length, offset, array)


def refusal(
    worst: Any, name: str, length: int = 1, offset: float = 0.0, array: NDArray[Any] | None = None
) -> ValueError:
    """What to raise for a position, or a start, that is not allowed, in `array`."""
    if not math.isfinite(worst):
        return ValueError(
            f"{name}: expected finite numbers, got {worst}; rows without a position are left out with mask="
        )
    if abs(worst) > LARGEST:
        way = _ways.nearer(np.asarray(worst) if array is None else array, name)
        return ValueError(f"{name}: expected at most 2**53 in magnitude, got {worst}{way}")
    rows = f" and {length} rows" if length > 1 else ""
    with_offset = f" with the encoding's offset of {offset:.17g}" if offset else ""
    way = "start nearer to 0" if length <= LARGEST else "make them in parts, each with a start of its own"
    return ValueError(
        f"{name}: expected positions of at most 2**53 in magnitude, got {worst:.17g}{rows}{with_offset}; {way}"
    )


def truths(mask: Any) -> NDArray[Any]:
    """A mask as it is: of bool, or of the integers 0 and 1."""
    array = _arrays.numbers(mask, "mask")
    if array.dtype.kind == "b":
        return array
    if array.dtype.kind not in "iu":
        way = _ways.truths(array, "mask")
        raise TypeError(f"mask: expected True or False, or 1 or 0, got {_validate.shown(mask, array)}{way}")
    if array.size and not (array.min() >= 0 and array.max() <= 1):
        worst = array.max() if array.max() > 1 else array.min()
        raise ValueError(
            f"mask: expected True or False, or 1 or 0, got {worst}; `mask=np.not_equal(mask, 0)` if only 0 is padding"
        )
    return array


@_chosen.quick("count")
def positions_from_mask(mask: ArrayLike, *, start: ArrayLike = 0, padding: int = 0) -> NDArray[np.int64]:
    """Positions of a padded batch: real tokens are counted, on whichever side the padding is.

    Parameters
    ----------
    mask : array of shape (..., L), bool or 0 and 1
        True or 1 for a real token. A gap between real tokens is not counted either, as if they stood side by side.
    start : int, or array of shape mask.shape[:-1], default 0
        Position of the first real token: of all sequences, or of each. An axis of length 1 stands for all.
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
    given = truths(mask)
    if not given.ndim:
        raise ValueError("mask: expected at least 1 dimension, got shape (); `mask=[mask]` is a sequence of one token")
    real = given.astype(np.bool_)
    first = floats(start, "start")
    leading = real.shape[:-1]
    if first.ndim and not fits(first.shape, leading):
        way_out = "; `start=np.squeeze(start, -1)`" if first.shape == (*leading, 1) else ""
        raise ValueError(
            f"start: expected an integer or one per sequence, shape {leading}, got shape {first.shape}{way_out}"
        )
    if (first != np.floor(first)).any():
        raise ValueError(
            f"start: expected whole numbers, got {first[first != np.floor(first)].flat[0]}; add the fraction to the "
            "positions that come back"
        )
    refuse_beyond(first, "start", real.shape[-1])
    elsewhere = _validate.integer(padding, "padding")
    if abs(elsewhere) > LARGEST:
        raise ValueError(
            f"padding: expected at most 2**53 in magnitude, got {elsewhere}; any position will do, as `padding=0`"
        )
    counted = np.cumsum(real, axis=-1, dtype=np.int64) + (first.astype(np.int64)[..., None] - 1)
    result = np.where(real, counted, elsewhere)
    return _arrays.tensor(result) if _arrays.is_tensor(mask) else result


def fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether an array of `shape` can stand for one of the `wanted` shape: axes of length 1 stand for all."""
    return len(shape) == len(wanted) and all(n in (1, m) for n, m in zip(shape, wanted, strict=True))
