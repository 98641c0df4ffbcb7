"""What the memory allows: the least that a fill, or an update, of the same array can take. Timed beside the others."""

from __future__ import annotations

import ctypes
import operator
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from .arena import Arena
from .entrants import Entrant
from .timing import Call
from .workloads import LOOKS_UP, Workload

FACTOR = 1.0001


def limits(workload: Workload, threads: int = 1) -> list[Entrant]:
    """The limits of a workload; the fastest is the one that counts.

    A fill writes every byte. An update reads and writes it; a new sum reads one array and writes another, whose pages
    are there already; embeddings are copied into one row by row. For 16-bit elements, with which NumPy is slow, these
    are float32 arrays of as many bytes.
    Of a call on next to nothing: the addition of another such array, by whoever holds it.
    """
    if workload.call:
        return [Entrant("limit", "torch x.add_(y)" if workload.held else "np.add(x, y, out=x)", _add_other)]
    return [
        Entrant("limit", name, partial(_bound, work=WORK[name], threads=threads), threads=threads)
        for name in LIMITS[workload.op]
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
WORK: dict[str, Callable[[Arena, Any, Any], Call]] = {
    **dict.fromkeys(("x.fill(1)", "y.fill(1)"), lambda _, __, y: partial(y.fill, 1.0)),
    "memset": lambda _, __, y: partial(ctypes.memset, y.ctypes.data, 0, y.nbytes),
    **dict.fromkeys(("x *= a", "y = x * a"), lambda _, x, y: partial(np.multiply, x, x.dtype.type(FACTOR), out=y)),
    # With another mode NumPy copies the rows twice.
    "np.take, mode=clip": lambda arena, ids, rows: partial(np.take, arena.embeddings, ids, 0, rows, "clip"),
}


def _bound(arena: Arena, work: Callable[[Arena, Any, Any], Call], threads: int) -> Call:
    """Does its work on all of the arrays, a part of them on each thread."""
    arrays: Sequence[Any]
    if arena.workload.op in LOOKS_UP:
        arrays = arena.ids.reshape(-1), arena.memory.reshape(-1, arena.dim)
    else:
        arrays = arena.numbers, arena.other_numbers if arena.workload.op in NEW else arena.numbers
        arrays = arrays if threads == 1 else [array.ravel(order="K") for array in arrays]
    parts = zip(*(np.array_split(array, threads) for array in arrays), strict=True)
    return _together([work(arena, source, target) for source, target in parts])


def _add_other(arena: Arena) -> Call:
    x = arena.x
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
