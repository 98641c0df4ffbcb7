"""Every implementation in every case: checked first, then timed in turns, and set against limits, peers and twins."""

from __future__ import annotations

import importlib
import itertools
import math
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from posenc import _backend

from . import machine, table
from .arrays import Unavailable
from .cases import Case
from .check import EXACT_ELEMENTS, Check, Finding
from .implementations import Implementation, twins
from .inputs import REFERENCE, Inputs
from .limits import limits
from .table import progress
from .timing import Task, Timing, measure

OURS = ("posenc", "twin")
ABSENT = "-"  # where there is nothing to tell
WIDTH = 80  # of what is said below a table

NOTES = {
    "median": "time of one call",
    "spread": "from the lower to the upper quartile of its samples, in percent of the median",
    "GB/s": "10^9 bytes of the array per second; of an update, too, bytes count once",
    "% limit": "of the fastest limit of the case on at most as many threads, measured in turns with everybody else",
    "vs peer": "how many times as fast as the fastest peer of the case; below 1, that peer is faster",
    "vs twin": "how many times as fast as the row with a word in parentheses: the same backend doing that, something "
    "plainer, to the same array. paper: its encoding; reals: at reals up to 1e4; plain: 0, 1, 2 ... in every sequence; "
    "repeated: the same start at every call",
    "speedup": "over the slowest of the case",
    "max ulp": f"the worst of {EXACT_ELEMENTS} random elements against the real number, in units in the last place: of "
    "the encoding or of the sum, whichever are larger; known of the paper's encoding only",
    "same bits": f"elements with the bits of the {REFERENCE} backend; of large arrays, in a sample of rows",
    "checked": f"before timing: posenc's bits are its {REFERENCE} backend's, peers as near as float32 angles allow",
    "peers": "what others do, on one thread; positional-encodings and torch.compile return new arrays",
    "recipe": "the usual lines, with angles in float64 or float32",
    "table": "the encoding was made before, and costs nothing here",
}


@dataclass
class Result:
    """What came out for an implementation in a case: a line of the table."""

    case: Case
    implementation: Implementation
    finding: Finding
    timing: Timing | None = None
    of_limit: float | None = None
    limit: str | None = None  # the one that counts
    over_peer: float | None = None
    over_twin: float | None = None
    speedup: float | None = None  # over the slowest

    @property
    def seconds(self) -> float:
        """The median of one call, if it was timed."""
        return self.timing.median if self.timing else math.inf

    @property
    def gb_per_s(self) -> float | None:
        """10**9 bytes per second, at the median."""
        return self.case.nbytes / self.seconds / 1e9 if self.timing else None

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong with posenc here: it has the bits, or could not take part."""
        return self.implementation.kind not in OURS or self.finding.problem is None or self.finding.absent

    @property
    def shown(self) -> bool:
        """Whether it stands in a table: it was timed, or posenc is wrong here."""
        return self.timing is not None or not self.sound

    def record(self) -> dict[str, Any]:
        """What goes into the JSON document."""
        return {
            "case": str(self.case),
            **asdict(self.case),
            "nbytes": self.case.nbytes,
            "settings": dict(self.case.settings),
            **{name: getattr(self.implementation, name) for name in ("kind", "name", "doing", "isa", "threads")},
            "ok": self.timing is not None,
            **asdict(self.finding),
            "gb_per_s": self.gb_per_s,
            **{name: getattr(self, name) for name in ("of_limit", "limit", "over_peer", "over_twin", "speedup")},
            "timing": self.timing.record() if self.timing else None,
        }

    def cells(self, columns: Iterable[str]) -> list[str]:
        """What stands in these columns of a table."""
        timing, finding = self.timing, self.finding
        figures: dict[str, tuple[Callable[[float], str], float | None]] = {
            "spread": ("{:.0%}".format, timing.spread if timing and len(timing.samples) > 1 else None),
            "GB/s": (table.three_digits, self.gb_per_s if self.case.op != "first" else None),
            "% limit": ("{:.0%}".format, self.of_limit),
            "vs peer": (table.times, self.over_peer),
            "vs twin": (table.times, self.over_twin),
            "speedup": (table.times, self.speedup),
            "max ulp": (table.ulps, finding.max_ulp),
            "same bits": (table.percent, finding.equal),
        }
        known = {name: ABSENT if value is None else text(value) for name, (text, value) in figures.items()}
        known["median"] = table.duration(timing.median) if timing else "FAILED"
        return [known[column] for column in columns]


@contextmanager
def isa_restored() -> Iterator[None]:
    """Leave the compiled core's ISA level as it was."""
    with ExitStack() as stack:
        if _backend.why_not("cpp") is None:
            core: Any = importlib.import_module("posenc._core")
            stack.callback(core.use_level, core.level())
        yield


