"""What the memory allows: the least that a fill, or an update, of the same array can take. Timed beside the others."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from .arena import Arena
from .arrays import lend, tensor
from .cases import Array
from .entrants import Entrant
from .workloads import Workload

FACTOR = 1.0001


def limits(workload: Workload, threads: int = 1) -> list[Entrant]:
    """The limits of a workload; the fastest is the one that counts.

    A fill writes every byte. An update reads and writes it; a new sum reads one array and writes another, whose pages
    are there already; embeddings are copied into one row by row. For 16-bit elements, with which NumPy is slow, these
    are float32 arrays of as many bytes.
    Of a call on next to nothing: the addition of another such array, by whoever holds it.
    """
    if workload.call:
        least = {"torch x.add_(y)": _torch_add_other} if workload.held else {"np.add(x, y, out=x)": _add_other}
        return [Entrant("limit", name, partial(_bound, make=make, threads=threads)) for name, make in least.items()]
    makers: dict[str, dict[str, Callable[[Arena, int], Callable[[], Any]]]] = {
        "fill": {"x.fill(1)": _fill, "memset": _memset},
        "encode": {"y.fill(1)": _fill_other, "memset": _memset},
        "add": {"x *= a": _multiply},
        "scale_add": {"x *= a": _multiply},
        "rotate": {"x *= a": _multiply},
        "add_new": {"y = x * a": _multiply_to_other},
        "embed": {"np.take, mode=clip": _take},
        "embed_new": {"np.take, mode=clip": _take},
        "first": {},
    }
    return [
        Entrant("limit", name, partial(_bound, make=make, threads=threads), threads=threads)
        for name, make in makers[workload.op].items()
    ]


def _bound(arena: Arena, make: Callable[[Arena, int], Callable[[], Any]], threads: int) -> Callable[[], Any]:
    return make(arena, threads)


def _fill(arena: Arena, threads: int) -> Callable[[], Any]:
    return _together([partial(part.fill, 1.0) for part in _parts(arena.numbers, threads)])


def _fill_other(arena: Arena, threads: int) -> Callable[[], Any]:
    return _together([partial(part.fill, 1.0) for part in _parts(arena.other_numbers, threads)])


def _memset(arena: Arena, threads: int) -> Callable[[], Any]:
    target = arena.other_numbers if arena.workload.op == "encode" else arena.numbers
    return _together([partial(ctypes.memset, p.ctypes.data, 0, p.nbytes) for p in _parts(target, threads)])


def _multiply(arena: Arena, threads: int) -> Callable[[], Any]:
    factor = arena.numbers.dtype.type(FACTOR)
    return _together([partial(np.multiply, part, factor, out=part) for part in _parts(arena.numbers, threads)])


def _multiply_to_other(arena: Arena, threads: int) -> Callable[[], Any]:
    factor = arena.numbers.dtype.type(FACTOR)
    pairs = zip(_parts(arena.numbers, threads), _parts(arena.other_numbers, threads), strict=True)
    return _together([partial(np.multiply, source, factor, out=target) for source, target in pairs])


def _take(arena: Arena, threads: int) -> Callable[[], Any]:
    """With another mode NumPy copies the rows twice."""
    ids, rows = arena.ids.reshape(-1), arena.memory.reshape(-1, arena.dim)
    parts = zip(np.array_split(ids, threads), np.array_split(rows, threads), strict=True)
    return _together([partial(np.take, arena.embeddings, some, 0, out, "clip") for some, out in parts])


def _add_other(arena: Arena, threads: int) -> Callable[[], Any]:
    x = lend(arena.memory)
    return partial(np.add, x, np.ones_like(x), out=x) if isinstance(x, np.ndarray) else _torch_add_other(arena, threads)


def _torch_add_other(arena: Arena, _: int) -> Callable[[], Any]:
    x = tensor(arena.memory)
    return partial(x.add_, x.clone())


def _parts(x: Array, count: int) -> list[Array]:
    """`x` itself, or its elements in `count` equal pieces."""
    return [x] if count == 1 else np.array_split(x.ravel(order="K"), count)


def _together(calls: list[Callable[[], Any]]) -> Callable[[], Any]:
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
