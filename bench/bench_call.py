"""What does one call cost where there is next to nothing to do, as in decoding step by step?"""

from __future__ import annotations

from collections.abc import Callable

from .cases import CALLS as CASES

__all__ = ["CASES"]


def bench_call(contest: Callable[[], None]) -> None:
    contest()