def bench(
    cases: Sequence[Case],
    backends: Sequence[Implementation],
    threads: Sequence[int],
    others: Callable[[Case], Sequence[Implementation]] | None,
    seconds: float,
    least: int,
    verbose: bool = False,
) -> list[Result]:
    """Check everybody in each of `cases`, then time them in turns: backends, the limits for so many threads, others."""
    results: list[Result] = []
    with isa_restored(), progress() as shown, np.errstate(all="ignore"):  # x *= a overflows after a while
        for number, case in enumerate(cases):

            def show(part: float, text: str, number: int = number, case: Case = case) -> None:
                shown((number + part) / len(cases), f"{case}: {text}")

            if verbose:
                print(f"{number + 1:4} of {len(cases)}  {case}", file=sys.stderr, flush=True)
            show(0.0, "reference")
            try:
                inputs = Inputs(case)
            except Unavailable as reason:
                results += [Result(case, one, Finding(str(reason), absent=True)) for one in backends]
                continue
            check = Check(inputs)
            bounds = [limit for count in threads for limit in limits(case, count)]
            everybody = [*backends, *twins(case, backends), *bounds, *(others(case) if others else [])]
            examined = []
            for i, implementation in enumerate(everybody):
                show(0.5 * i / len(everybody), f"checking {implementation}")
                examined.append(examine(implementation, inputs, check))
            tasks = [task for _, task in examined if task is not None]
            sound = [result for result, task in examined if task is not None]
            timings = measure(tasks, seconds, least, progress=lambda done: show(0.5 + 0.5 * done, "timing"))
            for result, timing in zip(sound, timings, strict=True):
                result.timing = timing
            _relate(sound)
            results += [result for result, _ in examined]
    return results


def examine(implementation: Implementation, inputs: Inputs, check: Check) -> tuple[Result, Task | None]:
    """The result of an implementation, and what is to be timed if its result is right."""
    try:
        task = implementation.task(inputs)
    except Unavailable as reason:
        return Result(inputs.case, implementation, Finding(str(reason), absent=True)), None
    finding = check(implementation, task)
    return Result(inputs.case, implementation, finding), task if finding.problem is None else None


def _relate(group: Sequence[Result]) -> None:
    """Set a case's timings against its limits, its fastest peer, its twin and the slowest."""
    kinds = {kind: [one for one in group if one.implementation.kind == kind] for kind in ("twin", "limit", "peer")}
    slowest = max((result.seconds for result in group), default=0.0)
    peer = min((result.seconds for result in kinds["peer"]), default=None)
    twins = {str(replace(result.implementation, doing="")): result.seconds for result in kinds["twin"]}
    for result in group:
        who, result.speedup = result.implementation, slowest / result.seconds
        bounds = [one for one in kinds["limit"] if one.implementation.threads <= who.threads]
        if bounds:
            fastest = min(bounds, key=lambda one: one.seconds)
            result.of_limit, result.limit = fastest.seconds / result.seconds, str(fastest.implementation)
        if peer is not None and who.kind != "limit":
            result.over_peer = peer / result.seconds
        if who.kind == "posenc" and str(who) in twins:
            result.over_twin = twins[str(who)] / result.seconds


def document(command: str, quick: bool, results: Sequence[Result]) -> dict[str, Any]:
    """What a command writes as JSON."""
    found: dict[str, Any] = {"machine": machine.record(), "ok": all(result.sound for result in results)}
    return {"command": command, "quick": quick, **found, "rows": [result.record() for result in results]}


def by_case(results: Iterable[Result]) -> list[list[Result]]:
    """The results of each case, which follow one another."""
    return [list(group) for _, group in itertools.groupby(results, key=lambda result: result.case)]


def notes(columns: Sequence[str], more: Sequence[tuple[str, str]]) -> Iterator[str]:
    """A paragraph for what each column says, after `more` words and what they mean."""
    every = ("checked", "peers", "recipe", "table")
    named = [*more, *((name, NOTES[name]) for name in (*columns, *every) if name in NOTES)]
    width = max(len(name) for name, _ in named) + 2
    for name, text in named:
        yield textwrap.fill(text, WIDTH, initial_indent=f"{name:<{width}}", subsequent_indent=" " * width)


def untimed(results: Sequence[Result]) -> Iterator[str]:
    """Who was not timed in which cases, and why: a paragraph for each reason and its cases."""
    cases: dict[tuple[str, str, str], list[str]] = {}
    for result in results:
        if result.finding.problem is not None:
            what = "Not timed" if result.sound else "FAILED"
            cases.setdefault((what, result.finding.problem, str(result.implementation)), []).append(str(result.case))
    who: dict[tuple[str, str, str], list[str]] = {}
    for (what, problem, name), where in cases.items():
        who.setdefault((what, problem, ", ".join(where)), []).append(name)
    for (what, problem, listed), names in who.items():
        yield textwrap.fill(f"{what}: {', '.join(names)}: {problem} ({listed})", WIDTH, subsequent_indent="  ")
