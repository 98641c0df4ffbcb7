"""Cycles of the kernel's inner loops on processors that need not be here: `python tools/mca.py [--update]`.

Compiles the loops of csrc/kernel, takes from each that is marked (POSENC_MCA_LOOP) the instructions once around, and
lets llvm-mca simulate them. It knows ports and latencies; it takes all memory for the first level, and foresees every
branch. --update writes the table into bench/README.md.

Needed: llvm-mca (Debian: llvm-19), g++ and, for aarch64, aarch64-linux-gnu-g++ (g++-aarch64-linux-gnu). Another
version by LLVM_MCA, CXX and CXX_AARCH64. What is missing is named, and left out.
"""

from __future__ import annotations

import argparse
import heapq
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "bench" / "README.md"
MARKERS = "<!-- cycles -->", "<!-- /cycles -->"
ITERATIONS = 500
MARK = "LLVM-MCA-LOOP"
UNLIKELY = 100  # instructions that a branch forward stands for

# A loop's name in the table, and a function that holds it, with as many columns as fit a strip.
STRIP = """
[[gnu::used]] void loop(const Tile& tile, const Start& start, char* to, const char* from, const {0}& consumer) {{
    walk_strip<2, false>(tile, start, 0, 0, kStrip, 0, tile.rows, to, from, consumer);
}}"""
LOOPS = {
    "strip (or down a column), fill float32": STRIP.format("Fill<float, false>"),
    "strip, fill float32, past the caches": STRIP.format("Fill<float, true>"),
    "strip (or down a column), add float32": STRIP.format("Add<float, false>"),
    "strip, x * scale + PE, float32": STRIP.format("Add<float, true>"),
    "strip, fill bfloat16": STRIP.format("Fill<bf16, false>"),
    "strip, add bfloat16": STRIP.format("Add<bf16, false>"),
    "single row (quick), fill float32": """
[[gnu::used]] void loop(const Table& table, const Grid& grid, double position, char* to, double* trig) {
    if (table.order != Order::interleaved || table.columns % kStrip != 0) {
        __builtin_unreachable();
    }
    const Fill<float, false> consumer{0, 0};
    RowMaker<Fill<float, false>>(table, consumer, grid, trig).quick<false>(position, 0.0, to, to);
}""",
    "single row (grid), fill float32": """
[[gnu::used]] void loop(const Table& table, const Grid& grid, GridPosition at, double position, char* to) {
    if (table.order != Order::interleaved || table.columns % kStrip != 0) {
        __builtin_unreachable();
    }
    const Fill<float, false> consumer{0, 0};
    RowMaker<Fill<float, false>>(table, consumer, grid, nullptr).turned(position, at, 0.0, to, to);
}""",
    "row of float64": """
void loop(const Table& table, Kept& kept, double position, double* memory, double* row) {
    if (table.order != Order::interleaved || table.cos_first) {
        __builtin_unreachable();
    }
    DoubleMaker(table, {table, kept, memory}, row).make(position, row);
}""",
    "evaluate, in double": """
void loop(const Table& table, double position, double* sin, double* cos) {
    for (std::size_t k = 0; k < table.padded_frequencies; k += kLanes) {
        POSENC_MCA_LOOP(k);
        const Angle angle =
            evaluate<true>(position + f64s{}, load<f64s>(table.frequency[0] + k), load<f64s>(table.frequency[1] + k));
        store(sin + k, angle.sin);
        store(cos + k, angle.cos);
    }
}""",
}
PAIRS = list(LOOPS)[-2:]


@dataclass(frozen=True)
class Target:
    """A level of the kernel, as compiled for an architecture, and processors to simulate it on."""

    level: str
    processors: tuple[str, ...]
    lanes: int  # doubles in a register
    compiler: str
    triple: str

    def elements(self, loop: str) -> int:
        """Elements for each iteration: a strip of four registers of doubles, or a pair for each lane."""
        return (2 if loop in PAIRS else 4) * self.lanes


TARGETS = [
    Target("avx512", ("znver4", "icelake-server", "sapphirerapids"), 8, os.environ.get("CXX", "g++"), "x86_64"),
    Target("avx2", ("znver4", "icelake-server"), 4, os.environ.get("CXX", "g++"), "x86_64"),
    Target("baseline", ("neoverse-v1",), 2, os.environ.get("CXX_AARCH64", "aarch64-linux-gnu-g++"), "aarch64"),
]


def analyser() -> str:
    names = [os.environ.get("LLVM_MCA", ""), *(f"llvm-mca-{version}" for version in range(25, 16, -1)), "llvm-mca"]
    found = next((name for name in names if name and shutil.which(name)), None)
    if found is None:
        sys.exit("tools/mca.py: llvm-mca is not here (Debian: apt install llvm-19; another one by LLVM_MCA)")
    return found


