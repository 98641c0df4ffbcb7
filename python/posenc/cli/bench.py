"""Microbenchmarks: posenc against the limits of the memory and against its peers, all in turns within one run."""

from __future__ import annotations

import argparse
import csv
import importlib
import itertools
import json
import re
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from posenc import _backend, _conventions, _encoding, _threads

from . import files, machine, table
from .arrays import DTYPES, Unavailable, parse_shape
from .cases import isa_restored
from .limits import limits
from .peers import peers
from .progress import progress
from .timing import Task, Timing, measure
from .workloads import (
    EXACT_ELEMENTS,
    GROUPS,
    OPS,
    REFERENCE,
    Arena,
    Entrant,
    Finding,
    Judge,
    Workload,
    encoded,
    ours,
    twins,
)

HELP = "microbenchmarks against the limits of the memory and other packages"

SWEEP = [(length, 512) for length in (8, 32, 128, 512, 2048, 8192, 32768, 131072)]  # 16 KiB to 256 MiB
QUICK_BYTES = 16 * 2**20

# Seconds for each entrant in each case, and the samples that it gets at least.
EFFORT = 0.3, 3
QUICK_EFFORT = 0.05, 2

OURS = ("posenc", "twin")
LEFT = ("case", "who")
HEADER = (*LEFT, "median", "spread", "GB/s", "% limit", "vs peer", "vs twin", "max ulp")
ABSENT = "-"
NOTES = {
    "case": f"\n{'':9}".join(f"{name:<9} {call}" for name, call in OPS.items()),
    "who": "posenc's backends (with the ISA level and threads, if more than one), then limits, then peers",
    "median": "time of one call; spread: from the lower to the upper quartile of its samples, in percent of the median",
    "GB/s": "10^9 bytes of the array per second; for an update, too, its bytes are counted once",
    "% limit": "of the fastest limit of the case on at most as many threads, measured in turns with everybody else",
    "vs peer": "how many times as fast as the fastest peer of the case; below 1, that peer is faster",
    "vs twin": "how many times as fast as the row with a word in parentheses: the same backend doing that, something\n"
    f"{'':9}plainer, to the same array. paper: its encoding; reals: at reals up to 1e4; plain: 0, 1, 2 ... in every\n"
    f"{'':9}sequence; repeated: the same start at every call",
    "max ulp": f"the worst of {EXACT_ELEMENTS} random elements against the real number, in units in the last place;\n"
    f"{'':9}of a sum: in those of the encoding or of the sum, whichever are larger; known of the paper's only",
    "table": "the encoding was made before, and costs the peer nothing here",
}
END_NOTE = f"""\
Checked before it is timed: posenc has the bits of its {REFERENCE} backend, peers are as near as float32 angles allow.
Peers run on one thread. positional-encodings and torch.compile return new arrays."""


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


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cases",
        type=_several([*GROUPS, "all"]),
        help=f"groups of named cases: of {','.join(GROUPS)}, or all; default core, and what --op and --dtype ask for",
    )
    parser.add_argument("--op", type=_several(OPS), help=f"of {','.join(OPS)}; default all")
    parser.add_argument("--dtype", type=_several(DTYPES), help=f"of {','.join(DTYPES)}")
    parser.add_argument(
        "--encodings",
        type=lambda text: text.split(","),
        help="instead of the named cases: paper,whisper,... (see `posenc encodings`)",
    )
    parser.add_argument(
        "--shape", action="append", type=parse_shape, help="instead of the named cases: 8x512x768 (repeatable)"
    )
    parser.add_argument("--backend", type=_several(_backend.MODULES), help=f"of {','.join(_backend.MODULES)}")
    parser.add_argument("--isa", default="best", help="levels of the compiled core: best (default), all, or avx2,...")
    parser.add_argument("--threads", type=_counts, default=[1], help="such as 1,2; default 1")
    parser.add_argument(
        "--peers", action=argparse.BooleanOptionalAction, default=True, help="NumPy recipes, torch and others"
    )
    parser.add_argument(
        "--seconds",
        type=_seconds,
        help=f"for each entrant in each case; default {EFFORT[0]}, or {QUICK_EFFORT[0]} if quick",
    )
    parser.add_argument("--verbose", action="store_true", help="name every case on standard error when it begins")
    parser.add_argument("--quick", action="store_true", help="few samples, arrays up to 16 MiB")
    parser.add_argument(
        "--json", metavar="FILE", type=files.target, help="write one JSON document; - prints it instead of the table"
    )
    parser.add_argument(
        "--csv", metavar="FILE", type=files.target, help="write the rows as CSV; - prints them instead of the table"
    )
    parser.add_argument(
        "--plot", metavar="FILE", type=files.target, help="draw GB/s against size (default: over a range of sizes)"
    )


