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

from . import workloads
from .arena import Arena
from .arrays import Array, lend, tensor
from .timing import Call, Task
from .workloads import LOOKS_UP, RANGES, SCALES, TORCH, Workload


@dataclass(frozen=True)
class Entrant:
    """Somebody who takes part."""

    kind: str  # "posenc", "twin": a backend that does the twin of the workload, "limit" or "peer"
    name: str
    make: Callable[[Arena], Call]  # the call to time, which returns the result; may raise Unavailable
    isa: str | None = None  # the compiled core's level
    threads: int = 1  # how many may work
    # For peers: the error allowed, given the largest position; what float64 angles, or a table made from them, explain.
    tolerance: Callable[[float], float] = lambda position: 2e-6 + 1e-15 * position
    tidy: Callable[[Array], Array] | None = None  # puts the columns of a result in the paper's order
    doing: str = ""  # of a twin: what it does

    def __str__(self) -> str:
        threads = f"{self.threads} threads" if self.threads > 1 else None
        parts = [self.name, self.isa, threads, f"({self.doing})" if self.doing else None]
        return " ".join(part for part in parts if part)

    def task(self, arena: Arena) -> Task:
        """What is to be timed in this arena, at the right ISA level."""

        def setup() -> None:
            if self.isa:
                importlib.import_module("posenc._core").use_level(self.isa)
            if arena.workload.op == "scale_add":
                arena.reset()

        return Task(self.make(arena.twin if self.kind == "twin" else arena), setup)


def ours(name: str, isa: str | None = None, threads: int = 1) -> Entrant:
    """A backend of posenc, called as a user would: keywords only where they differ from their defaults."""
    return Entrant("posenc", name, partial(_our_call, name=name, threads=threads), isa, threads)


def twins(workload: Workload, backends: Sequence[Entrant]) -> list[Entrant]:
    """The same backends for the twin of a workload, if it has one."""
    return [replace(one, kind="twin", doing=workload.twin[0]) for one in backends] if workload.twin else []


def _our_call(arena: Arena, name: str, threads: int) -> Call:
    workload, x, op, at = arena.workload, arena.x, arena.workload.op, arena.workload.at
    options: dict[str, tuple[Any, Any]] = {  # what is asked for, and the default, which users do not write
        "backend": (name, _backend.default_name()),
        "threads": (threads, posenc.get_num_threads()),
        "encoding": (workload.encodes, None),
        "start": (workload.start, 0),
        "seq_axis": (workload.seq_axis, -2),
        "channel_axis": (workload.channel_axis, -1),
        "x_scale": ("sqrt_dim" if op in SCALES else 1.0, 1.0),
    }
    keywords = {option: asked for option, (asked, default) in options.items() if asked != default}
    if op == "first":  # an encoding that nobody has used, except that the first call, which is checked, has the paper's
        bases = itertools.chain([10000.0], _new_bases)
        return lambda: posenc.fill_(x, encoding=posenc.Encoding(base=next(bases)), **keywords)
    positions = arena.positions.astype(np.int64) if at == workloads.INTEGERS else arena.positions
    if op == "encode":
        if workload.dtype != "float32":
            keywords["dtype"] = x.dtype
        each = at in (workloads.INTEGERS, workloads.LINSPACE, *RANGES) or arena.axes > 1
        return partial(posenc.encode, positions if each else arena.length, arena.dim, **keywords)
    verbs: dict[str, Callable[..., Any]] = {"fill": posenc.fill_, "add_new": posenc.add, "rotate": posenc.rotate_}
    does = verbs.get(op, posenc.add_)
    if op == "rotate":
        keywords.setdefault("encoding", posenc.Encoding())  # has no default
    if op in LOOKS_UP:
        does = partial(posenc.embed, arena.ids)
        keywords |= {"out": x} if op == "embed" else {}
        x = tensor(arena.embeddings) if workload.held == TORCH else lend(arena.embeddings)
    if at == workloads.PADDED:
        mask = arena.mask
        assert mask is not None
        return lambda: does(x, positions=posenc.positions_from_mask(mask), mask=mask, **keywords)
    if workload.moving:
        moves = itertools.cycle(arena.move)
        return lambda: does(x, start=next(moves), **keywords)
    if at in (workloads.PACKED, workloads.PACKED_SHORT):
        keywords["cu_seqlens"] = arena.cu_seqlens
    elif at == workloads.STARTS:
        keywords["start"] = arena.starts
    elif at:
        keywords["positions"] = positions
    return partial(does, x, **keywords)


_new_bases = map(float, itertools.count(10001))
