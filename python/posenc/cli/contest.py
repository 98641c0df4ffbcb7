"""Everybody in every case: checked first, then timed in turns, and set against limits, peers and twins."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .arena import Arena
from .arrays import Unavailable
from .cases import isa_restored
from .entrants import Entrant, twins
from .judge import Finding, Judge
from .limits import limits
from .progress import progress
from .timing import Task, Timing, measure
from .workloads import Workload

OURS = ("posenc", "twin")
WIDTH = 80  # of what is said below a table


@dataclass
class Row:
    """One line of the results."""

    workload: Workload
    entrant: Entrant
    finding: Finding
    timing: Timing | None = None
    of_limit: float | None = None
    limit: str | None = None  # the one that counts
    over_peer: float | None = None
    over_twin: float | None = None

    @property
    def gb_per_s(self) -> float | None:
        return self.timing.gb_per_s(self.workload.nbytes) if self.timing else None

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong with posenc here: it has the bits, or could not take part."""
        return self.entrant.kind not in OURS or self.finding.problem is None or self.finding.absent

    @property
    def shown(self) -> bool:
        """Whether it stands in a table: it was timed, or posenc is wrong here."""
        return self.timing is not None or not self.sound

    def record(self) -> dict[str, Any]:
        """What goes into the JSON document."""
        workload, entrant = self.workload, self.entrant
        return {
            "case": str(workload),
            "note": workload.note,
            "op": workload.op,
            "shape": list(workload.shape),
            "dtype": workload.dtype,
            "start": workload.start,
            "at": workload.at,
            "vocabulary": workload.vocabulary,
            "ids": workload.ids,
            "encoding": workload.encoding,
            "settings": dict(workload.settings),
            "channel_axis": workload.channel_axis,
            "seq_axis": workload.seq_axis,
            "moving": workload.moving,
            "order": workload.order,
            "held": workload.held,
            "kind": entrant.kind,
            "name": entrant.name,
            "doing": entrant.doing,
            "isa": entrant.isa,
            "threads": entrant.threads,
            "ok": self.timing is not None,
            "problem": self.finding.problem,
            "max_ulp": self.finding.max_ulp,
            "max_error": self.finding.max_error,
            "equal": self.finding.equal,
            "gb_per_s": self.gb_per_s,
            "of_limit": self.of_limit,
            "limit": self.limit,
            "over_peer": self.over_peer,
            "over_twin": self.over_twin,
            "timing": self.timing.record() if self.timing else None,
        }


def bench(
    cases: Sequence[Workload],
    backends: Sequence[Entrant],
    threads: Sequence[int],
    others: Callable[[Workload], Sequence[Entrant]] | None,
    seconds: float,
    least: int,
    verbose: bool = False,
) -> list[Row]:
    """Check everybody in each of `cases`, then time them in turns: backends, the limits for so many threads, others."""
    rows: list[Row] = []
    with isa_restored(), progress() as shown, np.errstate(all="ignore"):  # x *= a overflows after a while
        for number, case in enumerate(cases):

            def show(part: float, text: str, number: int = number, case: Workload = case) -> None:
                shown((number + part) / len(cases), f"{case}: {text}")

            if verbose:
                print(f"{number + 1:4} of {len(cases)}  {case}", file=sys.stderr, flush=True)
            show(0.0, "reference")
            try:
                arena = Arena(case)
            except Unavailable as reason:
                rows += [Row(case, entrant, Finding(str(reason), absent=True)) for entrant in backends]
                continue
            judge = Judge(arena)
            field = [*backends, *twins(case, backends)]
            field += [limit for count in threads for limit in limits(case, count)]
            field += others(case) if others is not None else []
            group, tasks = [], []
            for i, entrant in enumerate(field):
                show(0.5 * i / len(field), f"checking {entrant}")
                row, task = examine(entrant, arena, judge)
                group.append(row)
                if task is not None:
                    tasks.append(task)
            timings = measure(
                tasks, seconds=seconds, least=least, progress=lambda done: show(0.5 + 0.5 * done, "timing")
            )
            sound = [row for row in group if row.finding.problem is None]
            for row, timing in zip(sound, timings, strict=True):
                row.timing = timing
            _relate(sound)
            rows += group
    return rows


def examine(entrant: Entrant, arena: Arena, judge: Judge) -> tuple[Row, Task | None]:
    """The row of an entrant, and what is to be timed if its result is right."""
    try:
        task = entrant.task(arena)
    except Unavailable as reason:
        return Row(arena.workload, entrant, Finding(str(reason), absent=True)), None
    finding = judge(entrant, task)
    return Row(arena.workload, entrant, finding), task if finding.problem is None else None


def _relate(group: Sequence[Row]) -> None:
    """Set a case's timings against its limits, its fastest peer and its twin."""
    medians = {id(row): row.timing.median for row in group if row.timing}
    peer = min((medians[id(row)] for row in group if row.entrant.kind == "peer"), default=None)
    for row in group:
        who, median = row.entrant, medians[id(row)]
        bounds = [o for o in group if o.entrant.kind == "limit" and o.entrant.threads <= who.threads]
        if bounds:
            fastest = min(bounds, key=lambda o: medians[id(o)])
            row.of_limit, row.limit = medians[id(fastest)] / median, str(fastest.entrant)
        if peer is not None and who.kind != "limit":
            row.over_peer = peer / median
        if who.kind == "posenc":
            twin = next((o for o in group if o.entrant.kind == "twin" and _same(o.entrant, who)), None)
            row.over_twin = medians[id(twin)] / median if twin is not None else None


def _same(one: Entrant, other: Entrant) -> bool:
    return (one.name, one.isa, one.threads) == (other.name, other.isa, other.threads)


def by_case(rows: Iterable[Row]) -> list[list[Row]]:
    """The rows of each case."""
    groups: dict[Workload, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.workload, []).append(row)
    return list(groups.values())


def untimed(rows: Sequence[Row]) -> Iterator[str]:
    """Who was not timed in which cases, and why: a paragraph for each reason and its cases."""
    cases: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        if row.finding.problem is not None:
            what = "Not timed" if row.sound else "FAILED"
            cases.setdefault((what, row.finding.problem, str(row.entrant)), []).append(str(row.workload))
    who: dict[tuple[str, str, str], list[str]] = {}
    for (what, problem, name), where in cases.items():
        who.setdefault((what, problem, ", ".join(where)), []).append(name)
    for (what, problem, listed), names in who.items():
        yield textwrap.fill(f"{what}: {', '.join(names)}: {problem} ({listed})", WIDTH, subsequent_indent="  ")
