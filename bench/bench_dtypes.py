"""Do 16-bit elements, half the bytes, take half the time?"""

from __future__ import annotations

from collections.abc import Callable

from posenc.cli.workloads import GROUPS

CASES = GROUPS["dtypes"]


def bench_dtypes(contest: Callable[[], None]) -> None:
    contest()
