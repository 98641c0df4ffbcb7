"""Every check of what a user passes in, and the wording of every refusal. Nothing is computed or written here.

`TypeError` for the kind of a thing, `ValueError` for its shape or value; each text names the argument, what was
expected and what came.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST_POSITION = 2**53
DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


def dtype(value: Any, name: str = "dtype") -> np.dtype[Any]:
    """`value` as one of the dtypes that can be written."""
    try:
        if value is None:  # which NumPy takes for float64
            raise TypeError
        kind: np.dtype[Any] = np.dtype(value)
    except TypeError:
        raise TypeError(f"{name}: expected float32 or float64, got {value!r}") from None
    if kind not in DTYPES or not kind.isnative:
        raise TypeError(f"{name}: expected float32 or float64 in native byte order, got {_dtype_name(kind)}")
    return kind


def readable(x: Any, name: str, seq_axis: Any) -> NDArray[np.floating]:
    """`x` (any shape with a sequence axis, channels last) as a view (..., L, D)."""
    if not isinstance(x, np.ndarray) or isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{name}: expected a numpy.ndarray, got {type(x).__module__}.{type(x).__qualname__}")
    dtype(x.dtype, f"{name}.dtype")
    if x.ndim < 2:
        raise ValueError(f"{name}: expected at least 2 dimensions (a sequence axis and channels), got shape {x.shape}")
    axis = integer(seq_axis, "seq_axis")
    if not -x.ndim <= axis < x.ndim or axis % x.ndim == x.ndim - 1:
        raise ValueError(
            f"seq_axis: expected an axis of {name} other than its last, which holds the channels; "
            f"got {axis} for shape {x.shape}"
        )
    if x.shape[-1] == 0:
        raise ValueError(f"{name}: expected at least 1 channel in the last dimension, got shape {x.shape}")
    view = x.view(np.ndarray)
    return view if axis % x.ndim == x.ndim - 2 else np.moveaxis(view, axis, -2)


def writable(x: Any, name: str, seq_axis: Any) -> NDArray[np.floating]:
    """The same for an array that will be written."""
    view = readable(x, name, seq_axis)
    if not view.flags.writeable:
        raise ValueError(f"{name}: expected a writeable array, got a read-only one")
    if _may_overlap(view):
        raise ValueError(
            f"{name}: expected elements that do not overlap in memory, got shape {view.shape} with strides "
            f"{view.strides}; copy it first"
        )
    return view


def _may_overlap(x: NDArray[Any]) -> bool:
    """Whether elements of `x` may share memory. Exact for every view made by slicing and transposing."""
    if x.flags.c_contiguous:
        return False
    extent = x.itemsize
    for stride, length in sorted((abs(s), n) for s, n in zip(x.strides, x.shape, strict=True) if n > 1):
        if stride < extent:
            return x.size > 0
        extent += stride * (length - 1)
    return False


def integer(value: Any, name: str, minimum: int | None = None) -> int:
    """`value` as an int."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: expected an integer, got {_shown(value)}") from None
    if minimum is not None and number < minimum:
        raise ValueError(f"{name}: expected at least {minimum}, got {number}")
    return number


def shape(value: Any, name: str) -> tuple[int, ...]:
    """The shape of something array-like."""
    try:
        return np.shape(value)
    except ValueError:
        raise ValueError(f"{name}: expected a length or an array, got sequences of different lengths") from None


def positions(
    start: Any, positions: Any, shape: tuple[int, ...], length: int, seq_axis: int = -1
) -> NDArray[np.float64]:
    """The positions of all rows, as backends take them.

    `shape` are the leading dimensions of the view (..., L, D), `length` is L, and `seq_axis` is where L stands in
    positions that follow the axes of the user's array, channels left out.

    Returns
    -------
    ndarray, float64
        (1,) or (N,): the start of all sequences, or of each; (1, L) or (N, L): every position.
    """
    if positions is None:
        return _starts(start, shape, length)
    if not (type(start) is int and start == 0):
        raise ValueError("positions: expected either start or positions, got both")
    place = seq_axis % (len(shape) + 1)
    expected = (*shape[:place], length, *shape[place:])
    form = f"shape ({length},) or {expected}"
    values = _numbers(positions, "positions", form)
    if values.shape == (length,):
        return values.reshape(1, length)
    if values.shape != expected:
        raise ValueError(f"positions: expected {form}, got {values.shape}")
    return np.ascontiguousarray(np.moveaxis(values, place, -1)).reshape(math.prod(shape), length)