def flags(target: Target) -> list[str]:
    """As CMakeLists.txt has them."""
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    common = re.search(r"set\(POSENC_FLAGS (.*)\)", text)
    own = re.search(rf"set\(POSENC_FLAGS_{target.level} (.*)\)", text)
    assert common is not None
    words = [
        "-std=c++20",
        "-O3",
        "-DNDEBUG",
        "-DPOSENC_MCA",
        "-fno-exceptions",
        "-fno-asynchronous-unwind-tables",
        "-w",
    ]
    words += [*common[1].split(), "-fno-tree-loop-distribute-patterns", *(own[1].split() if own else [])]
    return words


def assembly(target: Target, loop: str, folder: Path) -> list[str]:
    """A loop of a target, compiled."""
    kernel = (ROOT / "csrc" / "kernel" / "kernel.inl.hpp").read_text(encoding="utf-8")
    before = kernel.partition("\nnamespace")[0]  # what follows it needs the rest of the file
    includes = re.findall(r'^#include ".*"$', before, re.MULTILINE)
    source, output = folder / "loop.cpp", folder / "loop.s"
    lines = [
        "#define private public",
        *includes,
        "namespace posenc {",
        LOOPS[loop],
        "}",
    ]  # private functions are called
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [target.compiler, *flags(target), f"-I{ROOT / 'csrc' / 'kernel'}", "-S", "-o", str(output), str(source)]
    subprocess.run(command, check=True)
    return output.read_text(encoding="utf-8").splitlines()


def loops(lines: Sequence[str]) -> Iterator[list[str]]:
    """The instructions of each marked loop: once around, by the way that the compiler holds for likely.

    That is the shortest one, where a branch taken forward counts as many.
    """
    labels = {line[:-1]: i for i, line in enumerate(lines) if line.endswith(":")}
    for mark, text in enumerate(lines):
        if MARK not in text:
            continue
        heap: list[tuple[int, int, tuple[int, ...]]] = [(0, mark + 1, ())]
        seen: set[int] = set()
        while heap:
            cost, i, path = heapq.heappop(heap)
            if i in seen or i >= len(lines):
                continue
            seen.add(i)
            line = lines[i].strip()
            if MARK in line:
                if i == mark:
                    yield [lines[j].strip() for j in path]
                    break
                continue
            word, _, rest = line.partition("\t")
            if not line or line.startswith((".", "#", "//")) or line.endswith(":"):
                heapq.heappush(heap, (cost, i + 1, path))
            elif word in ("jmp", "b"):
                if rest in labels:
                    heapq.heappush(heap, (cost, labels[rest], path))
            elif word not in ("ret", "call", "bl"):
                heapq.heappush(heap, (cost + 1, i + 1, (*path, i)))
                target = rest.rpartition(" ")[2]  # of cbz x0, .L5, too
                if target in labels:
                    forward = UNLIKELY if labels[target] > i else 0
                    heapq.heappush(heap, (cost + 1 + forward, labels[target], (*path, i)))


def fused(loop: Sequence[str]) -> int:
    return sum(re.match(r"v?fn?m(add|sub|la|ls)", instruction) is not None for instruction in loop)


def cycles(tool: str, target: Target, processor: str, trace: Sequence[str]) -> float:
    """Of one iteration of a loop, by simulation of many."""
    command = [tool, f"-mtriple={target.triple}", f"-mcpu={processor}", f"-iterations={ITERATIONS}"]
    command += ["-instruction-info=0", "-resource-pressure=0"]
    run = subprocess.run(command, input="\n".join(trace) + "\n", capture_output=True, text=True, check=True)
    total = re.search(r"Total Cycles:\s+(\d+)", run.stdout)
    assert total is not None, run.stdout
    return int(total[1]) / ITERATIONS


def measure(tool: str, targets: Sequence[Target]) -> dict[str, dict[str, float]]:
    """Cycles for 16 elements: by loop, then by processor and level."""
    result: dict[str, dict[str, float]] = {name: {} for name in LOOPS}
    for target in targets:
        if shutil.which(target.compiler) is None:
            print(f"tools/mca.py: {target.compiler} is not here: {target.level} is left out", file=sys.stderr)
            continue
        for name in LOOPS:
            with tempfile.TemporaryDirectory() as folder:
                found = list(loops(assembly(target, name, Path(folder))))
            if not found:
                print(f"tools/mca.py: no mark in {name!r} at {target.level}", file=sys.stderr)
                continue
            whole = max(found, key=fused)  # a part of a strip has fewer registers
            for processor in target.processors:
                value = cycles(tool, target, processor, whole) * 16 / target.elements(name)
                result[name][f"{processor}, {target.level}"] = value
    return result


def table(result: dict[str, dict[str, float]]) -> str:
    columns = list(dict.fromkeys(column for row in result.values() for column in row))
    lines = [f"| cycles for 16 elements | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    lines += [
        f"| {name} | {' | '.join(f'{row[c]:.1f}' if c in row else '-' for c in columns)} |"
        for name, row in result.items()
    ]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="write the table into bench/README.md")
    args = parser.parse_args(argv)
    text = table(measure(analyser(), TARGETS))
    print(text)
    if args.update:
        begin, end = MARKERS
        old = README.read_text(encoding="utf-8")
        before, after = old.partition(begin)[0], old.partition(end)[2]
        README.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
