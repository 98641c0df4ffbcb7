"""Rewrite the speed tables of README.md and docs/speed.md from the files of results; with --check, only compare.

    python bench/update_readme.py [--check] [bench/results/<processor>.json ...]

Without files all in bench/results are taken, the newest first, by the date within: a table for each processor. SHOWN,
on the page, was chosen by what people do, and keeps the cases that posenc loses; so does the README's choice of it,
FRONT. The files have the others.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from posenc.cli.arrays import memory_dtype
from posenc.cli.cases import OPS
from posenc.cli.table import duration, three_digits

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"
BEGIN, END = "<!-- speed -->", "<!-- /speed -->"

SHOWN = (
    "fill 4096x512",
    "fill 131072x512",
    "fill 4096x512 moving start",
    "fill 4096x512 from 1000000000",
    "fill 8192x512 at reals",
    "fill 4096x512 float64",
    "fill 262144x512 bfloat16",
    "fill 131072x512 whisper",
    "fill 64x32x32x768 mae",
    "fill 65536x513",
    "encode 131072x512",
    "add 512x512",
    "add 131072x512",
    "add 32x512x768",
    "add 4096x512 moving start",
    "add 8x512x4096 channels 1 rows -1",
    "scale_add 32x512x768",
    "add 262144x512 bfloat16",
    "add 16384x768 packed",
    "add 16384x768 packed 20 to 200",
    "add 32x512x768 left-padded",
    "add 64x768x32x32 mae channels 1",
    "add_new 131072x512",
    "embed 32x512x768 of 30000",
    "embed 32x512x768 of 30000 Zipf",
    "embed 32x512x768 bfloat16 of 30000",
    "add 1x512",
    "first 64x1024",
)

FRONT = (
    "fill 4096x512",
    "fill 131072x512",
    "fill 8192x512 at reals",
    "fill 262144x512 bfloat16",
    "encode 131072x512",
    "add 512x512",
    "add 131072x512",
    "add 32x512x768",
    "scale_add 32x512x768",
    "add 16384x768 packed 20 to 200",
    "add 64x768x32x32 mae channels 1",
    "embed 32x512x768 of 30000",
    "add 1x512",
)

CORES = {"25-17": "Zen 4", "26-2": "Zen 5"}  # of AMD's families and models, whose processors have one name

# What arguments say where rows stand.
PLACES = {
    "packed": ["cu_seqlens=c"],
    "packed 20 to 200": ["cu_seqlens=c"],
    "left-padded": ["positions=p", "mask=m"],
    "starts": ["start=s"],
    "grids of their own": ["positions=p"],
}
TWINS = {
    "paper": "the paper's encoding",
    "reals": "reals up to 1e4",
    "plain": "rows that stand at 0, 1, 2 ... in every sequence",
    "repeated": "the same start at every call",
}
MARKS = {"memset": " (m)", "x.fill(1)": " (f)", "y.fill(1)": " (f)"}  # the limit that counts
FLOAT64_RECIPE = "NumPy f64 recipe"
HEADER = ("", "posenc", "GB/s", "% of limit", "NumPy, float64 recipe", "NumPy, float32 recipe or ready table", "torch")
CALL_BYTES = 2**16  # of smaller arrays, a call costs more than the work
NONE = "-"


def front(documents: Sequence[dict[str, Any]]) -> str:
    """What stands in the README: a table for each processor."""
    return "\n\n".join(block for document in documents for block in table(document, FRONT))


def page(documents: Sequence[dict[str, Any]]) -> str:
    """What stands on the site: for each processor a longer table, and the cases that have a twin."""
    return "\n\n".join(block for document in documents for block in (*table(document, SHOWN), *twins(document)))


def processor(document: dict[str, Any]) -> str:
    """What was measured, and when."""
    record = document["machine"]
    core = CORES.get((record.get("cpu_model") or "").rpartition("-")[0])
    return f"{record['cpu']}{f' ({core})' if core else ''}, {record['date'][:10]}"


def _groups(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in document["rows"]:
        groups.setdefault(row["case"], []).append(row)
    return groups


def table(document: dict[str, Any], cases: Sequence[str]) -> list[str]:
    """What a processor did, and its table of some cases."""
    groups = _groups(document)
    lines = [f"| {' | '.join(HEADER)} |", "|---|" + "---:|" * (len(HEADER) - 1)]
    lines += [f"| {' | '.join(cells)} |" for case in cases if (cells := _cells(groups.get(case, [])))]
    record = document["machine"]
    versions = ", ".join(f"{name} {record[name]}" for name in ("numpy", "numba", "torch") if record.get(name))
    where = f"{processor(document)}: posenc {record['posenc']}"
    where += f" ({record['commit']})" if record.get("commit") else ""
    heading = f"{where}, {record['compiler'] or 'no compiled core'}, {versions}."
    return [heading, "\n".join(lines)]


def twins(document: dict[str, Any]) -> list[str]:
    """A table of those cases that have a twin, and what it shows."""
    lines = []
    for case, group in _groups(document).items():
        ours, twin = _ours(group), next((row for row in group if row["kind"] == "twin"), None)
        if ours is not None and twin is not None and ours["over_twin"] is not None:
            lines.append(f"| `{case}` | {TWINS[twin['doing']]} | {ours['over_twin']:.2f} |")
    heading = f"{processor(document)}, against something plainer in the same rounds: 1 is as fast."
    return [heading, "\n".join(["| case | relative to | speed |", "|---|---|---:|", *lines])] if lines else []


def _ours(group: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The row of the first backend, if it was timed."""
    row = next((row for row in group if row["kind"] == "posenc" and row["threads"] == 1), None)
    return row if row is not None and row["ok"] else None