def _starts(start: Any, shape: tuple[int, ...], length: int) -> NDArray[np.float64]:
    if type(start) is int and -LARGEST_POSITION <= start <= LARGEST_POSITION - length:
        return np.array([start], np.float64)  # the usual case, and a fast one
    form = f"a number or one per sequence, shape {shape}"
    starts = _numbers(start, "start", form)
    if starts.ndim and starts.shape != shape:
        raise ValueError(f"start: expected {form}, got shape {starts.shape}")
    if starts.size and length and int(starts.max()) + (length - 1) > LARGEST_POSITION:
        raise ValueError(
            f"start: expected positions of at most 2**53 in magnitude, got {starts.max():.17g} and {length} rows"
        )
    return starts.reshape(-1)


def _numbers(value: Any, name: str, form: str) -> NDArray[np.float64]:
    """Positions as float64, where nothing is lost by that. `form` says what shape they should have."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name}: expected plain numbers, got a masked array")
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name}: expected {form}, got sequences of different lengths") from None
    if array.dtype == object and all(type(item) is int for item in array.flat):
        worst = max(array.flat, key=abs, default=0)  # an integer that no integer dtype holds
        raise ValueError(f"{name}: expected at most 2**53 in magnitude, got {worst}")
    if array.dtype.kind not in "iuf" or (array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8)):
        reason = "; half precision can't tell one position from the next" if array.dtype == np.float16 else ""
        raise TypeError(f"{name}: expected integers or float32 or float64 numbers, got {_shown(value, array)}{reason}")
    if array.size:
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"{name}: expected finite numbers, got {array[~np.isfinite(array)].flat[0]}")
        low, high = array.min(), array.max()
        if int(low) < -LARGEST_POSITION or int(high) > LARGEST_POSITION:
            worst = high if int(high) > LARGEST_POSITION else low
            raise ValueError(f"{name}: expected at most 2**53 in magnitude, got {worst}")
    return array.astype(np.float64)


def x_scale(value: Any, x: NDArray[Any]) -> float:
    """The factor that x_scale stands for, rounded to the dtype of `x` (..., D)."""
    if isinstance(value, str):
        if value != "sqrt_dim":
            raise ValueError(f"x_scale: expected a number or 'sqrt_dim', got {value!r}")
        value = math.sqrt(x.shape[-1])
    elif isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"x_scale: expected a number or 'sqrt_dim', got {_shown(value)}")
    try:
        with np.errstate(over="ignore"):
            factor = float(x.dtype.type(float(value)))
    except OverflowError:
        factor = math.inf
    if not math.isfinite(factor):
        raise ValueError(f"x_scale: expected a finite number in {x.dtype}, got {value}")
    return factor


def same_form(out: Any, x: NDArray[Any]) -> None:
    """Refuse an `out` that is not an array like `x`."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out: expected a numpy.ndarray, got {type(out).__module__}.{type(out).__qualname__}")
    if out.dtype != x.dtype:
        raise TypeError(f"out: expected the dtype of x, {_dtype_name(x.dtype)}, got {_dtype_name(out.dtype)}")
    if out.shape != x.shape:
        raise ValueError(f"out: expected the shape of x, {x.shape}, got {out.shape}")


def _dtype_name(kind: np.dtype[Any]) -> str:
    return kind.name if kind.isnative else f"{kind.name} in foreign byte order ({kind.str})"


def _shown(value: Any, array: NDArray[Any] | None = None) -> str:
    if isinstance(value, np.ndarray) or (array is not None and array.ndim and array.dtype != object):
        return f"an array of {_dtype_name(np.asarray(value).dtype)}"
    return f"{value!r} ({type(value).__name__})"
