"""Fill and add on real shapes with every backend and instruction set: each is checked first, then all are timed."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from posenc import _backend

from . import argtypes, machine, table
from .arrays import DTYPES
from .bench import backends_of
from .cases import Case
from .implementations import Implementation
from .peers import peers
from .results import Result, bench, by_case, document, notes, untimed

HELP = "every backend on real shapes: speed, error, agreement"

SHAPES = [(2048, 512), (32, 128, 512), (8, 512, 768), (1, 1, 512), (131072, 512)]  # the last one: 256 MiB
QUICK_SHAPES = [(2048, 512), (8, 512, 768), (1, 1, 512), (16384, 512)]
DECODING_POSITION = 1000  # where a single row stands; at 0 there would be nothing to get wrong
RECIPE = "recipe"  # not a backend: the peers below
RECIPES = ("NumPy f64 recipe", "NumPy f32 recipe", "np.add table", "torch recipe", "torch add_ table")

# Seconds for each implementation in each case, and the samples that it gets at least; then the same if quick.
EFFORTS = (0.25, 2), (0.06, 2)

HEADER = ("case", "median", "spread", "GB/s", "speedup", "max ulp", "same bits")
CASE = f"rows stand at 0, 1, 2 ...; a single one at {DECODING_POSITION}, as in decoding"


def arguments(parser: argparse.ArgumentParser) -> None:
    names = [*_backend.MODULES, RECIPE]
    option = parser.add_argument
    option("--quick", action="store_true", help="fewer shapes and samples: under 20 seconds")
    option("--json", action="store_true", help="print one JSON document, with a record of the machine")
    option("--backend", action="append", choices=names, help="only this one (repeatable)")
    option("--shape", action="append", type=argtypes.shape, help="instead of the usual ones: 8x512x768 (repeatable)")
    option("--dtype", action="append", choices=DTYPES, help="of those; default float32 (repeatable)")


def run(args: argparse.Namespace) -> int:
    names = args.backend or [name for name in _backend.MODULES if _backend.why_not(name) is None] + [RECIPE]
    backends = backends_of([name for name in dict.fromkeys(names) if name != RECIPE], "all", [1])
    results = bench(cases(args), backends, [], recipes if RECIPE in names else None, *EFFORTS[args.quick])
    report = document("compare", args.quick, results)
    if args.json:
        print(json.dumps(report, indent=2, allow_nan=False))
    else:
        show(results, report["machine"])
    return 0 if report["ok"] else 1


def recipes(case: Case) -> list[Implementation]:
    """What people do without posenc."""
    return [peer for peer in peers(case) if peer.name in RECIPES]


def cases(args: argparse.Namespace) -> list[Case]:
    if args.shape:
        arrays = [(shape, kind) for kind in args.dtype or ["float32"] for shape in args.shape]
    else:
        arrays = [(shape, "float32") for shape in (QUICK_SHAPES if args.quick else SHAPES)]
        arrays += [(shape, kind) for kind in DTYPES if kind != "float32" for shape in SHAPES[:1]]
    return [
        Case(operation, shape, kind, start=DECODING_POSITION if shape[-2] == 1 else 0)
        for shape, kind in arrays
        if kind in (args.dtype or DTYPES)
        for operation in ("fill", "add")
    ]


def show(results: Sequence[Result], record: dict[str, Any]) -> None:
    print(machine.readable(record) + "\n")
    table.show(HEADER, 1, [lines(group) for group in by_case(result for result in results if result.shown)])
    away = [f"Not timed: {name}: {why}" for name in _backend.MODULES if (why := _backend.why_not(name))]
    print("", *notes(HEADER, [("case", CASE)]), *away, *untimed(results), sep="\n")


def lines(group: Sequence[Result]) -> list[table.Row]:
    """The case, and below it a line for each implementation."""
    fastest = min((result.seconds for result in group if result.implementation.kind == "posenc"), default=0.0)
    case = group[0].case
    found = [table.Row([f"{case.op} {case.shape_text} {case.dtype}", *[""] * (len(HEADER) - 1)])]
    for result in group:
        style = "red" if result.timing is None else "bold" if result.seconds == fastest else ""
        found.append(table.Row([f"  {result.implementation}", *result.cells(HEADER[1:])], style))
    return found
