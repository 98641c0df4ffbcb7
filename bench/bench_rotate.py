"""How near to one pass over memory are rotations of queries, and how far behind are the usual functions?"""

from __future__ import annotations

from collections.abc import Callable

from posenc.cli.cases import GROUPS

CASES = [case for case in GROUPS["rotate"] if not case.call]


def bench_rotate(checked_and_timed: Callable[[], None]) -> None:
    checked_and_timed()
