"""The suite's plumbing: what is collected, the option --quick, and the one way in which everybody is timed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from posenc.cli.arrays import Unavailable
from posenc.cli.cases import Case
from posenc.cli.check import Check
from posenc.cli.implementations import Implementation
from posenc.cli.inputs import Inputs
from posenc.cli.limits import limits
from posenc.cli.results import OURS, examine, isa_restored
from posenc.cli.timing import measure

from .suite import implementations

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
        timed = case.tiny if quick else case
        seconds = QUICK_SECONDS if quick else MAX_SECONDS
        marks = pytest.mark.benchmark(group=str(timed), min_rounds=3, min_time=seconds / 500, max_time=seconds)
        pairs += [
            pytest.param(timed, implementation, id=f"{case}-{implementation}", marks=marks)
            for implementation in implementations(case)
        ]
    metafunc.parametrize(("case", "implementation"), pairs)


@functools.lru_cache(maxsize=1)  # all of a case follow one another
def _inputs(case: Case) -> tuple[Inputs, Check]:
    inputs = Inputs(case)
    return inputs, Check(inputs)


@pytest.fixture
def checked_and_timed(
    case: Case, implementation: Implementation, benchmark: Any, request: pytest.FixtureRequest
) -> Iterator[Callable[[], None]]:
    """A function that checks the implementation's result, then times it between two looks at the limits."""

    def run() -> None:
        try:
            inputs, check = _inputs(case)
        except Unavailable as reason:
            pytest.skip(str(reason))
        result, task = examine(implementation, inputs, check)
        if task is None:
            if implementation.kind in OURS:
                pytest.fail(result.finding.problem or "")
            pytest.skip(result.finding.problem or "")
        assert task is not None
        bounds = [limit.task(inputs) for limit in limits(case)]
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
            who=implementation.kind,
            backend=implementation.name,
            isa=implementation.isa,
            doing=implementation.doing,
            gb_per_s=round(case.nbytes / median / 1e9, 4),
            percent_of_limit=round(50 * (before + after) / median, 2) if before and after else None,
            max_ulp=result.finding.max_ulp,
        )

    with isa_restored(), np.errstate(all="ignore"):  # x *= a overflows after a while
        yield run


def _fastest(bounds: list[Any], seconds: float) -> float | None:
    return min((timing.median for timing in measure(bounds, seconds=seconds)), default=None)
