"""How far from one sequence in C order are other layouts, starts that move, and results that are small or exact?"""

from __future__ import annotations

from collections.abc import Callable

from posenc.cli.cases import GROUPS

CASES = [*GROUPS["moving"], *GROUPS["layouts"], *GROUPS["cliffs"]]


def bench_layouts(checked_and_timed: Callable[[], None]) -> None:
    checked_and_timed()
