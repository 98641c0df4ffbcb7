"""What users call an array, as a NumPy view of the same memory: the one place that knows of other libraries.

None of them is imported here, as somebody who has a tensor has imported torch, and who has a masked array numpy.ma,
which NumPy itself does not import. A view is float32, float64, float16, or uint16, which stands for bfloat16: NumPy has
no such type. Nothing is ever copied, since a copy would be written in the array's stead.
"""

from __future__ import annotations

import functools
import importlib
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

BFLOAT16 = np.dtype(np.uint16)
FLOATS = (np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.float16))
EXPECTED = "float32, float64, float16 or bfloat16"
TOO_COARSE = "; half precision can't tell one position from the next"

# Their arrays can't be written, although some buffers and DLPack exports of theirs look as if they could.
IMMUTABLE = ("jax", "jaxlib", "tensorflow")
DLPACK_CPU = 1
DLPACK_TELLS = np.lib.NumpyVersion(np.__version__) >= "2.1.0"  # whether an import is a copy, or may be written


def view(x: Any, name: str, *, write: bool) -> NDArray[Any]:
    """`x` as an ndarray of the same memory, of one of the dtypes above."""
    if type(x) is np.ndarray:
        array = x
    elif is_tensor(x):
        return _of_tensor(x, name, write)
    else:
        array = _borrowed(x, name, write)
    if array.dtype in FLOATS:
        return array
    if is_bfloat16(array.dtype):
        return array.view(BFLOAT16)
    raise TypeError(f"{name}.dtype: expected {EXPECTED} in native byte order, got {dtype_name(array.dtype)}")


def dtype(value: Any) -> tuple[np.dtype[Any], Any]:
    """What a user means by a dtype: that of the view, and that of the array."""
    if _is_of("torch", value, "dtype"):
        kind = _tensor_dtype(value)
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
    if _is_of("torch", own, "dtype"):
        return tensor(array)
    return array if array.dtype == own else array.view(own)


def like(array: NDArray[Any], x: Any) -> Any:
    """The new `array`, made to hold what `x` holds, as a tensor if `x` is one, and of its dtype."""
    if is_tensor(x):
        return tensor(array)
    return array.view(np.asarray(x).dtype) if array.dtype == BFLOAT16 else array


def tensor(array: NDArray[Any]) -> Any:
    """`array` as a torch tensor of the same memory."""
    torch: Any = sys.modules["torch"]
    if array.dtype == BFLOAT16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def written(x: Any) -> None:
    """Let torch know that `x` will have been written, as autograd may have kept it for a backward pass."""
    if is_tensor(x):
        sys.modules["torch"].autograd.graph.increment_version(x)


def numbers(value: Any, name: str) -> NDArray[Any]:
    """Any array-like thing to read from, possibly as a copy."""
    if is_masked(value):
        raise TypeError(f"{name}: expected plain numbers, got a masked array; pass its .data")
    if is_tensor(value):
        _refuse_elsewhere(value, name)
        if str(value.dtype) == "torch.bfloat16":
            raise TypeError(f"{name}: expected integers or float32 or float64 numbers, got {value.dtype}{TOO_COARSE}")
        value = value.detach().resolve_neg()
    elif hasattr(type(value), "__dlpack__") and not hasattr(type(value), "__array__"):
        return _of_dlpack(value, name, False)
    try:
        array: NDArray[Any] = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name}: expected numbers, got sequences of different lengths") from None
    return array


def is_tensor(x: Any) -> bool:
    return type(x) is not np.ndarray and _is_of("torch", x, "Tensor")


def is_masked(x: Any) -> bool:
    return _is_of("numpy.ma", x, "MaskedArray")


def is_bfloat16(dtype: np.dtype[Any]) -> bool:
    """Whether it is the bfloat16 of ml_dtypes, or of somebody who registered his own."""
    return dtype.kind == "V" and dtype.name == "bfloat16"


def type_name(x: Any) -> str:
    return f"{type(x).__module__}.{type(x).__qualname__}"


