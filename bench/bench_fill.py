"""How near to memset is making encodings, and how near are the recipes that people copy?"""

from __future__ import annotations

from collections.abc import Callable

from .suite import select

CASES = select("fill", "encode")


def bench_fill(checked_and_timed: Callable[[], None]) -> None:
    checked_and_timed()
