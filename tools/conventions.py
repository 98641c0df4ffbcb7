"""Write the pages docs/conventions/: what each public convention computes, family by family; --check only compares.

python tools/conventions.py [--check]
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from pathlib import Path

from posenc._conventions import ROWS, Row
from posenc._conventions.arguments import ARGUMENTS
from posenc._notation import lines as formula
from posenc._notation import short
from posenc.cli.encodings import established, example

PAGES = Path(__file__).resolve().parent.parent / "docs" / "conventions"
WRITTEN = "<!-- Written by tools/conventions.py; do not edit. -->"

# Families, by the order of columns: the page, its title, and what it has.
FAMILIES = {
    "interleaved": ("Interleaved", "A sine and its cosine stand side by side: sin cos sin cos ... The paper's order."),
    "sines-first": ("Sines first", "All sines stand before all cosines: sin sin ... cos cos ..."),
    "cosines-first": ("Cosines first", "All cosines stand before all sines: cos cos ... sin sin ..."),
    "rotary": ("Rotary", "What turns queries and keys: `posenc.rotate_(q, name)`. The names begin with rope_."),
    "several-axes": ("Several axes", "Images, videos and points: each axis of positions has columns of its own."),
}

INDEX = """\
# Conventions

{written}

{names} names for {rows} public conventions, and what each computes. `posenc encodings NAME` prints one, or looks for a
word among names and arguments. In a name, case, "-", "_" and spaces do not matter.

```python
import numpy as np
import posenc

x = np.zeros((8, 100, 512), np.float32)
posenc.add_(x, encoding="whisper")
posenc.add_(x, encoding=posenc.get_encoding("fairseq", padding_idx=1))
posenc.add_(x, encoding=posenc.Encoding(layout="concatenated", freq_shift=1.0))
```

{families}

On these pages, p is the position of a row: 0, 1, 2 ... unless `start=` or `positions=` says otherwise. Where an
original counts from 1 or 2, the encoding adds that itself. All are computed exactly; originals that compute angles in
float32 are off by up to 1e-3 at position 5000. Encodings that differ in the order of columns only can be turned into
each other: `convert_layout_`.

Of the names, {ran} were compared with what the running original computes (`tests/test_originals.py`), {read} were read
in the original's source, at the commit and lines that stand under each, and {paper} have a paper's formula and no
source.

## Names

| name | what |
|---|---|
{index}

## Arguments

What a framework calls it, and what to give posenc: a field of `posenc.Encoding` or, with `=` behind it, an argument of
`fill_`, `add_`, `add` and `encode`. Options of `get_encoding` have the framework's own names.

| argument | whose | posenc |
|---|---|---|
{arguments}
"""


def family(row: Row) -> str:
    """The page of a convention."""
    encoding = example(row)[1]
    if row.names[0].startswith("rope_"):
        return "rotary"
    if encoding.axes > 1:
        return "several-axes"
    return (
        "interleaved" if encoding.layout == "interleaved" else "cosines-first" if encoding.cos_first else "sines-first"
    )


def pages() -> dict[str, str]:
    """The text of each file."""
    result = {"index.md": index()}
    for name, (title, what) in FAMILIES.items():
        sections = [section(row) for row in ROWS if family(row) == name]
        result[f"{name}.md"] = f"# {title}\n\n{WRITTEN}\n\n{what}\n" + "".join(sections)
    return result


def index() -> str:
    names = [(name, row) for row in ROWS for name in row.names]
    counted = {name: sum(family(row) == name for row in ROWS) for name in FAMILIES}
    return INDEX.format(
        written=WRITTEN,
        names=len(names),
        rows=len(ROWS),
        **Counter(evidence.grade for row in ROWS for evidence in row.evidence.values()),
        families="\n".join(
            f"- [{title}]({name}.md), {counted[name]} of them. {what}" for name, (title, what) in FAMILIES.items()
        ),
        arguments="\n".join(f"| {' | '.join(line)} |" for line in ARGUMENTS),
        index="\n".join(
            f"| {', '.join(f'[{name}]({family(row)}.md#{row.names[0]})' for name in row.names)} | {row.summary} |"
            for row in ROWS
        ),
    )


def section(row: Row) -> str:
    """What a page tells about one convention."""
    call, encoding = example(row)
    also = f" Also {', '.join(f'`{name}`' for name in row.names[1:])}." if len(row.names) > 1 else ""
    lines = [
        "",
        f"## {row.names[0]}",
        "",
        f"{row.summary}.{also}",
        f"Source: {linked(row.source)}",
        "",
        "```python",
        f">>> {call}",
        short(encoding),
        "```",
        "",
        *(f"- {line}" for line in formula(encoding)),
        "",
        "Established:",
        "",
        *(f"- {located(line)}" for line in established(row)),
    ]
    if row.traps:
        lines += ["", "Traps:", "", *(f"- {trap}" for trap in row.traps)]
    return "\n".join(lines) + "\n"


def linked(source: str) -> str:
    """A source with links to where it is."""
    source = re.sub(r"^([\w.-]+/[\w.-]+)(?= )", r"[\1](https://github.com/\1)", source)
    return re.sub(r"arXiv:([\d.]+\d)", r"[arXiv:\1](https://arxiv.org/abs/\1)", source)


def located(line: str) -> str:
    """A line of evidence with links to the files that were read."""
    link = r"[\1 \3](https://github.com/\1/blob/\2/\3)"
    return re.sub(r"([\w.-]+/[\w.-]+)@([0-9a-f]{7,40}) ([\w./-]*\w)", link, line)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if there is something to write")
    check = parser.parse_args().check
    status = 0
    for name, text in pages().items():
        path = PAGES / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if check:
            print(f"docs/conventions/{name} is not what the table says: run tools/conventions.py", file=sys.stderr)
            status = 1
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main())
