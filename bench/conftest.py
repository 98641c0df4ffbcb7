"""The suite's plumbing: what is collected, the option --quick, and the one way in which everybody is timed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from posenc.cli.arena import Arena
from posenc.cli.arrays import Unavailable
from posenc.cli.contest import OURS, examine, isa_restored
from posenc.cli.entrants import Entrant
from posenc.cli.judge import Judge
from posenc.cli.limits import limits
from posenc.cli.timing import measure
from posenc.cli.workloads import Workload

from .cases import entrants

MAX_SECONDS, LIMIT_SECONDS = 0.5, 0.1
QUICK_SECONDS = 0.01


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="tiny arrays: shows that everything works, and no speed")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("python_files", "bench_*.py")
    config.addinivalue_line("python_functions", "bench_*")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Everybody in every case of a file's CASES."""
    quick = metafunc.config.getoption("quick")
    pairs = []
    for case in metafunc.module.CASES:
        workload = case.tiny if quick else case
        seconds = QUICK_SECONDS if quick else MAX_SECONDS
        marks = pytest.mark.benchmark(group=str(workload), min_rounds=3, min_time=seconds / 500, max_time=seconds)
        pairs += [pytest.param(workload, entrant, id=f"{case}-{entrant}", marks=marks) for entrant in entrants(case)]
    metafunc.parametrize(("workload", "entrant"), pairs)


@functools.lru_cache(maxsize=1)  # all of a case follow one another
def _arena(workload: Workload) -> tuple[Arena, Judge]:
    arena = Arena(workload)
    return arena, Judge(arena)


@pytest.fixture
def contest(
    workload: Workload, entrant: Entrant, benchmark: Any, request: pytest.FixtureRequest
) -> Iterator[Callable[[], None]]:
    """A function that checks the entrant's result, then times it between two looks at the limits."""

    def run() -> None:
        try:
            arena, judge = _arena(workload)
        except Unavailable as reason:
            pytest.skip(str(reason))
        row, task = examine(entrant, arena, judge)
        if task is None:
            if entrant.kind in OURS:
                pytest.fail(row.finding.problem or "")
            pytest.skip(row.finding.problem or "")
        assert task is not None
        bounds = [limit.task(arena) for limit in limits(workload)]
        timed = not benchmark.disabled
        seconds = QUICK_SECONDS if request.config.getoption("quick") else LIMIT_SECONDS
        before = _fastest(bounds, seconds) if timed else None
        task.setup()  # the level stays; other than in `posenc bench`, x is not restored for every sample
        benchmark(task.call)
        if not timed:
            return
        after = _fastest(bounds, seconds)
        median = benchmark.stats.stats.median
        benchmark.extra_info.update(
            who=entrant.kind,
            backend=entrant.name,
            isa=entrant.isa,
            doing=entrant.doing,
            gb_per_s=round(workload.nbytes / median / 1e9, 4),
            percent_of_limit=round(50 * (before + after) / median, 2) if before and after else None,
            max_ulp=row.finding.max_ulp,
        )

    with isa_restored(), np.errstate(all="ignore"):  # x *= a overflows after a while
        yield run


def _fastest(bounds: list[Any], seconds: float) -> float | None:
    return min((timing.median for timing in measure(bounds, seconds=seconds)), default=None)
