"""Checks of what a user passes in, and the wording of refusals: arrays that are written, and plain arguments.

`TypeError` for the kind of a thing, `ValueError` for its shape or value; each text names the argument, what was
expected and what came. What is a position is checked in _positions.py, whose array it is in _arrays.py.
"""

from __future__ import annotations

import math
import operator
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _arrays, _ways

_LARGEST_FLOAT = sys.float_info.max


def readable(x: Any, name: str) -> NDArray[Any]:
    """`x` as a view to read."""
    return _arrays.view(x, name, write=False)


def writable(x: Any, name: str) -> NDArray[Any]:
    """`x` as a view that may be written."""
    return require_writable(_arrays.view(x, name, write=True), name, x)


def require_writable(view: NDArray[Any], name: str, x: Any = None) -> NDArray[Any]:
    """`view` of `x` if it may be written, each element without touching another."""
    if not view.flags.writeable:
        raise ValueError(
            f"{name}: expected a writeable array, got a read-only one; {_ways.copy(name, _arrays.copying(x, name))}"
        )
    if _may_overlap(view):
        raise ValueError(
            f"{name}: expected elements that do not overlap in memory, got shape {view.shape} with strides "
            f"{view.strides}; {_ways.copy(name, _arrays.copying(x, name))}"
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


def same_form(out: NDArray[Any], x: NDArray[Any]) -> None:
    """Refuse a view `out` that is not one like `x`."""
    if out.dtype != x.dtype:
        wanted, came = (_arrays.float_name(view.dtype) for view in (x, out))
        raise TypeError(f"out: expected the dtype of x, {wanted}, got {came}")
    if out.shape != x.shape:
        raise ValueError(f"out: expected the shape of x, {x.shape}, got {out.shape}")


def integer(value: Any, name: str, minimum: int | None = None) -> int:
    """`value` as an int."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: expected an integer, got {shown(value)}") from None
    if minimum is not None and number < minimum:
        raise ValueError(f"{name}: expected at least {minimum}, got {number}")
    return number


def sequence(value: Any, name: str, expected: str) -> list[Any]:
    """The items of `value`, which is no string."""
    try:
        if not isinstance(value, (str, bytes)):
            return list(value)
    except TypeError:
        pass
    raise TypeError(f"{name}: expected {expected}, got {shown(value)}")


def axis_order(value: Any, name: str, count: int) -> tuple[int, ...]:
    """`value` as an order of `count` axes; None is their own."""
    if value is None:
        return tuple(range(count))
    order = tuple(integer(axis, name) for axis in sequence(value, name, "a tuple of axes"))
    if sorted(order) != list(range(count)):
        raise ValueError(f"{name}: expected the axes 0 ... {count - 1} in some order, got {order}")
    return order


def x_scale(value: Any, dtype: np.dtype[Any], dim: int, x: str = "x", array: str = "x") -> float:
    """The factor that x_scale stands for, rounded to what sums for a view of this dtype are computed in.

    `x` is the code for what it is a factor of, `array` that for an array of the same dtype.
    """
    if type(value) is float and value == 1.0:
        return value
    if isinstance(value, str):
        if value != "sqrt_dim":
            way = "x_scale = float(x_scale)" if _is_number(value) else "x_scale = 'sqrt_dim'"
            raise ValueError(f"x_scale: expected a number or 'sqrt_dim', got {value!r}; use `{way}`")
        value = math.sqrt(dim)
    else:
        value = _scalar(value, x, array)
    kind = np.float64 if dtype == np.float64 else np.float32
    try:
        with np.errstate(over="ignore"):
            factor = float(kind(float(value)))
    except OverflowError:
        factor = math.inf
    if not math.isfinite(factor):
        way = f"use `x_scale = 1.0` to leave {x} as it is"
        if kind is np.float32 and -_LARGEST_FLOAT <= value <= _LARGEST_FLOAT:
            way = f"compute in float64, `posenc.add(np.asarray({x}, np.float64), x_scale=x_scale)`"
        raise ValueError(f"x_scale: expected a finite number in {kind.__name__}, got {value}; {way}")
    return factor


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _scalar(value: Any, x: str, array: str) -> Any:
    """A factor as a number, of which NumPy or torch may have made an array without dimensions."""
    given = value
    if _arrays.differentiable(value):
        raise ValueError(
            "x_scale: expected a number without gradient, got a tensor that requires grad; multiply first, "
            f"`posenc.add({x} * x_scale)`"
        )
    if _arrays.is_tensor(value) or hasattr(type(value), "__array__") or isinstance(value, (list, tuple)):
        factors = _arrays.numbers(value, "x_scale")
        if factors.ndim:
            code = "x_scale" if _arrays.is_tensor(value) else f"np.asarray(x_scale, {array}.dtype)"
            one = "use `x_scale = np.asarray(x_scale).item()`"
            way = one if factors.size == 1 else f"multiply first, `posenc.add({x} * {code})`"
            raise TypeError(f"x_scale: expected a number or 'sqrt_dim', got {shown(value, factors)}; {way}")
        value = factors.item()
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        way = "; use `x_scale = float(x_scale)`" if hasattr(type(value), "__float__") else ""
        raise TypeError(f"x_scale: expected a number or 'sqrt_dim', got {shown(given)}{way}")
    return value


def shown(value: Any, array: NDArray[Any] | None = None) -> str:
    """`value` as an error text shows it; `array` is what NumPy made of it."""
    if isinstance(value, np.ndarray) or (array is not None and array.ndim and array.dtype != object):
        return f"an array of {_arrays.dtype_name((value if array is None else array).dtype)}"
    return f"{value!r} ({type(value).__name__})"
