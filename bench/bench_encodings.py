"""Is every encoding as fast as the paper's, and one over two axes near the limits, too?"""

from __future__ import annotations

from collections.abc import Callable

from posenc.cli.cases import GROUPS

CASES = [*GROUPS["encodings"], *GROUPS["axes"]]


def bench_encodings(checked_and_timed: Callable[[], None]) -> None:
    checked_and_timed()
