"""Fill and add on real shapes with every backend and instruction set: each is checked first, then all are timed."""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from posenc import _backend
from posenc._encoding import LARGEST_DIM

from . import machine, table
from .cases import DECODING_POSITION, OPERATIONS, RECIPE, Case, Contender, contenders, isa_restored
from .check import COMPARED_ELEMENTS, EXACT_ELEMENTS, Check, Verdict
from .progress import progress
from .timing import Timing, measure

HELP = "every backend on real shapes: speed, error, agreement"

SHAPES = [(2048, 512), (32, 128, 512), (8, 512, 768), (1, 1, 512), (131072, 512)]  # the last one: 256 MiB
QUICK_SHAPES = [(2048, 512), (8, 512, 768), (1, 1, 512), (16384, 512)]
FLOAT64_SHAPES = [(2048, 512)]
MOST_ELEMENTS = 2**40  # what no memory holds, and NumPy still counts

# Seconds for each contender in each case, and the samples that it gets at least.
EFFORT = 0.25, 2
QUICK_EFFORT = 0.06, 2

LEFT = ("op", "shape", "dtype", "backend", "ISA")
HEADER = (*LEFT, "median", "spread", "GB/s", "speedup", "max ulp", "same bits")
NOTES = f"""\
shape      positions start at 0; a single row stands at {DECODING_POSITION}, as when decoding step by step
median     time of one call; spread: from the lower to the upper quartile of its samples, in percent of the median
GB/s       10^9 bytes of the array per second (for add, too, its bytes are counted once)
speedup    over the slowest of the group
max ulp    largest error of {EXACT_ELEMENTS} random elements against the real number, in units in the last place;
           for add: in those of the encoding or of the sum, whichever are larger
same bits  elements equal to the numpy backend's (above {COMPARED_ELEMENTS // 2**20} Mi elements: in a sample of rows)
recipe     the usual NumPy lines, with angles in float64 or float32; not judged
table      np.add(x, table, out=x): the table of the float64 recipe was made before and costs nothing here"""


@dataclass
class Result:
    """One row of the table."""

    case: Case
    contender: Contender
    verdict: Verdict
    timing: Timing | None = None
    speedup: float | None = None

    def record(self) -> dict[str, Any]:
        """What goes into the JSON document."""
        return {
            "operation": self.case.operation,
            "shape": list(self.case.shape),
            "dtype": str(self.case.dtype),
            "start": self.case.start,
            "backend": self.contender.backend,
            "isa": self.contender.isa,
            "ok": self.verdict.problem is None,
            **asdict(self.verdict),
            "gb_per_s": self.timing.gb_per_s(self.case.nbytes) if self.timing else None,
            "speedup": self.speedup,
            "timing": self.timing.record() if self.timing else None,
        }


def arguments(parser: argparse.ArgumentParser) -> None:
    names = [*_backend.MODULES, RECIPE]
    parser.add_argument("--quick", action="store_true", help="fewer shapes and samples: under 20 seconds")
    parser.add_argument("--json", action="store_true", help="print one JSON document, with a record of the machine")
    parser.add_argument("--backend", action="append", choices=names, help="only this one (repeatable)")
    parser.add_argument(
        "--shape", action="append", type=parse_shape, help="instead of the default shapes: 8x512x768 (repeatable)"
    )
    parser.add_argument(
        "--dtype", action="append", choices=["float32", "float64"], help="of those; default float32 (repeatable)"
    )


def run(args: argparse.Namespace) -> int:
    names = args.backend or [name for name in _backend.MODULES if _backend.why_not(name) is None] + [RECIPE]
    for name in names:
        if name != RECIPE and _backend.why_not(name) is not None:
            _backend.get(name)  # raises, and says why
    record = machine.record()
    seconds, least = QUICK_EFFORT if args.quick else EFFORT
    results = compare(_cases(args), list(dict.fromkeys(names)), seconds, least)
    ok = all(result.verdict.problem is None for result in results)
    if args.json:
        rows = [result.record() for result in results]
        document = {"command": "compare", "quick": args.quick, "machine": record, "ok": ok, "rows": rows}
        print(json.dumps(document, indent=2, allow_nan=False))
    else:
        _print(results, record)
    return 0 if ok else 1


