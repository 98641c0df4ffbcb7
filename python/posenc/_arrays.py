"""What users call an array, as a NumPy view of the same memory: the one place that knows of other libraries.

None of them is imported here, as somebody who has a tensor has imported torch, and who has a masked array numpy.ma,
which NumPy itself does not import. A view is float32, float64, float16, or uint16, which stands for bfloat16: NumPy has
no such type. Nothing is ever copied, since a copy would be written in the array's stead.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _tensors, _ways
from ._dtypes import BFLOAT16 as BFLOAT16
from ._dtypes import EXPECTED, FLOATS
from ._dtypes import dtype_name as dtype_name
from ._dtypes import float_name as float_name
from ._dtypes import is_bfloat16 as is_bfloat16
from ._dtypes import type_name as type_name
from ._tensors import differentiable as differentiable
from ._tensors import is_tensor as is_tensor
from ._tensors import tensor as tensor
from ._ways import TOO_COARSE as TOO_COARSE

LARGEST = 2**53

# Their arrays can't be written, although some buffers and DLPack exports of theirs look as if they could.
IMMUTABLE = ("jax", "jaxlib", "tensorflow")
DLPACK_CPU = 1


def view(x: Any, name: str, *, write: bool) -> NDArray[Any]:
    """`x` as an ndarray of the same memory, of one of the dtypes above; a copy will do unless `write`."""
    if type(x) is np.ndarray:
        array = x
    elif is_tensor(x):
        return _tensors.view(x, name, write)
    else:
        array = _borrowed(x, name, write)
    if array.dtype in FLOATS:
        return array
    if is_bfloat16(array.dtype):
        return array.view(BFLOAT16)
    raise TypeError(
        f"{name}.dtype: expected {EXPECTED} in native byte order, got {dtype_name(array.dtype)}; "
        f"{_ways.floats(array, name, isinstance(x, np.ndarray))}"
    )


def dtype(value: Any) -> tuple[np.dtype[Any], Any]:
    """What a user means by a dtype: that of the view, and that of the array."""
    if _tensors.is_of("dtype", value):
        kind = _tensors.dtype(value)
        if kind is not None:
            return kind, value
        raise TypeError(f"dtype: expected {EXPECTED}, got {value}")
    if isinstance(value, str) and value == "bfloat16":
        try:
            value = importlib.import_module("ml_dtypes").bfloat16
        except ImportError:
            raise TypeError(
                "dtype: expected float32, float64 or float16, got 'bfloat16', for which NumPy needs ml_dtypes "
                "(pip install ml_dtypes); torch.bfloat16 makes a tensor"
            ) from None
    try:
        if value is None:  # which NumPy takes for float64
            raise TypeError
        own: np.dtype[Any] = np.dtype(value)
    except TypeError:
        raise TypeError(f"dtype: expected {EXPECTED}, got {value!r}") from None
    if own in FLOATS:
        return own, own
    if is_bfloat16(own):
        return BFLOAT16, own
    raise TypeError(f"dtype: expected {EXPECTED} in native byte order, got {dtype_name(own)}")


def wrap(array: NDArray[Any], own: Any) -> Any:
    """The new `array`, of the first dtype that `dtype` returns, as an array or tensor of the second."""
    if _tensors.is_of("dtype", own):
        return tensor(array)
    return array if array.dtype == own else array.view(own)


class Made:
    """A new array for what `x`, seen as `view`, holds, as a tensor of torch's own making if `x` is one.

    It has the shape and the strides of `x`, or `shape` in C order.
    """

    def __init__(self, x: Any, view: NDArray[Any], shape: tuple[int, ...] | None = None) -> None:
        self._x, self._view, self._shape = x, view, shape
        self._tensor: Any = None

    def view(self) -> NDArray[Any]:
        if is_tensor(self._x):
            self._tensor = _tensors.empty_like(self._x, self._shape)
            return _tensors.view(self._tensor, "out", True)
        return np.empty_like(self._view) if self._shape is None else np.empty(self._shape, self._view.dtype)

    def array(self, view: NDArray[Any]) -> Any:
        """What the user gets for its view."""
        if self._tensor is not None:
            return self._tensor
        return view.view(np.asarray(self._x).dtype) if view.dtype == BFLOAT16 else view


def copying(x: Any, name: str) -> str:
    """The code that copies `x`, which `view` takes."""
    if is_tensor(x):
        return f"{name}.clone()"
    if hasattr(type(x), "__dlpack__") and not hasattr(type(x), "__array__"):
        return f"np.from_dlpack({name}).copy()"
    return f"np.array({name})"


def written(x: Any) -> None:
    """Let the library of `x` know that it will have been written."""
    if is_tensor(x):
        _tensors.written(x)


def numbers(value: Any, name: str) -> NDArray[Any]:
    """Any array-like thing to read from, possibly as a copy."""
    if is_masked(value):
        raise TypeError(f"{name}: expected plain numbers, got a masked array; pass `{name}.data`")
    if is_tensor(value):
        return _tensors.read(value, name)
    if hasattr(type(value), "__dlpack__") and not hasattr(type(value), "__array__"):
        return _of_dlpack(value, name, False)
    try:
        array: NDArray[Any] = np.asarray(value)
    except MemoryError:
        raise
    except Exception as error:
        if _is_traced(value):
            raise _no_values(value, name, "numbers") from None
        if isinstance(value, (list, tuple)) and isinstance(error, ValueError):
            raise ValueError(
                f"{name}: expected numbers, got sequences of different lengths; pad them to one length and pass mask=, "
                f"or take them as packed, `{name} = np.concatenate({name})`"
            ) from None
        raise TypeError(f"{name}: expected numbers, got {type_name(value)}, which NumPy can't read: {error}") from error
    return _unboxed(array, name) if array.dtype == object else array


def _unboxed(array: NDArray[Any], name: str) -> NDArray[Any]:
    """Objects that are all Python's or NumPy's numbers, or all truths, in a dtype of their own; others as they are."""
    items = list(array.flat)
    if items and all(isinstance(item, (bool, np.bool_)) for item in items):
        return array.astype(np.bool_)
    integers = [
        int(item)
        for item in items
        if isinstance(item, (int, np.integer)) and not isinstance(item, (bool, np.timedelta64))
    ]
    reals = sum(isinstance(item, (float, np.float32)) for item in items)
    if len(integers) + reals < len(items):
        return array
    if reals or not items:
        worst = max(integers, key=abs, default=0)
        if abs(worst) > LARGEST:  # which float64 would round
            raise ValueError(f"{name}: expected at most 2**53 in magnitude, got {worst}")
        return array.astype(np.float64)
    plain = np.array(integers, object).reshape(array.shape)
    try:
        return plain.astype(np.int64)
    except OverflowError:
        return plain


def is_masked(x: Any) -> bool:
    ma = sys.modules.get("numpy.ma")
    return isinstance(x, getattr(ma, "MaskedArray", ()))


def _is_traced(x: Any) -> bool:
    """Whether `x` is, or holds, what JAX has in the place of an array while it traces or transforms a function."""
    core = getattr(sys.modules.get("jax"), "core", None)
    if isinstance(x, (list, tuple)):
        return any(map(_is_traced, x))
    return isinstance(x, getattr(core, "Tracer", ()))


def _no_values(x: Any, name: str, expected: str) -> TypeError:
    parts = x if isinstance(x, (list, tuple)) else [x]
    whole = all(isinstance(part, int) or (hasattr(part, "dtype") and part.dtype.kind in "iu") for part in parts)
    return TypeError(
        f"{name}: expected {expected}, got {type_name(x)}, whose values JAX does not know while it traces; "
        f"{_ways.traced(name, whole)}"
    )


def _library(x: Any) -> str:
    return type(x).__module__.partition(".")[0]


def _borrowed(x: Any, name: str, write: bool) -> NDArray[Any]:
    """An array of any dtype from whoever lends one, or, unless `write`, can be read."""
    if is_masked(x):
        raise TypeError(
            f"{name}: expected a plain numpy.ndarray, got {type_name(x)}; pass `{name}.data`, and perhaps mask="
        )
    if isinstance(x, np.ndarray):
        return x.view(np.ndarray)
    if _is_traced(x):
        raise _no_values(x, name, "an array in memory")
    library = _library(x)
    if library in IMMUTABLE:
        if write:
            raise ValueError(
                f"{name}: expected a writeable array, got {type_name(x)}, which is immutable; {_ways.immutable(name)}"
            )
        return _read(x, name, _ways.immutable(name))
    if library == "dask":
        raise TypeError(f"{name}: expected an array in memory, got {type_name(x)}; {_ways.lazy(name)}")
    try:
        return np.asarray(memoryview(x))
    except MemoryError:
        raise
    except Exception:  # no buffer, or none that NumPy understands
        pass
    if hasattr(type(x), "__dlpack__"):
        return _of_dlpack(x, name, write)
    arrays = "a numpy.ndarray, a torch.Tensor, or an object with the buffer protocol or __dlpack__"
    if hasattr(type(x), "__array__"):
        if not write:
            return _read(x, name, "pass an array")
        way = _ways.back(name, library, bool(getattr(type(x), "__setitem__", None)))
        raise TypeError(f"{name}: expected {arrays}, got {type_name(x)}, which NumPy can only copy; {way}")
    raise TypeError(f"{name}: expected {arrays}, got {type_name(x)}; {_no_array(x, name, write)}")


def _no_array(x: Any, name: str, write: bool) -> str:
    """The way out for what is none, and lends none."""
    if isinstance(x, (list, tuple)):
        return _ways.sequence(x, name)
    if is_tensor(getattr(x, "weight", None)):
        return _ways.module(name, write)
    return "pass an array"


def _read(x: Any, name: str, way: str) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.asarray(x)
    except MemoryError:
        raise
    except Exception as error:
        raise TypeError(f"{name}: expected an array that NumPy can read, got {type_name(x)}: {error}; {way}") from error
    return array


def _of_dlpack(x: Any, name: str, write: bool) -> NDArray[Any]:
    try:
        device = tuple(int(part) for part in x.__dlpack_device__())
        if device[0] == DLPACK_CPU:
            # copy=False: a lender that can only copy raises, and nothing is written into its copy.
            array: NDArray[Any] = np.from_dlpack(x, copy=False if write else None)
            return array
    except MemoryError:
        raise
    except Exception as error:
        raise TypeError(
            f"{name}: expected an array that NumPy takes through DLPack, got {type_name(x)}: {error}; pass a copy as "
            "an ndarray"
        ) from error
    raise TypeError(
        f"{name}: expected an array on the CPU, got {type_name(x)} on DLPack device {device}; copy it to the CPU first"
    )
