"""Microbenchmarks: posenc against the limits of the memory and against its peers, all in turns within one run."""

from __future__ import annotations

import argparse
import contextlib
import csv
import importlib
import itertools
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from posenc import _backend, _conventions, _encoding, _turns

from . import Refused, argtypes, files, machine, refusing, table
from .arrays import DTYPES
from .cases import GROUPS, OPS, Case, encoded
from .implementations import Implementation, ours
from .peers import peers
from .results import ABSENT, Result, bench, by_case, document, notes, untimed

HELP = "microbenchmarks against the limits of the memory and other packages"

SWEEP = [(length, 512) for length in (8, 32, 128, 512, 2048, 8192, 32768, 131072)]  # 16 KiB to 256 MiB
QUICK_BYTES = 16 * 2**20

# Seconds for each implementation in each case, and the samples that it gets at least; then the same if quick.
EFFORTS = (0.3, 3), (0.05, 2)

LEFT = ("case", "who")
COLUMNS = ("median", "spread", "GB/s", "% limit", "vs peer", "vs twin", "max ulp")
WHO = "posenc's backends (with the ISA level and threads, if more than one), then limits, then peers"


def arguments(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument
    groups = f"groups of named cases, such as core,calls: of {', '.join(GROUPS)}, or all; default core, and what --op "
    groups += "and --dtype ask for"
    option("--cases", type=argtypes.some_of([*GROUPS, "all"]), help=groups)
    option("--op", type=argtypes.some_of(OPS), help=f"of {', '.join(OPS)}; default all")
    option("--dtype", type=argtypes.some_of(DTYPES), help=f"of {', '.join(DTYPES)}")
    option("--encodings", type=argtypes.each(str), help="instead of --cases: paper,... (see `posenc encodings`)")
    option("--shape", action="append", type=argtypes.shape, help="instead of --cases: 8x512x768 (repeatable)")
    option("--backend", type=argtypes.some_of(_backend.MODULES), help=f"of {', '.join(_backend.MODULES)}")
    option("--isa", default="best", help="levels of the compiled core: best (default), all, or avx2,...")
    option("--threads", type=argtypes.thread_counts, default=[1], help="such as 1,2; default 1")
    option("--peers", action=argparse.BooleanOptionalAction, default=True, help="NumPy recipes, torch and others")
    seconds = f"for each implementation in each case; default {EFFORTS[0][0]}, or {EFFORTS[1][0]} if quick"
    option("--seconds", type=argtypes.seconds, help=seconds)
    option("--verbose", action="store_true", help="name every case on standard error when it begins")
    option("--quick", action="store_true", help="few samples, arrays up to 16 MiB")
    file = partial(option, metavar="FILE", type=files.target)
    file("--json", help="write one JSON document; - prints it instead of the table")
    file("--csv", help="write the rows as CSV; - prints them instead of the table")
    file("--plot", help="draw GB/s against size (default: over a range of sizes)")


def run(args: argparse.Namespace) -> int:
    given = [(option, getattr(args, option)) for option in ("json", "csv", "plot") if getattr(args, option)]
    for (one, path), (other, other_path) in itertools.combinations(given, 2):
        if Path(path).resolve() == Path(other_path).resolve():
            raise Refused(f"--{one} and --{other}: expected different files, got {path!r} for both")
    if args.plot:
        from . import figure

        figure.check(args.plot)
    backends = backends_of(args.backend, args.isa, args.threads)
    cases = _cases(args)
    seconds, least = EFFORTS[args.quick]
    seconds = seconds if args.seconds is None else args.seconds
    results = bench(cases, backends, args.threads, peers if args.peers else None, seconds, least, args.verbose)
    report = document("bench", args.quick, results)
    if "-" not in (args.json, args.csv):
        _print(results, report["machine"])
    if args.json:
        _write(args.json, lambda file: file.write(json.dumps(report, indent=1, allow_nan=False) + "\n"))
    if args.csv:
        _write(args.csv, lambda file: _write_csv(file, report["rows"]))
    if args.plot:
        with refusing("--plot: "):  # .pgf needs TeX
            figure.figure_of(report["rows"], report["machine"]).savefig(args.plot, dpi=150)
    return 0 if report["ok"] else 1


# ---- what is asked for ----------------------------------------------------------------------------------------------


def backends_of(names: Sequence[str] | None, isa: str, threads: Sequence[int]) -> list[Implementation]:
    """Posenc's backends, at some ISA levels and with some numbers of threads."""
    found = []
    here = [name for name in _backend.MODULES if _backend.why_not(name) is None]
    for name in here if names is None else names:
        _backend.get(name)  # raises if it is away, and says why
        if name == "cpp":
            found += [ours(name, level, count) for level in _levels(isa) for count in threads]
        else:
            found.append(ours(name))
    return found


def _levels(isa: str) -> list[str]:
    core: Any = importlib.import_module("posenc._core")
    here: list[str] = core.levels()
    if isa == "best":
        return [core.level()]
    chosen = here if isa == "all" else isa.split(",")
    for level in chosen:
        if level not in here:
            raise _backend.BackendError(f"--isa: expected best, all or levels out of {', '.join(here)}, got {level!r}")
    return chosen


def _cases(args: argparse.Namespace) -> list[Case]:
    ops, kinds = args.op, args.dtype
    if args.shape or args.plot or args.encodings:
        cases = [
            case
            for kind in kinds or ["float32"]
            for encoding in args.encodings or ["paper"]
            for case in _asked(args, encoding, kind)
        ]
        for case in cases:
            with refusing(f"--encodings: {case.encoding or 'paper'} of shape {case.shape_text}: "):
                least = case.axes + 1 + (case.axes > 1 and case.op != "encode")  # a batch, too, of images and videos
                if len(case.shape) < least:
                    raise ValueError(f"expected {least} dimensions at least")
                encoding = _conventions.resolve(case.encodes)
                (_turns.runs if case.op == "rotate" else _encoding.spectra)(encoding, case.shape[-1])
    else:
        # What core lacks comes from the other groups if it is asked for.
        usual = {word for case in GROUPS["core"] for word in (case.op, case.dtype)}
        rare = {*(ops or ()), *(kinds or ())} - usual
        groups = {*GROUPS} if "all" in (args.cases or ()) else {*(args.cases or ["core"])}
        cases = [
            case
            for group, members in GROUPS.items()
            for case in members
            if (group in groups or (not args.cases and {case.op, case.dtype} & rare))
            and case.op in (ops or OPS)
            and case.dtype in (kinds or DTYPES)
        ]
    return [case for case in cases if args.shape or not args.quick or case.nbytes <= QUICK_BYTES]


def _asked(args: argparse.Namespace, encoding: str, kind: str) -> list[Case]:
    """The cases of an encoding and a dtype: of the shapes that are asked for, or its own."""
    with refusing("--encodings: "):
        own = encoded(encoding)
        if own[0].encoding and "first" in (args.op or ()):
            raise ValueError(f"expected paper, got {encoding!r}; --op first makes encodings of its own")
    axes, name, given = own[0].axes, own[0].encoding, args.shape or (SWEEP if args.plot else [])
    ops = args.op or (["fill", "add"] if given else dict.fromkeys(case.op for case in own))
    shapes = given or dict.fromkeys(case.shape for case in own)
    # A new array has no batch, whatever the shape.
    cut = [(op, shape[-1 - axes :] if op == "encode" else shape) for op in ops for shape in shapes]
    return [Case(op, shape, kind, encoding=name) for op, shape in cut]


# ---- what is shown --------------------------------------------------------------------------------------------------


def _write(name: str, write: Callable[[Any], object]) -> None:
    printed = contextlib.nullcontext(sys.stdout)
    with printed if name == "-" else Path(name).open("w", encoding="utf-8", newline="") as file:
        write(file)


def _write_csv(file: Any, records: Sequence[dict[str, Any]]) -> None:
    """One line for each row, with its timing's figures beside the others."""
    flat = [{**row, "shape": "x".join(map(str, row["shape"])), **(row["timing"] or {})} for row in records]
    names = dict.fromkeys(name for row in flat for name in row if name != "timing")
    writer = csv.DictWriter(file, list(names), extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)


def _print(results: Sequence[Result], record: dict[str, Any]) -> None:
    print(machine.readable(record) + "\n")
    groups = by_case(result for result in results if result.shown)
    # Columns in which there is nothing are left out.
    columns = [name for name in COLUMNS if any(one.cells([name]) != [ABSENT] for group in groups for one in group)]
    header = [*LEFT, *columns]
    table.show(header, len(LEFT), [[_line(one, one is group[0], columns) for one in group] for group in groups])
    calls = [f"{op:<9} posenc.{name}({', '.join(given)})" for op, (name, *given) in OPS.items()]
    calls[-1] += ", a new one"
    cases = zip(["case", *[""] * (len(calls) - 1)], calls, strict=True)
    print("", *notes(columns, [*cases, ("who", WHO)]), *untimed(results), sep="\n")


def _line(result: Result, first: bool, columns: Sequence[str]) -> table.Row:
    """An implementation; the case stands in the first line only."""
    style = "red" if result.timing is None else {"posenc": "bold", "limit": "dim"}.get(result.implementation.kind, "")
    return table.Row([str(result.case) if first else "", str(result.implementation), *result.cells(columns)], style)
