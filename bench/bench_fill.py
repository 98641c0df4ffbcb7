"""How near to memset is making encodings, and how near are the recipes that people copy?"""

from __future__ import annotations

from collections.abc import Callable

from .cases import select

CASES = select("fill", "encode")


def bench_fill(contest: Callable[[], None]) -> None:
    contest()
