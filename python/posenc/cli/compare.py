"""Fill and add on real shapes with every backend and instruction set: each is checked first, then all are timed."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from posenc import _backend

from . import argtypes, machine, table
from .arrays import DTYPES
from .bench import implementations
from .contest import Row, bench, by_case, document, notes, untimed
from .entrants import Entrant
from .peers import peers
from .workloads import Workload

HELP = "every backend on real shapes: speed, error, agreement"

SHAPES = [(2048, 512), (32, 128, 512), (8, 512, 768), (1, 1, 512), (131072, 512)]  # the last one: 256 MiB
QUICK_SHAPES = [(2048, 512), (8, 512, 768), (1, 1, 512), (16384, 512)]
DECODING_POSITION = 1000  # where a single row stands; at 0 there would be nothing to get wrong
RECIPE = "recipe"  # not a backend: the baselines
BASELINES = ("NumPy f64 recipe", "NumPy f32 recipe", "np.add table", "torch recipe", "torch add_ table")

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
    backends = implementations([name for name in dict.fromkeys(names) if name != RECIPE], "all", [1])
    rows = bench(cases(args), backends, [], baselines if RECIPE in names else None, *EFFORTS[args.quick])
    result = document("compare", args.quick, rows)
    if args.json:
        print(json.dumps(result, indent=2, allow_nan=False))
    else:
        show(rows, result["machine"])
    return 0 if result["ok"] else 1


def baselines(case: Workload) -> list[Entrant]:
    """What people do without posenc."""
    return [peer for peer in peers(case) if peer.name in BASELINES]


def cases(args: argparse.Namespace) -> list[Workload]:
    if args.shape:
        arrays = [(shape, kind) for kind in args.dtype or ["float32"] for shape in args.shape]
    else:
        arrays = [(shape, "float32") for shape in (QUICK_SHAPES if args.quick else SHAPES)]
        arrays += [(shape, kind) for kind in DTYPES if kind != "float32" for shape in SHAPES[:1]]
    return [
        Workload(operation, shape, kind, start=DECODING_POSITION if shape[-2] == 1 else 0)
        for shape, kind in arrays
        if kind in (args.dtype or DTYPES)
        for operation in ("fill", "add")
    ]


def show(rows: Sequence[Row], record: dict[str, Any]) -> None:
    print(machine.readable(record) + "\n")
    table.show(HEADER, 1, [lines(group) for group in by_case(row for row in rows if row.shown)])
    away = [f"Not timed: {name}: {why}" for name in _backend.MODULES if (why := _backend.why_not(name))]
    print("", *notes(HEADER, [("case", CASE)]), *away, *untimed(rows), sep="\n")


def lines(group: Sequence[Row]) -> list[table.Row]:
    """The case, and below it a line for each implementation."""
    fastest = min((row.seconds for row in group if row.entrant.kind == "posenc"), default=0.0)
    case = group[0].workload
    result = [table.Row([f"{case.op} {case.shape_text} {case.dtype}", *[""] * (len(HEADER) - 1)])]
    for row in group:
        style = "red" if row.timing is None else "bold" if row.seconds == fastest else ""
        result.append(table.Row([f"  {row.entrant}", *row.cells(HEADER[1:])], style))
    return result
