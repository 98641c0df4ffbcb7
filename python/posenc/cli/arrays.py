"""Arrays of every dtype: the memory that NumPy works on, where uint16 stands for bfloat16, and what users hold."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posenc import _arrays, _half

Array = NDArray[np.floating]

DTYPES = ("float32", "float64", "float16", "bfloat16")


class Unavailable(RuntimeError):
    """Somebody, or an array, can't take part here; the text says why."""


@functools.cache
def torch() -> Any:
    """The package, on one thread."""
    if importlib.util.find_spec("torch") is None:
        raise Unavailable("torch is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module: Any = importlib.import_module("torch")
    module.set_num_threads(1)
    return module


def memory_dtype(name: str) -> np.dtype[Any]:
    return _arrays.BFLOAT16 if name == "bfloat16" else np.dtype(name)


def lend(memory: NDArray[Any]) -> Any:
    """The same memory as a user's array: NumPy's; for bfloat16 that of ml_dtypes, or else a torch tensor."""
    if memory.dtype != _arrays.BFLOAT16:
        return memory
    with contextlib.suppress(ImportError):
        return memory.view(importlib.import_module("ml_dtypes").bfloat16)
    with contextlib.suppress(Unavailable):
        return tensor(memory)
    raise Unavailable("bfloat16 needs ml_dtypes or torch, and neither is installed")


def tensor(memory: NDArray[Any]) -> Any:
    """The same memory as a torch tensor."""
    torch()
    return _arrays.tensor(memory)


def memory_of(result: Any) -> NDArray[Any]:
    """What somebody returned, the other way round."""
    try:
        return _arrays.view(result, "result", write=False)
    except TypeError:
        return np.asarray(result)


def widened(memory: NDArray[Any]) -> NDArray[Any]:
    """The numbers in `memory`, in float32 at least."""
    return _half.widen(memory) if memory.itemsize == 2 else memory


def rounded(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """`values` as `memory` of a dtype."""
    return _half.narrow(values.astype(np.float32), dtype) if dtype.itemsize == 2 else values.astype(dtype)
