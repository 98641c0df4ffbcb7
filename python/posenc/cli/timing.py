"""Fair timing of several callables against each other: in turns, so that a slow minute of the machine hits them all."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np

SAMPLE_SECONDS = 1e-3  # a sample takes at least about this long: a fast call is repeated within it
WARM_SECONDS = 0.02  # a call shorter than this is made once untimed before its sample: others have used the caches


@dataclass(frozen=True)
class Task:
    """Something to time.

    Attributes
    ----------
    call : callable
        What is timed.
    setup : callable, optional
        Called before every sample, untimed.
    """

    call: Callable[[], object]
    setup: Callable[[], object] | None = None


@dataclass(frozen=True)
class Timing:
    """Seconds per call, one figure for each sample of `calls` calls."""

    samples: tuple[float, ...]
    calls: int

    def quantile(self, q: float) -> float:
        return float(np.quantile(self.samples, q))

    @property
    def median(self) -> float:
        return self.quantile(0.5)

    @property
    def spread(self) -> float:
        """From the lower to the upper quartile, as a fraction of the median."""
        return (self.quantile(0.75) - self.quantile(0.25)) / self.median

    def gb_per_s(self, nbytes: int) -> float:
        """10**9 bytes per second, at the median."""
        return nbytes / self.median / 1e9

    def record(self) -> dict[str, Any]:
        """What goes into a JSON document."""
        return {
            "median_s": self.median,
            "q1_s": self.quantile(0.25),
            "q3_s": self.quantile(0.75),
            "min_s": min(self.samples),
            "max_s": max(self.samples),
            "samples": len(self.samples),
            "calls_per_sample": self.calls,
        }


def measure(
    tasks: Sequence[Task],
    *,
    seconds: float,
    least: int = 3,
    progress: Callable[[float], object] = lambda done: None,
) -> list[Timing]:
    """Time `tasks` in turns.

    Parameters
    ----------
    tasks : sequence of Task
        Each should have been called before: what a first call compiles or caches is no part of its time.
    seconds : float
        How long each may take, setup included: it is left out of further rounds when that is spent.
    least : int, default 3
        Samples that each gets however long they take.
    progress : callable, optional
        Called after every round with how much is done, from 0 to 1.

    Returns
    -------
    list of Timing
        In the order of `tasks`.
    """
    calls: list[int] = []
    samples: list[list[float]] = []
    for task in tasks:
        once = _sample(task, 1)
        calls.append(max(1, math.ceil(SAMPLE_SECONDS / max(once, 1e-9))))
        samples.append([once] if calls[-1] == 1 else [])
    spent = [sum(values) for values in samples]
    waiting = list(range(len(tasks)))
    collecting = gc.isenabled()
    gc.disable()
    try:
        while waiting := [i for i in waiting if spent[i] < seconds or len(samples[i]) < least]:
            for i in waiting:
                start = time.perf_counter()
                warm = bool(samples[i]) and samples[i][-1] < WARM_SECONDS
                samples[i].append(_sample(tasks[i], calls[i], warm) / calls[i])
                spent[i] += time.perf_counter() - start
            waiting.reverse()  # so that nobody always follows the same one
            parts = (min(1.0, len(s) / least, t / max(seconds, 1e-9)) for s, t in zip(samples, spent, strict=True))
            progress(sum(parts) / len(tasks))
    finally:
        if collecting:
            gc.enable()
    return [Timing(tuple(values), number) for values, number in zip(samples, calls, strict=True)]


def _sample(task: Task, calls: int, warm: bool = False) -> float:
    """Seconds that `calls` calls take."""
    if task.setup is not None:
        task.setup()
    call = task.call
    if warm:
        call()
    start = time.perf_counter()
    for _ in repeat(None, calls):
        call()
    return time.perf_counter() - start
