"""Who takes part in a case, and how posenc's backends are called."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

import posenc
from posenc import _backend

from .arena import Arena
from .arrays import lend, tensor
from .cases import Array
from .timing import Task
from .workloads import (
    INTEGERS,
    LINSPACE,
    LOOKS_UP,
    PACKED,
    PACKED_SHORT,
    PADDED,
    RANGES,
    STARTS,
    TORCH,
    Workload,
)


def _as_float64(position: float) -> float:
    """The largest absolute error that angles in float64, or a table made from them, explain."""
    return 2e-6 + 1e-15 * position


@dataclass(frozen=True)
class Entrant:
    """Somebody who takes part.

    Attributes
    ----------
    kind : {"posenc", "twin", "limit", "peer"}
        A twin is a backend that does the twin of the workload.
    name : str
    make : callable
        Given an arena, gives the call to time; that returns the result. May raise Unavailable.
    isa, threads
        The compiled core's level; how many threads may work.
    tolerance : callable
        For peers: the error allowed, given the largest position.
    tidy : callable, optional
        Puts the columns of a result in the paper's order.
    doing : str
        Of a twin: what it does.
    """

    kind: str
    name: str
    make: Callable[[Arena], Callable[[], Any]]
    isa: str | None = None
    threads: int = 1
    tolerance: Callable[[float], float] = _as_float64
    tidy: Callable[[Array], Array] | None = None
    doing: str = ""

    def __str__(self) -> str:
        threads = f"{self.threads} threads" if self.threads > 1 else None
        parts = [self.name, self.isa, threads, f"({self.doing})" if self.doing else None]
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


def twins(workload: Workload, backends: Sequence[Entrant]) -> list[Entrant]:
    """The same backends for the twin of a workload, if it has one."""
    twin = workload.twin
    if twin is None:
        return []
    return [replace(one, kind="twin", make=partial(_twin_call, make=one.make), doing=twin[0]) for one in backends]


def _twin_call(arena: Arena, make: Callable[[Arena], Callable[[], Any]]) -> Callable[[], Any]:
    return make(arena.twin)


def _our_call(arena: Arena, name: str, threads: int) -> Callable[[], Any]:
    workload, x = arena.workload, arena.x
    keywords: dict[str, Any] = {}
    if name != _backend.default_name():
        keywords["backend"] = name
    if threads != posenc.get_num_threads():
        keywords["threads"] = threads
    if workload.op == "first":
        return _first_calls(arena, keywords)
    if not workload.of_the_paper:
        keywords["encoding"] = workload.encodes
    elif workload.op == "rotate":  # has no default
        keywords["encoding"] = posenc.Encoding()
    if workload.seq_axis != -2:
        keywords["seq_axis"] = workload.seq_axis
    if workload.start:
        keywords["start"] = workload.start
    if workload.channel_axis != -1:
        keywords["channel_axis"] = workload.channel_axis
    given = arena.positions.astype(np.int64) if workload.at == INTEGERS else arena.positions
    if workload.op == "encode":
        if workload.dtype != "float32":
            keywords["dtype"] = x.dtype
        each = workload.at in (INTEGERS, LINSPACE, *RANGES) or arena.axes > 1
        return partial(posenc.encode, given if each else arena.length, arena.dim, **keywords)
    if workload.op == "scale_add":
        keywords["x_scale"] = "sqrt_dim"
    functions: dict[str, Callable[..., Any]] = {
        "fill": posenc.fill_,
        "add_new": posenc.add,
        "rotate": posenc.rotate_,
    }
    does = functions.get(workload.op, posenc.add_)
    if workload.op in LOOKS_UP:
        keywords |= {"x_scale": "sqrt_dim"} | ({"out": x} if workload.op == "embed" else {})
        table = tensor(arena.embeddings) if workload.held == TORCH else lend(arena.embeddings)
        does = partial(posenc.embed, arena.ids)
        x = table
    if workload.at == PADDED:
        mask = arena.mask
        assert mask is not None
        return lambda: does(x, positions=posenc.positions_from_mask(mask), mask=mask, **keywords)
    if workload.moving:
        moves = itertools.cycle(arena.move)
        return lambda: does(x, start=next(moves), **keywords)
    if workload.at in (PACKED, PACKED_SHORT):
        keywords["cu_seqlens"] = arena.cu_seqlens
    elif workload.at == STARTS:
        keywords["start"] = arena.starts
    elif workload.at:
        keywords["positions"] = given
    return partial(does, x, **keywords)


_new_bases = map(float, itertools.count(10001))


def _first_calls(arena: Arena, keywords: dict[str, Any]) -> Callable[[], Any]:
    """A call whose encoding nobody has used, except that the first one, which is checked, takes the paper's."""
    bases = itertools.chain([10000.0], _new_bases)
    return lambda: posenc.fill_(arena.x, encoding=posenc.Encoding(base=next(bases)), **keywords)
