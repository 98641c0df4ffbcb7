"""What takes part in a case, and how posenc's backends are called."""

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

from . import cases
from .arrays import Array, lend, tensor
from .cases import LOOKS_UP, RANGES, SCALES, TORCH, Case
from .inputs import Inputs
from .timing import Call, Task


@dataclass(frozen=True)
class Implementation:
    """What takes part in a case: a backend of posenc, a limit, or a peer."""

    kind: str  # "posenc", "twin": a backend that does the twin of the case, "limit" or "peer"
    name: str
    make: Callable[[Inputs], Call]  # the call to time, which returns the result; may raise Unavailable
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

    def task(self, inputs: Inputs) -> Task:
        """What is to be timed with these inputs, at the right ISA level."""

        def setup() -> None:
            if self.isa:
                importlib.import_module("posenc._core").use_level(self.isa)
            if inputs.case.op == "scale_add":
                inputs.reset()

        return Task(self.make(inputs.twin if self.kind == "twin" else inputs), setup)


def ours(name: str, isa: str | None = None, threads: int = 1) -> Implementation:
    """A backend of posenc, called as a user would: keywords only where they differ from their defaults."""
    return Implementation("posenc", name, partial(_our_call, name=name, threads=threads), isa, threads)


def twins(case: Case, backends: Sequence[Implementation]) -> list[Implementation]:
    """The same backends for the twin of a case, if it has one."""
    return [replace(one, kind="twin", doing=case.twin[0]) for one in backends] if case.twin else []


def _our_call(inputs: Inputs, name: str, threads: int) -> Call:
    case, x, op, at = inputs.case, inputs.x, inputs.case.op, inputs.case.at
    options: dict[str, tuple[Any, Any]] = {  # what is asked for, and the default, which users do not write
        "backend": (name, _backend.default_name()),
        "threads": (threads, posenc.get_num_threads()),
        "encoding": (case.encodes, None),
        "start": (case.start, 0),
        "seq_axis": (case.seq_axis, -2),
        "channel_axis": (case.channel_axis, -1),
        "x_scale": ("sqrt_dim" if op in SCALES else 1.0, 1.0),
    }
    keywords = {option: asked for option, (asked, default) in options.items() if asked != default}
    if op == "first":  # an encoding that nobody has used, except that the first call, which is checked, has the paper's
        bases = itertools.chain([10000.0], _new_bases)
        return lambda: posenc.fill_(x, encoding=posenc.Encoding(base=next(bases)), **keywords)
    positions = inputs.positions.astype(np.int64) if at == cases.INTEGERS else inputs.positions
    if op == "encode":
        if case.dtype != "float32":
            keywords["dtype"] = x.dtype
        each = at in (cases.INTEGERS, cases.LINSPACE, *RANGES) or inputs.axes > 1
        return partial(posenc.encode, positions if each else inputs.length, inputs.dim, **keywords)
    verbs: dict[str, Callable[..., Any]] = {"fill": posenc.fill_, "add_new": posenc.add, "rotate": posenc.rotate_}
    does = verbs.get(op, posenc.add_)
    if op == "rotate":
        keywords.setdefault("encoding", posenc.Encoding())  # has no default
    if op in LOOKS_UP:
        does = partial(posenc.embed, inputs.ids)
        keywords |= {"out": x} if op == "embed" else {}
        x = tensor(inputs.embeddings) if case.held == TORCH else lend(inputs.embeddings)
    if at == cases.PADDED:
        mask: Any = inputs.mask
        return lambda: does(x, positions=posenc.positions_from_mask(mask), mask=mask, **keywords)
    if case.moving:
        moves = itertools.cycle(inputs.move)
        return lambda: does(x, start=next(moves), **keywords)
    if at in (cases.PACKED, cases.PACKED_SHORT):
        keywords["cu_seqlens"] = inputs.cu_seqlens
    elif at == cases.STARTS:
        keywords["start"] = inputs.starts
    elif at:
        keywords["positions"] = positions
    return partial(does, x, **keywords)


_new_bases = map(float, itertools.count(10001))
