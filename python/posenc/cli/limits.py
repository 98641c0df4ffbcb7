"""What the memory allows: the least that a fill, or an update, of the same array can take. Timed beside the others."""

from __future__ import annotations

import ctypes
import operator
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from .cases import LOOKS_UP, Case
from .implementations import Implementation
from .inputs import Inputs
from .timing import Call

FACTOR = 1.0001


def limits(case: Case, threads: int = 1) -> list[Implementation]:
    """The limits of a case; the fastest is the one that counts.

    A fill writes every byte. An update reads and writes it; a new sum reads one array and writes another, whose pages
    are there already; embeddings are copied into one row by row. For 16-bit elements, with which NumPy is slow, these
    are float32 arrays of as many bytes.
    Of a call on next to nothing: the addition of another such array, by whoever holds it.
    """
    if case.call:
        return [Implementation("limit", "torch x.add_(y)" if case.held else "np.add(x, y, out=x)", _add_other)]
    return [
        Implementation("limit", name, partial(_bound, work=WORK[name], threads=threads), threads=threads)
        for name in LIMITS[case.op]
    ]


LIMITS: dict[str, tuple[str, ...]] = {
    "fill": ("x.fill(1)", "memset"),
    "encode": ("y.fill(1)", "memset"),
    **dict.fromkeys(("add", "scale_add", "rotate"), ("x *= a",)),
    "add_new": ("y = x * a",),
    **dict.fromkeys(LOOKS_UP, ("np.take, mode=clip",)),
    "first": (),
}
NEW = ("encode", "add_new")  # these write to another array

# What is to be done with a part of what is read, and of what is written.
WORK: dict[str, Callable[[Inputs, Any, Any], Call]] = {
    **dict.fromkeys(("x.fill(1)", "y.fill(1)"), lambda _, __, y: partial(y.fill, 1.0)),
    "memset": lambda _, __, y: partial(ctypes.memset, y.ctypes.data, 0, y.nbytes),
    **dict.fromkeys(("x *= a", "y = x * a"), lambda _, x, y: partial(np.multiply, x, x.dtype.type(FACTOR), out=y)),
    # With another mode NumPy copies the rows twice.
    "np.take, mode=clip": lambda inputs, ids, rows: partial(np.take, inputs.embeddings, ids, 0, rows, "clip"),
}


def _bound(inputs: Inputs, work: Callable[[Inputs, Any, Any], Call], threads: int) -> Call:
    """Does its work on all of the arrays, a part of them on each thread."""
    arrays: Sequence[Any]
    if inputs.case.op in LOOKS_UP:
        arrays = inputs.ids.reshape(-1), inputs.memory.reshape(-1, inputs.dim)
    else:
        arrays = inputs.numbers, inputs.other_numbers if inputs.case.op in NEW else inputs.numbers
        arrays = arrays if threads == 1 else [array.ravel(order="K") for array in arrays]
    parts = zip(*(np.array_split(array, threads) for array in arrays), strict=True)
    return _together([work(inputs, source, target) for source, target in parts])


def _add_other(inputs: Inputs) -> Call:
    x = inputs.x
    return partial(np.add, x, np.ones_like(x), out=x) if isinstance(x, np.ndarray) else partial(x.add_, x.clone())


def _together(calls: list[Call]) -> Call:
    """One call that makes all of them at once: each lets go of the GIL."""
    first, *others = calls
    if not others:
        return first
    pool = ThreadPoolExecutor(len(others))

    def run() -> None:
        pending = pool.map(operator.call, others)
        first()
        list(pending)  # waits for them

    return run