def run(args: argparse.Namespace) -> int:
    given = [(option, getattr(args, option)) for option in ("json", "csv", "plot") if getattr(args, option)]
    for (one, path), (other, other_path) in itertools.combinations(given, 2):
        if files.same(path, other_path):
            raise _backend.BackendError(f"--{one} and --{other}: expected different files, got {path!r} for both")
    if args.plot:
        from . import figure

        figure.check(args.plot)
    backends = implementations(args.backend, args.isa, args.threads)
    cases = _cases(args)
    record = machine.record()
    seconds, least = QUICK_EFFORT if args.quick else EFFORT
    if args.seconds is not None:
        seconds = args.seconds
    others = peers if args.peers else None
    rows = bench(cases, backends, args.threads, others, seconds, least, args.verbose)
    sound = all(row.sound for row in rows)
    records = [row.record() for row in rows]
    document = {"command": "bench", "quick": args.quick, "machine": record, "ok": sound, "rows": records}
    if "-" not in (args.json, args.csv):
        _print(rows, record)
    if args.json:
        _write(args.json, lambda file: file.write(json.dumps(document, indent=1, allow_nan=False) + "\n"))
    if args.csv:
        _write(args.csv, lambda file: _write_csv(file, records))
    if args.plot:
        figure.draw(args.plot, records, record)
    return 0 if sound else 1


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


# ---- what is asked for ----------------------------------------------------------------------------------------------


def implementations(names: Sequence[str] | None, isa: str, threads: Sequence[int]) -> list[Entrant]:
    """Posenc's backends, at some ISA levels and with some numbers of threads."""
    found = []
    here = [name for name in _backend.MODULES if _backend.why_not(name) is None]
    for name in here if names is None else names:
        if _backend.why_not(name) is not None:
            _backend.get(name)  # raises, and says why
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


def _cases(args: argparse.Namespace) -> list[Workload]:
    ops, kinds = args.op, args.dtype
    if args.shape or args.plot or args.encodings:
        cases = [
            case
            for kind in kinds or ["float32"]
            for encoding in args.encodings or ["paper"]
            for case in _asked(args, encoding, kind)
        ]
        for case in cases:
            _check_encoding(case)
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


def _asked(args: argparse.Namespace, encoding: str, kind: str) -> list[Workload]:
    """The cases of an encoding and a dtype: of the shapes that are asked for, or its own."""
    try:
        own = encoded(encoding)
    except (TypeError, ValueError) as error:
        raise _backend.BackendError(f"--encodings: {error}") from None
    axes, name = own[0].axes, own[0].encoding
    if args.shape or args.plot:
        ops, shapes = args.op or ["fill", "add"], args.shape or SWEEP
    else:
        ops = args.op or list(dict.fromkeys(case.op for case in own))
        shapes = list(dict.fromkeys(case.shape for case in own))
    # A new array has no batch, whatever the shape.
    return [
        Workload(op, shape[-1 - axes :] if op == "encode" else shape, kind, encoding=name)
        for op in ops
        for shape in shapes
    ]


def _check_encoding(case: Workload) -> None:
    if not case.encoding:
        return
    try:
        if len(case.shape) <= case.axes:
            raise ValueError(f"expected {case.axes + 1} dimensions at least")
        _encoding.spectra(_conventions.resolve(case.encoding), case.shape[-1])
    except ValueError as error:
        raise _backend.BackendError(f"--encodings: {case.encoding} of shape {case.shape_text}: {error}") from None


