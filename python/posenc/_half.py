"""16-bit elements: float16, and bfloat16 as the uint16 of its bits, to and from float32. Every step is exact or rounds
once, to nearest even.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def widen(x: NDArray[Any]) -> NDArray[np.float32]:
    """The same numbers in float32."""
    if x.dtype == np.uint16:
        return (x.astype(np.uint32) << 16).view(np.float32)
    return x.astype(np.float32)


def widest(x: NDArray[Any]) -> NDArray[np.float64]:
    """The numbers of a view of any dtype in float64."""
    return np.asarray(widen(x) if x.dtype == np.uint16 else x, np.float64)


def narrow(values: NDArray[np.float32], dtype: np.dtype[Any]) -> NDArray[Any]:
    """`values` rounded to `dtype`, which is float16 or uint16. A NaN stays one, and is quiet."""
    if dtype != np.uint16:
        return values.astype(dtype)
    bits = values.view(np.uint32)
    rounded = (bits + ((bits >> 16 & 1) + 0x7FFF)) >> 16
    return np.where(np.isnan(values), bits >> 16 | 0x40, rounded).astype(np.uint16)


def narrow_unsigned(values: NDArray[np.float32], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The same, but what becomes 0 is a positive zero."""
    result = narrow(values, dtype)
    result[result == (0x8000 if dtype == np.uint16 else 0.0)] = 0
    return result


def to_odd(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """`values` cut to float32, with the last bit set where that lost something.

    Such a number is never halfway between two shorter ones, nor on the wrong side of one: rounding it to 16 bits is
    rounding `values`.
    """
    nearest = values.astype(np.float32)
    bits = nearest.view(np.int32)
    bits -= np.abs(nearest) > np.abs(values)
    bits |= nearest != values
    return nearest
