"""Progress, tables and figures for people: drawn by rich on a terminal that has it, else nothing and plain text."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass


@contextmanager
def progress() -> Iterator[Callable[[float, str], None]]:
    """A function that shows on stderr that a fraction of the work is done, and what is being done."""
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
    except ImportError:
        yield lambda done, text: None
        return
    columns = (BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    console, silent = Console(stderr=True), not sys.stderr.isatty()
    # Without auto_refresh there is no thread that draws while something is timed.
    with Progress(*columns, console=console, transient=True, auto_refresh=False, disable=silent) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda done, text: bar.update(task, completed=done, description=text, refresh=True)


@dataclass(frozen=True)
class Row:
    """The cells of a row, and how rich draws it ("bold", "red", ...)."""

    cells: Sequence[str]
    style: str = ""


def show(header: Sequence[str], left: int, groups: Sequence[Sequence[Row]]) -> None:
    """Print a table to stdout; the first `left` columns are aligned left, the others right."""
    try:
        if not sys.stdout.isatty():
            raise ImportError
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        print(plain(header, left, groups))
        return
    table = Table(box=box.HORIZONTALS, pad_edge=False, padding=(0, 1), collapse_padding=True)
    for i, name in enumerate(header):
        table.add_column(name, justify="left" if i < left else "right", overflow="fold")
    for group in groups:
        for row in group:
            table.add_row(*map(Text, row.cells), style=row.style)
        table.add_section()
    Console().print(table)


def plain(header: Sequence[str], left: int, groups: Sequence[Sequence[Row]]) -> str:
    """The table as text, with a blank line between groups."""
    columns = zip(header, *(row.cells for group in groups for row in group), strict=True)
    widths = [max(map(len, column)) for column in columns]

    def line(cells: Sequence[str]) -> str:
        padded = (c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True)))
        return "  ".join(padded).rstrip()

    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([line(header), rule, "\n\n".join("\n".join(line(row.cells) for row in group) for group in groups)])


def duration(seconds: float) -> str:
    """Three digits and a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{three_digits(seconds / size)} {unit}"
    return f"{three_digits(seconds / 1e-9)} ns"


def three_digits(value: float) -> str:
    """`value` to three significant digits, in plain notation below a million."""
    if value >= 999_500:
        return f"{value:.0e}"
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"


def times(ratio: float) -> str:
    return three_digits(ratio) + "x"


def ulps(value: float) -> str:
    """Enough digits to see that 0.5 is not exceeded."""
    return f"{value:.3f}" if value < 9.9995 else three_digits(value)


def percent(fraction: float) -> str:
    """A fraction in percent, never rounded up to 100 %."""
    return "all" if fraction == 1.0 else f"{min(fraction * 100, 99.99):.2f} %"
