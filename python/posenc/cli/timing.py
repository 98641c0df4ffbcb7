"""Fair timing of several callables against each other: in turns, so that a slow minute of the machine hits them all."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from timeit import Timer
from typing import Any

import numpy as np

Call = Callable[[], Any]
SAMPLE_SECONDS = 1e-3  # a sample takes at least about this long: a fast call is repeated within it
WARM_SECONDS = 0.02  # a call shorter than this is made once untimed before its sample: others have used the caches


@dataclass(frozen=True)
class Task:
    """Something to time."""

    call: Call  # what is timed
    setup: Call = lambda: None  # is called before every sample, untimed

    def sample(self, calls: int, warm: bool = False) -> float:
        """Seconds that `calls` calls take, without the garbage collector."""

        def prepare() -> None:
            self.setup()
            if warm:
                self.call()

        return Timer(self.call, prepare).timeit(calls)


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

    def record(self) -> dict[str, Any]:
        """What goes into a JSON document."""
        quantiles = {"median_s": 0.5, "q1_s": 0.25, "q3_s": 0.75, "min_s": 0.0, "max_s": 1.0}
        figures = {name: self.quantile(q) for name, q in quantiles.items()}
        return {**figures, "samples": len(self.samples), "calls_per_sample": self.calls}


def measure(
    tasks: Sequence[Task], seconds: float, least: int = 3, progress: Callable[[float], object] = lambda done: None
) -> list[Timing]:
    """Time `tasks` in turns, each of which has been called before: a first call compiles, or fills caches.

    Each is left out of further rounds when it has taken so many `seconds`, setup included, and has `least` samples at
    least. After every round `progress` is called with how much is done, from 0 to 1.
    """
    once = [task.sample(1) for task in tasks]
    calls = [max(1, math.ceil(SAMPLE_SECONDS / max(first, 1e-9))) for first in once]
    samples = [[first] if number == 1 else [] for first, number in zip(once, calls, strict=True)]
    spent = [sum(values) for values in samples]
    waiting = list(range(len(tasks)))
    while waiting := [i for i in waiting if spent[i] < seconds or len(samples[i]) < least]:
        for i in waiting:
            start = time.perf_counter()
            warm = bool(samples[i]) and samples[i][-1] < WARM_SECONDS
            samples[i].append(tasks[i].sample(calls[i], warm) / calls[i])
            spent[i] += time.perf_counter() - start
        waiting.reverse()  # so that nobody always follows the same one
        parts = (min(1.0, len(s) / least, t / max(seconds, 1e-9)) for s, t in zip(samples, spent, strict=True))
        progress(sum(parts) / len(tasks))
    return [Timing(tuple(values), number) for values, number in zip(samples, calls, strict=True)]
