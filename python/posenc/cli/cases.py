"""What benchmarks have in common: the usual lines, the compiled core's ISA level, samples of rows."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posenc import _backend

Array = NDArray[np.floating]

DECODING_POSITION = 1000  # where a single row stands; at 0 there would be nothing to get wrong


def recipe(out: Array, start: int, precision: type[np.floating], places: NDArray[np.float64] | None = None) -> Array:
    """The lines that are usually copied; `precision` is that of the angles. `places`: positions to take instead."""
    length, dim = out.shape[-2:]
    table = out if out.ndim == 2 else np.empty((length, dim), out.dtype)
    positions = np.arange(start, start + length, dtype=precision) if places is None else places.astype(precision)
    inv_freq = np.exp(np.arange(0, dim, 2, dtype=precision) * precision(-math.log(10000.0) / dim))
    angles = positions[:, None] * inv_freq
    table[:, 0::2] = np.sin(angles)
    table[:, 1::2] = np.cos(angles[:, : dim // 2])
    if table is not out:
        out[...] = table
    return out


@contextmanager
def isa_restored() -> Iterator[None]:
    """Leave the compiled core's ISA level as it was."""
    core: Any = importlib.import_module("posenc._core") if _backend.why_not("cpp") is None else None
    level = core.level() if core is not None else None
    try:
        yield
    finally:
        if core is not None:
            core.use_level(level)


def some_rows(length: int, count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """All rows, or about `count` of them in runs: the first, the last and others."""
    if count >= length:
        return np.arange(length)
    run = min(64, length)
    starts = random.integers(length - run + 1, size=max(count // run - 2, 0))
    return np.unique(np.concatenate([[0, length - run], starts])[:, None] + np.arange(run))
