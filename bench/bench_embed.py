"""How much faster than copying the rows, or than three steps, are embeddings with positions in one pass?"""

from __future__ import annotations

from collections.abc import Callable

from posenc.cli.cases import GROUPS

CASES = [case for case in GROUPS["embed"] if not case.call]


def bench_embed(checked_and_timed: Callable[[], None]) -> None:
    checked_and_timed()
