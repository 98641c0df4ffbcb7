"""What do positions cost that are not 0, 1, 2 ...: reals near and far, integers, packed and padded sequences?"""

from __future__ import annotations

from collections.abc import Callable

from posenc.cli.workloads import GROUPS

CASES = GROUPS["positions"]


def bench_positions(contest: Callable[[], None]) -> None:
    contest()
