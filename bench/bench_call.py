"""What does one call cost where there is next to nothing to do, as in decoding step by step?"""

from __future__ import annotations

from collections.abc import Callable

from .suite import CALLS as CASES

__all__ = ["CASES"]


def bench_call(checked_and_timed: Callable[[], None]) -> None:
    checked_and_timed()
