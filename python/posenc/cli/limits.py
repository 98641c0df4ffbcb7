"""What the memory allows: the least that a fill, or an update, of the same array can take. Timed beside the others."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from .arena import Arena
from .arrays import Array
from .entrants import Entrant
from .workloads import LOOKS_UP, Workload

FACTOR = 1.0001

Call = Callable[[], Any]


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
        Entrant("limit", name, partial(_bound, work=work, threads=threads), threads=threads)
        for name, work in LIMITS[workload.op].items()
    ]


def _bound(arena: Arena, work: Callable[[Arena, Any, Any], Call], threads: int) -> Call:
    """Does its work on all of the arrays, a part of them on each thread."""
    if arena.workload.op in LOOKS_UP:
        sources: list[Any] = np.array_split(arena.ids.reshape(-1), threads)
        targets = np.array_split(arena.memory.reshape(-1, arena.dim), threads)
    else:
        target = arena.other_numbers if arena.workload.op in NEW else arena.numbers
        sources, targets = _parts(arena.numbers, threads), _parts(target, threads)
    return _together([work(arena, source, target) for source, target in zip(sources, targets, strict=True)])


def _fill(_: Arena, __: Array, target: Array) -> Call:
    return partial(target.fill, 1.0)


def _memset(_: Arena, __: Array, target: Array) -> Call:
    return partial(ctypes.memset, target.ctypes.data, 0, target.nbytes)


def _multiply(_: Arena, source: Array, target: Array) -> Call:
    return partial(np.multiply, source, source.dtype.type(FACTOR), out=target)


def _take(arena: Arena, ids: Any, rows: Any) -> Call:
    """With another mode NumPy copies the rows twice."""
    return partial(np.take, arena.embeddings, ids, 0, rows, "clip")


NEW = ("encode", "add_new")  # these write to another array
LIMITS: dict[str, dict[str, Callable[[Arena, Any, Any], Call]]] = {
    "fill": {"x.fill(1)": _fill, "memset": _memset},
    "encode": {"y.fill(1)": _fill, "memset": _memset},
    **{op: {"x *= a": _multiply} for op in ("add", "scale_add", "rotate")},
    "add_new": {"y = x * a": _multiply},
    **{op: {"np.take, mode=clip": _take} for op in LOOKS_UP},
    "first": {},
}


def _add_other(arena: Arena) -> Call:
    x = arena.x
    return partial(np.add, x, np.ones_like(x), out=x) if isinstance(x, np.ndarray) else partial(x.add_, x.clone())


def _parts(x: Array, count: int) -> list[Array]:
    """`x` itself, or its elements in `count` equal pieces."""
    return [x] if count == 1 else np.array_split(x.ravel(order="K"), count)


def _together(calls: list[Call]) -> Call:
    """One call that makes all of them at once: each lets go of the GIL."""
    first, *others = calls
    if not others:
        return first
    pool = ThreadPoolExecutor(len(others))

    def run() -> None:
        pending = [pool.submit(call) for call in others]
        first()
        for future in pending:
            future.result()

    return run
