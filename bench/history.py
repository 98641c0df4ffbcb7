"""The speed of posenc from commit to commit, on each processor: `python bench/history.py -o history.svg`.

    python bench/history.py [FOLDER ...] [--only add] [-o history.svg]

`run_results.py` keeps a file for each commit in bench/results/<processor>/: of every case the median time of a call on
one thread and its share of what memory allows, as measured beside it. Minutes differ, and machines that are called the
same do; the share of the limit is what can be compared. It is printed for the two newest commits, and drawn for all.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

RESULTS = Path(__file__).resolve().parent / "results"


class Point(NamedTuple):
    """A case at a commit."""

    seconds: float
    of_limit: float | None  # 1: as fast as memory allows


class Commit(NamedTuple):
    """What one file has."""

    commit: str
    date: str
    posenc: str
    compiler: str
    cases: dict[str, Point]


def record(document: dict[str, Any]) -> Commit:
    """What is kept of a document of `posenc bench`: of each case, the best backend at its best level, on one thread."""
    machine = document["machine"]
    cases: dict[str, Point] = {}
    for row in document["rows"]:  # the best comes first
        if row["kind"] == "posenc" and row["threads"] == 1 and row["ok"] and row["timing"]:
            cases.setdefault(row["case"], Point(row["timing"]["median_s"], row["of_limit"]))
    return Commit(machine["commit"] or "unknown", machine["date"], machine["posenc"], machine["compiler"] or "", cases)


def write(commit: Commit, folder: Path) -> Path:
    """One line for each case, three digits: git keeps the difference to the last commit small."""
    lines = [
        f"  {json.dumps(name)}: {json.dumps([_digits(value) for value in point])}"
        for name, point in sorted(commit.cases.items())
    ]
    head = {name: value for name, value in commit._asdict().items() if name != "cases"}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{commit.commit}.json"
    text = json.dumps(head, indent=1)[:-2] + ',\n "cases": {\n' + ",\n".join(lines) + "\n }\n}\n"
    path.write_text(text, encoding="utf-8")
    return path


def _digits(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.3g}")


def read(folder: Path) -> list[Commit]:
    """All commits of a processor, the oldest measurement first."""
    found = []
    for path in folder.glob("*.json"):
        document = json.loads(path.read_text("utf-8"))
        document["cases"] = {name: Point(*values) for name, values in document["cases"].items()}
        found.append(Commit(**document))
    return sorted(found, key=lambda commit: commit.date)


def table(commits: Sequence[Commit], only: str) -> list[str]:
    """Shares of the limit at the newest commit and the one before it, the greatest loss first."""
    now = commits[-1]
    old = commits[-2].cases if len(commits) > 1 else {}
    rows: list[tuple[float, str, float, float | None]] = []
    for name, point in now.cases.items():
        if only in name and point.of_limit:
            former = old[name].of_limit if name in old else None
            rows.append((point.of_limit / former if former else float("inf"), name, point.of_limit, former))
    head = f"{'% of limit':40}{commits[-2].commit if old else '-':>20}{now.commit:>20}{'new/old':>9}"
    return [
        head,
        *(
            f"{name:40}{_share(former):>20}{share:>20.0%}{f'{ratio:.2f}' if former else '-':>9}"
            for ratio, name, share, former in sorted(rows)
        ),
    ]


def _share(value: float | None) -> str:
    return f"{value:.0%}" if value else "-"


def draw(histories: dict[str, list[Commit]], only: str, path: Path) -> None:
    """A panel for each case, a line for each processor."""
    from posenc.cli import Refused
    from posenc.cli.figure import check  # needs matplotlib

    try:
        check(str(path), "-o")
    except Refused as error:
        raise SystemExit(str(error)) from None
    from matplotlib.figure import Figure

    names = sorted({name for commits in histories.values() for one in commits for name in one.cases if only in name})
    dates = {one.commit: one.date for commits in histories.values() for one in commits}
    order = {commit: place for place, commit in enumerate(sorted(dates, key=lambda commit: dates[commit]))}
    names = [name for name in names if any(_shares(commits, name) for commits in histories.values())]
    if not names:
        raise SystemExit(f"no case with a limit has {only!r} in its name")
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(4 * columns, 1.9 * rows + 0.6), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True)
    for axis, name in zip(axes.flat, names, strict=False):
        for processor, commits in histories.items():
            shares = {order[commit]: 100 * share for commit, share in _shares(commits, name).items()}
            axis.plot([*shares], [*shares.values()], marker="o", markersize=3, linewidth=1.2, label=processor)
        axis.axhline(100, color="0.7", linewidth=0.8, zorder=0)
        axis.set_ylim(bottom=0)
        axis.set_title(name, fontsize=8, loc="left")
        axis.tick_params(labelsize=7)
        axis.set_xticks([*order.values()], [commit[:7] for commit in order], rotation=60)
    for axis in axes.flat[len(names) :]:
        axis.set_axis_off()
    figure.suptitle("% of what memory allows, from commit to commit", x=0.01, ha="left", fontsize=11)
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="upper right", fontsize=8)
    figure.savefig(path)


def _shares(commits: Sequence[Commit], name: str) -> dict[str, float]:
    return {one.commit: share for one in commits if name in one.cases and (share := one.cases[name].of_limit)}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, help="of processors; default: all in bench/results")
    parser.add_argument("--only", default="", help="cases whose names contain this")
    parser.add_argument("-o", "--output", type=Path, help="a picture of all commits, .svg or .png")
    args = parser.parse_args(argv)
    folders = args.folders or sorted(path for path in RESULTS.iterdir() if path.is_dir())
    histories = {folder.name: read(folder) for folder in folders}
    for processor, commits in histories.items():
        if not commits:
            parser.error(f"{processor}: expected a folder of results of commits, found none")
        print(processor, *table(commits, args.only), "", sep="\n")
    if args.output:
        draw(histories, args.only, args.output)
        print(f"Drawn to {args.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
