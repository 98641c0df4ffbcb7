"""Large arrays in parts, so that what a call needs beside them is bounded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


def blocks(shape: tuple[int, ...], most: int) -> Iterator[tuple[Any, ...]]:
    """Indices of the parts of an array of `shape`, in C order, with at most `most` elements each, and at least one.

    Each index consists of integers and a last slice, which stays within the array; the axes behind it are whole. The
    only index of an array that is small enough is ().
    """
    axis, size = len(shape), 1
    while axis and size * shape[axis - 1] <= most:
        axis -= 1
        size *= shape[axis]
    if axis == 0:
        yield ()
        return
    length = shape[axis - 1]
    step = max(1, most // size)
    for outer in np.ndindex(*shape[: axis - 1]):
        for first in range(0, length, step):
            yield (*outer, slice(first, min(first + step, length)))
