"""Do 16-bit elements, half the bytes, take half the time?"""

from __future__ import annotations

from collections.abc import Callable

from posenc.cli.cases import GROUPS

CASES = GROUPS["dtypes"]


def bench_dtypes(checked_and_timed: Callable[[], None]) -> None:
    checked_and_timed()