def _several(names: Collection[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        chosen = text.split(",")
        for name in chosen:
            if name not in names:
                raise argparse.ArgumentTypeError(f"expected some of {','.join(names)}, got {name!r}")
        return list(dict.fromkeys(chosen))

    return parse


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\d{1,3}(\.\d{1,6})?", text, re.A):
        raise argparse.ArgumentTypeError(f"expected seconds such as 0.3, got {text!r}")
    return float(text)


def _counts(text: str) -> list[int]:
    if not re.fullmatch(r"[1-9]\d{0,4}(,[1-9]\d{0,4})*", text, re.A) or max(map(int, text.split(","))) > _threads.MOST:
        raise argparse.ArgumentTypeError(f"expected numbers of threads up to {_threads.MOST} such as 1,2, got {text!r}")
    return list(dict.fromkeys(map(int, text.split(","))))


# ---- what is shown --------------------------------------------------------------------------------------------------


def _write(name: str, write: Callable[[Any], object]) -> None:
    if name == "-":
        write(sys.stdout)
    else:
        with Path(name).open("w", encoding="utf-8", newline="") as file:
            write(file)


def _write_csv(file: Any, records: Sequence[dict[str, Any]]) -> None:
    """One line for each row, with its timing's figures beside the others."""
    flat = [{**row, "shape": "x".join(map(str, row["shape"])), **(row["timing"] or {})} for row in records]
    names = dict.fromkeys(name for row in flat for name in row if name != "timing")
    writer = csv.DictWriter(file, list(names), extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)


def _print(rows: Sequence[Row], record: dict[str, Any]) -> None:
    print(machine.readable(record) + "\n")
    groups: dict[Workload, list[Row]] = {}
    for row in rows:
        if row.timing is not None or (row.entrant.kind in OURS and not row.finding.absent):
            groups.setdefault(row.workload, []).append(row)
    lines = [_lines(group) for group in groups.values()]
    # Columns in which there is nothing are left out.
    full = [i for i in range(len(HEADER)) if any(line.cells[i] != ABSENT for group in lines for line in group)]
    header = [HEADER[i] for i in full]
    shown = [[table.Row([line.cells[i] for i in full], line.style) for line in group] for group in lines]
    table.show(header, len(LEFT), shown)
    print()
    for name, note in NOTES.items():
        if name in header or name not in HEADER:
            print(f"{name:<9}{note}")
    print(END_NOTE)
    problems: dict[tuple[str, str | None], list[str]] = {}
    for row in rows:
        if row.finding.problem is not None:
            problems.setdefault((str(row.entrant), row.finding.problem), []).append(str(row.workload))
    for (who, problem), cases in problems.items():
        print(f"Not timed: {who}: {problem} ({', '.join(cases)})")


def _lines(group: Sequence[Row]) -> list[table.Row]:
    """One table row for each entrant; the case stands in the first one only."""
    lines = []
    for i, row in enumerate(group):
        cells = [str(row.workload) if i == 0 else "", str(row.entrant)]
        if row.timing is None:
            cells += ["FAILED", *[ABSENT] * 5]
        else:
            cells += [
                table.duration(row.timing.median),
                f"{row.timing.spread:.0%}",
                table.three_digits(row.timing.gb_per_s(row.workload.nbytes)) if row.of_limit is not None else ABSENT,
                f"{row.of_limit:.0%}" if row.of_limit is not None else ABSENT,
                *(
                    ABSENT if ratio is None else table.three_digits(ratio) + "x"
                    for ratio in (row.over_peer, row.over_twin)
                ),
            ]
        cells.append(ABSENT if row.finding.max_ulp is None else table.ulps(row.finding.max_ulp))
        style = "red" if row.timing is None else {"posenc": "bold", "limit": "dim"}.get(row.entrant.kind, "")
        lines.append(table.Row(cells, style))
    return lines