def _cells(group: Sequence[dict[str, Any]]) -> list[str]:
    """One case: its first backend against the others; nothing if that was not timed."""
    ours = _ours(group)
    if ours is None:
        return []
    seconds = ours["timing"]["median_s"]

    def ratio(who: Callable[[str], bool]) -> str:
        times = [row["timing"]["median_s"] for row in group if row["kind"] == "peer" and row["ok"] and who(row["name"])]
        wrong = any(row["kind"] == "peer" and who(row["name"]) and "off by" in (row["problem"] or "") for row in group)
        return f"{three_digits(min(times) / seconds)}x" if times else "wrong" if wrong else NONE

    size = math.prod(ours["shape"]) * memory_dtype(ours["dtype"]).itemsize
    shape = " x ".join(map(str, ours["shape"]))
    where = [ours["dtype"]] if ours["dtype"] != "float32" else []
    where += [f"from {ours['start']:,}"] if ours["start"] else []
    where += ["a start that moves"] if ours.get("moving") else []
    where += ["of 20 to 200 rows"] if ours["at"] == "packed 20 to 200" else []
    where += [f"of {ours['vocabulary']}"] if ours.get("vocabulary") else []
    where += [f"{ours['ids']} ids"] if ours.get("ids") else []
    where += [f"at {ours['at']}"] if ours["at"] and ours["at"] not in PLACES else []
    function, *arguments = (word.replace("'", '"').replace("posenc.", "") for word in OPS[ours["op"]])
    arguments += PLACES.get(ours["at"], [])
    arguments += [f'encoding="{ours["encoding"]}"'] if ours["encoding"] else []
    arguments += ["start=p"] if ours.get("moving") else []
    arguments += [f"seq_axis={ours['seq_axis']}"] if ours.get("seq_axis", -2) != -2 else []
    arguments += [f"channel_axis={ours['channel_axis']}"] if ours["channel_axis"] != -1 else []
    limited = ours["of_limit"] is not None
    return [
        f"`{function}({', '.join(arguments)})`, {', '.join([shape, *where])}",
        duration(seconds),
        three_digits(ours["gb_per_s"]) if limited else NONE,
        f"{ours['of_limit']:.0%}{MARKS.get(ours.get('limit', ''), '')}" if limited else NONE,
        ratio(lambda name: name == FLOAT64_RECIPE),
        ratio(lambda name: name.lower().startswith(("numpy", "np.")) and name != FLOAT64_RECIPE),
        ratio(lambda name: name.startswith("torch")) if size >= CALL_BYTES else NONE,
    ]


def rewritten(text: str, block: str) -> str:
    """`text` with `block` between the markers."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"expected one {BEGIN} and one {END}")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{block}\n{END}{after}"


def read(files: Sequence[Path]) -> list[dict[str, Any]]:
    """The documents in `files`, the newest first."""
    if not files:
        raise FileNotFoundError("no results: run bench/run_results.py")
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    return sorted(documents, key=lambda document: str(document["machine"]["date"]), reverse=True)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="*", help="default: all in bench/results")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "speed.md")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if there is something to write")
    args = parser.parse_args(argv)
    documents = read(args.results or sorted(RESULTS.glob("*.json")))
    status = 0
    for path, block in ((args.readme, front(documents)), (args.page, page(documents))):
        old = path.read_text(encoding="utf-8")
        new = rewritten(old, block)
        if new == old:
            continue
        if args.check:
            print(f"{path.name} is not what the results say: run bench/update_readme.py", file=sys.stderr)
            status = 1
        else:
            path.write_text(new, encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main())
