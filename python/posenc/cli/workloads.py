"""What is benchmarked: every case by name, its arrays, and whether a result is right. The times are `bench`'s."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import posenc
from posenc import _backend

from . import truth
from .cases import Array, recipe
from .check import REFERENCE, some_rows
from .timing import Task

# What a user writes, in a word. The last two make a new array.
OPS = {
    "fill": "posenc.fill_(x)",
    "add": "posenc.add_(x)",
    "scale_add": "posenc.add_(x, x_scale='sqrt_dim')",
    "add_new": "posenc.add(x)",
    "encode": "posenc.encode(L, D)",
}
MAKES = ("fill", "encode")  # these take nothing from x

CHECKED_ELEMENTS = 2**19
EXACT_ELEMENTS = 400


class Unavailable(RuntimeError):
    """An entrant can't take part here; the text says why."""


@dataclass(frozen=True)
class Workload:
    """One case: an operation, the array it works on, and where its rows stand."""

    op: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    start: int = 0
    real: bool = False  # positions are reals, given one by one
    note: str = ""

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def shape_text(self) -> str:
        return "x".join(map(str, self.shape))

    def __str__(self) -> str:
        parts = [self.op, self.shape_text]
        parts += [self.dtype] if self.dtype != "float32" else []
        parts += [f"from {self.start}"] if self.start else []
        parts += ["at reals"] if self.real else []
        return " ".join(parts)

    @property
    def tiny(self) -> Workload:
        """The same on an array of a few hundred elements: to see that everything works."""
        *batch, length, dim = self.shape
        return replace(self, shape=(*(min(n, 2) for n in batch), min(length, 12), min(dim, 32)))


# Each is there for one reason, its note. They are judged on one thread, against limits and peers of the same run.
WORKLOADS = [
    Workload("fill", (512, 512), note="1 MiB, stays in a core's cache"),
    Workload("fill", (4096, 512), note="8 MiB, what a model's max_len asks for"),
    Workload("fill", (131072, 512), note="256 MiB, beyond all caches"),
    Workload("fill", (4096, 512), start=10**9, note="no cliff at far positions"),
    Workload("fill", (8192, 512), real=True, note="positions given one by one, as reals"),
    Workload("fill", (4096, 512), dtype="float64", note="16 MiB"),
    Workload("encode", (131072, 512), note="256 MiB, a new array every time"),
    Workload("add", (512, 512), note="1 MiB, stays in a core's cache"),
    Workload("add", (131072, 512), note="256 MiB, one sequence"),
    Workload("add", (32, 512, 768), note="48 MiB, 32 sequences share their encoding"),
    Workload("scale_add", (32, 512, 768), note="x * sqrt(D) + PE in one pass"),
    Workload("add_new", (131072, 512), note="256 MiB, a new array every time"),
    Workload("add", (1, 512), note="one row: what a call costs"),
]


class Arena:
    """The arrays of a workload, shared by all that enter it."""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.x: Array = np.empty(workload.shape, workload.dtype)
        self.length, self.dim = workload.shape[-2:]
        self.scale = math.sqrt(self.dim) if workload.op == "scale_add" else 1.0

    @cached_property
    def y(self) -> Array:
        """Another array like x, whose pages are there."""
        return np.ones_like(self.x)

    @cached_property
    def positions(self) -> NDArray[np.float64]:
        if self.workload.real:
            return np.sort(np.random.default_rng(2).uniform(0, self.length, self.length))
        return np.arange(self.length, dtype=np.float64) + self.workload.start

    @cached_property
    def table(self) -> Array:
        """The encoding as a ready (L, D) table, which costs the peers that use it nothing."""
        table = np.empty((self.length, self.dim), self.x.dtype)
        recipe(table, self.workload.start, np.float64, self.positions)
        return table

    def prepare(self) -> None:
        """NaN before x is filled, so that a gap shows; the same ordinary numbers before every add."""
        if self.workload.op in MAKES:
            self.x.fill(np.nan)
            return
        block = np.random.default_rng(1).standard_normal(2**18).astype(self.x.dtype)
        flat = self.x.reshape(-1)
        for first in range(0, flat.size, block.size):
            part = flat[first : first + block.size]
            part[:] = block[: part.size]

    def reset(self) -> None:
        """Before a sample, if the operation would otherwise make x overflow."""
        self.x.fill(1.0)


def _as_float64(position: float) -> float:
    """The largest absolute error that angles in float64, or a table made from them, explain."""
    return 2e-6 + 1e-15 * position


@dataclass(frozen=True)
class Entrant:
    """Somebody who takes part.

    Attributes
    ----------
    kind : {"posenc", "limit", "peer"}
    name : str
    make : callable
        Given an arena, gives the call to time; that returns the result. May raise Unavailable.
    isa, threads
        The compiled core's level; how many threads may work.
    tolerance : callable
        For peers: the error allowed, given the largest position.
    tidy : callable, optional
        Puts the columns of a result in the paper's order.
    """

    kind: str
    name: str
    make: Callable[[Arena], Callable[[], Any]]
    isa: str | None = None
    threads: int = 1
    tolerance: Callable[[float], float] = _as_float64
    tidy: Callable[[Array], Array] | None = None

    def __str__(self) -> str:
        parts = [self.name, self.isa, f"{self.threads} threads" if self.threads > 1 else None]
        return " ".join(part for part in parts if part)

    def task(self, arena: Arena) -> Task:
        """What is to be timed in this arena, at the right ISA level."""
        call = self.make(arena)
        core = importlib.import_module("posenc._core") if self.isa else None
        resets = arena.workload.op == "scale_add"
        if core is None and not resets:
            return Task(call)

        def setup() -> None:
            if core is not None:
                core.use_level(self.isa)
            if resets:
                arena.reset()

        return Task(call, setup)


