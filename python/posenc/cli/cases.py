"""What is compared and timed: an operation on an array, and everybody who can do it."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import posenc
from posenc import _backend

from .timing import Task

Array = NDArray[np.floating]

OPERATIONS: dict[str, Callable[..., Any]] = {"fill": posenc.fill_, "add": posenc.add_}
RECIPE = "recipe"  # not a backend: the baselines
DECODING_POSITION = 1000  # where a single row stands; at 0 there would be nothing to get wrong


@dataclass(frozen=True)
class Case:
    """An operation on an array of a shape and dtype."""

    operation: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.floating]

    @property
    def start(self) -> int:
        return DECODING_POSITION if self.shape[-2] == 1 else 0

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def shape_text(self) -> str:
        return "x".join(map(str, self.shape))

    def __str__(self) -> str:
        return f"{self.operation} {self.shape_text} {self.dtype}"


@dataclass(frozen=True)
class Contender:
    """A backend at one ISA level, or a baseline, which is not judged."""

    backend: str
    isa: str | None
    task: Task
    judged: bool = True

    def __str__(self) -> str:
        return self.backend if self.isa is None else f"{self.backend} {self.isa}"


def contenders(case: Case, x: Array, names: Sequence[str]) -> Iterator[Contender]:
    """All that `names` (backends, or RECIPE) stand for, ready to do `case` on `x`."""
    for name in names:
        if name == RECIPE:
            yield from _baselines(case, x)
            continue
        # What users write: the default backend is not named, which also opens its short way for small arrays.
        chosen = {} if name == _backend.default_name() else {"backend": name}
        start = {"start": case.start} if case.start else {}
        call = partial(OPERATIONS[case.operation], x, **start, **chosen)
        if name == "cpp":
            core = _core()
            for level in core.levels():
                yield Contender(name, level, Task(call, setup=partial(core.use_level, level)))
        else:
            yield Contender(name, None, Task(call))


def _baselines(case: Case, x: Array) -> Iterator[Contender]:
    if case.operation == "fill":
        yield Contender("recipe f64", None, Task(partial(recipe, x, case.start, np.float64)), judged=False)
        if x.dtype == np.float32:
            yield Contender("recipe f32", None, Task(partial(recipe, x, case.start, np.float32)), judged=False)
    else:
        table = np.empty(x.shape[-2:], x.dtype)
        recipe(table, case.start, np.float64)
        yield Contender("table", None, Task(partial(np.add, x, table, out=x)), judged=False)


def recipe(out: Array, start: int, precision: type[np.floating], places: NDArray[np.float64] | None = None) -> None:
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


@contextmanager
def isa_restored() -> Iterator[None]:
    """Leave the compiled core's ISA level as it was."""
    core = _core() if _backend.why_not("cpp") is None else None
    level = core.level() if core is not None else None
    try:
        yield
    finally:
        if core is not None:
            core.use_level(level)


def _core() -> Any:
    return importlib.import_module("posenc._core")
