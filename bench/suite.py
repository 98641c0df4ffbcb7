"""What the suite times: cases, most of which `posenc bench` knows too, and what takes part in them."""

from __future__ import annotations

from posenc import _backend, info
from posenc.cli.cases import GROUPS, Case
from posenc.cli.implementations import Implementation, ours, twins
from posenc.cli.limits import limits
from posenc.cli.peers import peers


def select(*ops: str) -> list[Case]:
    """The core cases of some operations, call costs left out."""
    return [case for case in GROUPS["core"] if case.op in ops and case.shape[-2] > 1]


# The least work there is: only the call remains, and what it computes once. Decoding goes on from a start.
CALLS = [
    *(case for case in GROUPS["core"] if case.shape[-2] == 1),
    Case("add", (1, 512), start=1000, note="one row at a position of its own"),
    Case("fill", (1, 512), start=1000, note="one row"),
    Case("add", (16, 1, 512), start=1000, note="one row of each of 16 sequences"),
    Case("add_new", (1, 512), start=1000, note="one row, a new array"),
    *GROUPS["calls"],
    *(case for case in GROUPS["embed"] if case.call),
    *(case for case in GROUPS["rotate"] if case.call),
    *GROUPS["first"],
]


def backends() -> list[Implementation]:
    """Every backend that is here, the compiled one at every level of this processor."""
    levels = [ours("cpp", level) for level in info()["isa_levels"]]
    return [*levels, *(ours(name) for name in ("numba", "numpy") if _backend.why_not(name) is None)]


def implementations(case: Case) -> list[Implementation]:
    return [*backends(), *twins(case, backends()), *limits(case), *peers(case)]
