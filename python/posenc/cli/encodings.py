"""List encodings, or tell everything about one: by its name, or by an argument that a framework has for it."""

from __future__ import annotations

import argparse
import inspect
import json
import re
import textwrap
from typing import Any

from posenc._conventions import ROWS, Row, absent, get_encoding, lookup
from posenc._conventions.arguments import ARGUMENTS
from posenc._conventions.evidence import Evidence
from posenc._encoding import Encoding
from posenc._notation import lines as formula
from posenc._notation import short

from . import refusing, table

HELP = "what encodings there are, what each computes, and its traps"

# Options without a default, as examples have them.
EXAMPLES: dict[str, Any] = {"dim": 8, "seq_len": 512, "factors": (1.0, 1.5, 2.0, 4.0)}


def arguments(parser: argparse.ArgumentParser) -> None:
    name = "an encoding; or a word to look for among names, models and frameworks' arguments"
    parser.add_argument("name", nargs="?", help=name)
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace) -> int:
    known = None if args.name is None else lookup.known_name(args.name)
    rows = ROWS if args.name is None else [row for row in ROWS if known in row.names]
    hints: list[tuple[str, str, str]] = []
    if not rows:
        rows, hints = search(args.name)
    if args.json:
        print(json.dumps([as_dict(row) for row in rows], indent=2))
    elif len(rows) == 1:
        print(details(rows[0]))
    elif rows:
        lines = [table.Row((row.names[0], row.summary)) for row in rows]
        table.show(("name", "what"), 2, [lines])
    for argument, whose, parameter in hints if not args.json else []:
        print(f"\n{argument} ({whose}): {parameter}")
    if args.name is not None and known is None and (not (rows or hints) or absent.explanation(args.name)):
        with refusing():
            lookup.row(args.name)  # says which is near, or why there is none
    return 0


def search(word: str) -> tuple[list[Row], list[tuple[str, str, str]]]:
    """The rows and the lines of ARGUMENTS in which a word stands."""
    pattern = re.compile(rf"\b{re.escape(word)}", re.I)
    rows = [row for row in ROWS if any(map(pattern.search, (*row.names, row.summary, row.source, *row.options)))]
    return rows, [line for line in ARGUMENTS if pattern.search(line[0])]


def example(row: Row) -> tuple[str, Encoding]:
    """A call that makes the encoding of a row, and what it returns."""
    options = {
        name: EXAMPLES[name] if default is inspect.Parameter.empty else default for name, default in row.options.items()
    }
    given = "".join(f", {name}={value!r}" for name, value in options.items())
    return f"posenc.get_encoding({row.names[0]!r}{given})".replace("'", '"'), get_encoding(row.names[0], **options)


def as_dict(row: Row) -> dict[str, Any]:
    call, encoding = example(row)
    return {
        "names": list(row.names),
        "summary": row.summary,
        "source": row.source,
        "evidence": {name: evidence._asdict() for name, evidence in row.evidence.items()},
        "call": call,
        "encoding": repr(encoding),
        "formula": formula(encoding),
        "traps": list(row.traps),
    }


def details(row: Row) -> str:
    """Everything about one encoding, as text."""
    call, encoding = example(row)
    lines = [f"{', '.join(row.names)}: {row.summary}", f"source: {row.source}", *established(row)]
    lines += ["", call, f"= {short(encoding)}", "", *(f"  {line}" for line in formula(encoding))]
    lines += ["", *(f"- {trap}" for trap in row.traps)] if row.traps else []
    return "\n".join(textwrap.fill(line, 100, subsequent_indent="    ", drop_whitespace=True) for line in lines)


# What the grades of evidence mean.
GRADES = {
    "ran": "compared with what the running original computes",
    "read": "read in its source",
    "paper": "from the formula of a paper",
}


def established(row: Row) -> list[str]:
    """How the names of a row were established, a line for those that were in the same way."""
    groups: dict[Evidence, list[str]] = {}
    for name, evidence in row.evidence.items():
        groups.setdefault(evidence, []).append(name)
    return [f"{', '.join(names)}: {GRADES[e.grade]}: {e.where}" for e, names in groups.items()]