def ours(name: str, isa: str | None = None, threads: int = 1) -> Entrant:
    """A backend of posenc, called as a user would: keywords only where they differ from their defaults."""
    return Entrant("posenc", name, partial(_our_call, name=name, threads=threads), isa, threads)


def _our_call(arena: Arena, name: str, threads: int) -> Callable[[], Any]:
    workload = arena.workload
    keywords: dict[str, Any] = {}
    if name != _backend.default_name():
        keywords["backend"] = name
    if threads != posenc.get_num_threads():
        keywords["threads"] = threads
    if workload.op == "encode":
        first = arena.positions if workload.real else arena.length
        if workload.start:
            keywords["start"] = workload.start
        if workload.dtype != "float32":
            keywords["dtype"] = workload.dtype
        return partial(posenc.encode, first, arena.dim, **keywords)
    if workload.real:
        keywords["positions"] = arena.positions
    elif workload.start:
        keywords["start"] = workload.start
    if workload.op == "fill":
        return partial(posenc.fill_, arena.x, **keywords)
    if workload.op == "scale_add":
        keywords["x_scale"] = "sqrt_dim"
    return partial(posenc.add if workload.op == "add_new" else posenc.add_, arena.x, **keywords)


@dataclass(frozen=True)
class Finding:
    """What is known of a result: why it is wrong, if it is, and its largest errors against the real numbers."""

    problem: str | None
    max_ulp: float | None = None
    max_error: float | None = None


class Judge:
    """Knows what must come out of an arena: the numpy backend's bits, and some real numbers."""

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        arena.prepare()
        x, random = arena.x, np.random.default_rng(0)
        self.rows = some_rows(arena.length, CHECKED_ELEMENTS * arena.length // x.size, random)
        self.expected = x[..., self.rows, :]
        positions = arena.positions[self.rows]
        if arena.workload.op in MAKES:
            posenc.fill_(self.expected, positions=positions, backend=REFERENCE)
        else:
            posenc.add_(self.expected, positions=positions, x_scale=arena.scale, backend=REFERENCE)
        self.elements = np.unravel_index(random.integers(x.size, size=EXACT_ELEMENTS), x.shape)
        self.exact = [self._exact(*place) for place in zip(*self.elements[-2:], x[self.elements], strict=True)]

    def __call__(self, entrant: Entrant, task: Task) -> Finding:
        """Run `task` once and look at its result."""
        x = self.arena.x
        if task.setup is not None:
            task.setup()
        self.arena.prepare()
        try:
            result = np.asarray(task.call())
        except Exception as error:  # any: the others are still worth timing
            return Finding(f"raised {type(error).__name__}: {str(error).strip().partition(chr(10))[0]}")
        if entrant.kind == "limit":
            return Finding(None)
        if entrant.tidy is not None:
            result = entrant.tidy(result)
        if result.shape[-2:] != x.shape[-2:] or result.dtype != x.dtype:
            return Finding(f"returned {result.dtype} of shape {result.shape}")
        result = np.broadcast_to(result, x.shape)
        written = result[..., self.rows, :]
        values = result[self.elements]
        if math.isnan(np.min(result)):
            return Finding("left elements unwritten, or wrote NaN")
        errors = [abs(Decimal(float(v)) - value) for v, (value, _) in zip(values, self.exact, strict=True)]
        max_ulp = float(max(error / ulp for error, (_, ulp) in zip(errors, self.exact, strict=True)))
        max_error = float(max(errors))
        problem = None
        if entrant.kind == "posenc":
            if written.tobytes() != self.expected.tobytes():
                problem = f"differs from the {REFERENCE} backend"
        else:
            allowed = entrant.tolerance(float(np.max(np.abs(self.arena.positions)))) * self.arena.scale
            off = float(np.max(np.abs(written.astype(np.float64) - self.expected)))
            if off > allowed:
                problem = f"off by {off:.2g}, where {allowed:.2g} is allowed"
        return Finding(problem, max_ulp, max_error)

    def _exact(self, row: int, column: int, before: float) -> tuple[Decimal, Decimal]:
        """The value of an element, and the unit in which its error is counted."""
        arena = self.arena
        value = truth.encoding(float(arena.positions[row]), int(column), arena.dim)
        ulp = truth.ulp(value, arena.x.dtype)
        if arena.workload.op in MAKES:
            return value, ulp
        value += Decimal(float(before)) * Decimal(float(arena.x.dtype.type(arena.scale)))
        return value, max(ulp, truth.ulp(value, arena.x.dtype))
