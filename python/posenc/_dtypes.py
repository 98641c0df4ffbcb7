"""The dtypes of views, and what texts call them. uint16 stands for bfloat16, as NumPy has no such type."""

from __future__ import annotations

from typing import Any

import numpy as np

BFLOAT16 = np.dtype(np.uint16)
FLOATS = (np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.float16))
EXPECTED = "float32, float64, float16 or bfloat16"


def is_bfloat16(dtype: np.dtype[Any]) -> bool:
    """Whether it is the bfloat16 of ml_dtypes, or of somebody who registered his own."""
    return dtype.kind == "V" and dtype.name == "bfloat16"


def float_name(dtype: np.dtype[Any]) -> str:
    """The name of a view's dtype."""
    return "bfloat16" if dtype == BFLOAT16 else dtype.name


def dtype_name(dtype: np.dtype[Any]) -> str:
    return dtype.name if dtype.isnative else f"{dtype.name} in foreign byte order ({dtype.str})"


def type_name(x: Any) -> str:
    return f"{type(x).__module__}.{type(x).__qualname__}"