def compare(cases: Sequence[Case], names: Sequence[str], seconds: float, least: int) -> list[Result]:
    """Check, then time, the contenders that `names` stand for in each of `cases`."""
    results: list[Result] = []
    with isa_restored(), progress() as bar:
        for number, case in enumerate(cases):

            def show(part: float, text: str, number: int = number, case: Case = case) -> None:
                bar.show((number + part) / len(cases), f"{case}: {text}")

            show(0.0, "reference")
            x = np.empty(case.shape, case.dtype)
            check = Check(case, x)
            group = []
            field = list(contenders(case, x, names))
            for i, contender in enumerate(field):
                show(0.5 * i / len(field), f"checking {contender}")
                group.append(Result(case, contender, check(contender)))
            sound = [result for result in group if result.verdict.problem is None]
            timings = measure(
                [result.contender.task for result in sound],
                seconds=seconds,
                least=least,
                progress=lambda done: show(0.5 + 0.5 * done, "timing"),
            )
            slowest = max((timing.median for timing in timings), default=0.0)
            for result, timing in zip(sound, timings, strict=True):
                result.timing, result.speedup = timing, slowest / timing.median
            results += group
    return results


def _cases(args: argparse.Namespace) -> list[Case]:
    if args.shape:
        kinds = args.dtype or ["float32"]
        arrays = [(shape, kind) for kind in kinds for shape in args.shape]
    else:
        kinds = args.dtype or ["float32", "float64"]
        arrays = [(shape, "float32") for shape in (QUICK_SHAPES if args.quick else SHAPES)]
        arrays += [(shape, "float64") for shape in FLOAT64_SHAPES]
    return [
        Case(operation, shape, np.dtype(kind)) for shape, kind in arrays if kind in kinds for operation in OPERATIONS
    ]


def parse_shape(text: str) -> tuple[int, ...]:
    if not re.fullmatch(r"[1-9]\d{0,18}(x[1-9]\d{0,18}){1,31}", text, re.A):
        raise argparse.ArgumentTypeError(f"expected 2 to 32 sizes, such as 8x512x768, got {text!r}")
    shape = tuple(map(int, text.split("x")))
    if shape[-1] > LARGEST_DIM:
        raise argparse.ArgumentTypeError(f"expected at most {LARGEST_DIM} channels, the last size, got {text!r}")
    if math.prod(shape) > MOST_ELEMENTS:
        raise argparse.ArgumentTypeError(f"expected at most {MOST_ELEMENTS} elements, got {text!r}")
    return shape


def _print(results: Sequence[Result], record: dict[str, Any]) -> None:
    print(machine.readable(record) + "\n")
    groups: dict[Case, list[Result]] = {}
    for result in results:
        groups.setdefault(result.case, []).append(result)
    table.show(HEADER, len(LEFT), [_rows(group) for group in groups.values()])
    print("\n" + NOTES)
    for name in _backend.MODULES:
        reason = _backend.why_not(name)
        if reason is not None:
            print(f"\nNot compared: {name}: {reason}")
    for problem in dict.fromkeys(result.verdict.problem for result in results):
        if problem is not None:
            print(f"\nFAILED: {problem}")
            for result in results:
                if result.verdict.problem == problem:
                    print(f"  {result.contender}, {result.case}")


def _rows(group: Sequence[Result]) -> list[table.Row]:
    """One table row for each result; what they have in common stands in the first one only."""
    fastest = max((result.speedup or 0.0 for result in group if result.contender.judged), default=0.0)
    rows = []
    for i, result in enumerate(group):
        case, contender, verdict, timing = result.case, result.contender, result.verdict, result.timing
        cells = [case.operation, case.shape_text, str(case.dtype)] if i == 0 else ["", "", ""]
        cells += [contender.backend, contender.isa or "-"]
        if timing is None or result.speedup is None:
            cells += ["FAILED", "-", "-", "-"]
            style = "red"
        else:
            cells += [
                table.duration(timing.median),
                f"{timing.spread:.0%}" if len(timing.samples) > 1 else "-",
                table.three_digits(timing.gb_per_s(case.nbytes)),
                table.three_digits(result.speedup) + "x",
            ]
            style = "bold" if result.speedup == fastest else ""
        cells.append("-" if verdict.max_ulp is None else table.ulps(verdict.max_ulp))
        cells.append("-" if verdict.equal is None else table.percent(verdict.equal))
        rows.append(table.Row(cells, style))
    return rows
