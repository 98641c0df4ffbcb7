"""What do positions cost that are not 0, 1, 2 ...: reals near and far, integers, packed and padded sequences?"""

from __future__ import annotations

from collections.abc import Callable

from posenc.cli.cases import GROUPS

CASES = GROUPS["positions"]


def bench_positions(checked_and_timed: Callable[[], None]) -> None:
    checked_and_timed()