def float_name(dtype: np.dtype[Any]) -> str:
    """The name of a view's dtype."""
    return "bfloat16" if dtype == BFLOAT16 else dtype.name


def dtype_name(dtype: np.dtype[Any]) -> str:
    return dtype.name if dtype.isnative else f"{dtype.name} in foreign byte order ({dtype.str})"


def _is_of(module: str, x: Any, kind: str) -> bool:
    return isinstance(x, getattr(sys.modules.get(module), kind, ()))


@functools.cache
def _tensor_dtype(dtype: Any) -> np.dtype[Any] | None:
    name = str(dtype).removeprefix("torch.")
    return BFLOAT16 if name == "bfloat16" else next((kind for kind in FLOATS if kind.name == name), None)


def _refuse_elsewhere(x: Any, name: str) -> None:
    """Refuse a tensor that is not one block of this machine's memory."""
    if x.device.type != "cpu":
        raise TypeError(f"{name}: expected a tensor on the CPU, got one on device {x.device}")
    if x.layout != sys.modules["torch"].strided or x.is_nested:
        raise TypeError(f"{name}: expected a dense tensor, got {'a nested one' if x.is_nested else x.layout}")


def _of_tensor(x: Any, name: str, write: bool) -> NDArray[Any]:
    torch = sys.modules["torch"]
    _refuse_elsewhere(x, name)
    kind = _tensor_dtype(x.dtype)
    if kind is None:
        raise TypeError(f"{name}.dtype: expected {EXPECTED}, got {x.dtype}")
    if x.requires_grad and torch.is_grad_enabled():
        raise ValueError(
            f"{name}: expected a tensor without gradient, got one that requires grad; use torch.no_grad() or detach()"
        )
    if x.is_neg():
        raise ValueError(f"{name}: expected a tensor as it lies in memory, got a negated view; use resolve_neg()")
    if write and x.is_inference() and not torch.is_inference_mode_enabled():
        raise ValueError(f"{name}: expected a normal tensor, got one of inference mode; clone() it first")
    plain = x.detach()
    try:
        array: NDArray[Any] = (plain.view(torch.int16) if kind == BFLOAT16 else plain).numpy()
    except (RuntimeError, TypeError) as error:  # fake, wrapped, functional ...
        raise TypeError(f"{name}: expected a tensor with memory of its own, got {type_name(x)}: {error}") from error
    return array.view(kind) if kind == BFLOAT16 else array


def _borrowed(x: Any, name: str, write: bool) -> NDArray[Any]:
    """An array of any dtype from whoever lends one."""
    if is_masked(x):
        raise TypeError(f"{name}: expected a plain numpy.ndarray, got {type_name(x)}; pass its .data, and mask=")
    if isinstance(x, np.ndarray):
        return x.view(np.ndarray)
    if type(x).__module__.partition(".")[0] in IMMUTABLE:
        if write:
            raise ValueError(f"{name}: expected a writeable array, got {type_name(x)}, which is immutable")
        return np.asarray(x)
    try:
        return np.asarray(memoryview(x))
    except (TypeError, ValueError, BufferError):
        if hasattr(type(x), "__dlpack__"):
            return _of_dlpack(x, name, write)
        raise TypeError(
            f"{name}: expected a numpy.ndarray, a torch.Tensor, or an object with the buffer protocol or __dlpack__, "
            f"got {type_name(x)}"
        ) from None


def _of_dlpack(x: Any, name: str, write: bool) -> NDArray[Any]:
    device = tuple(int(part) for part in x.__dlpack_device__())
    if device[0] != DLPACK_CPU:
        raise TypeError(f"{name}: expected an array on the CPU, got {type_name(x)} on DLPack device {device}")
    options: dict[str, Any] = {"copy": False} if DLPACK_TELLS and write else {}
    try:
        array: NDArray[Any] = np.from_dlpack(x, **options)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        raise TypeError(
            f"{name}: expected an array that NumPy takes through DLPack, got {type_name(x)}: {error}"
        ) from error
    return array
