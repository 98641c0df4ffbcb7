"""How near to `x *= a` is adding encodings, and what does a ready table gain, which somebody must make and keep?"""

from __future__ import annotations

from collections.abc import Callable

from .suite import select

CASES = select("add", "scale_add", "add_new")


def bench_add(checked_and_timed: Callable[[], None]) -> None:
    checked_and_timed()
