"""Faults that the tests must see: `python -m tests.mutations` puts one after the other into a copy of the tree.

Each is an old and a new text in one file, and the tests of which one must then fail: bounds half as large as they are,
and broken contracts. `nox -s mutations` runs it, in an environment without posenc; a build for each takes its time.
Arguments are names of mutations.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
KERNEL = "csrc/kernel/"


class Mutation(NamedTuple):
    """A text that must stand once in a file, what takes its place, and tests of which one must then fail."""

    name: str
    file: str
    old: str
    new: str
    tests: str


JOURNAL = "python/posenc/files/_journal.py"
MEMORY = "tests/test_memory.py"
BITS = "tests/test_strips.py tests/test_hard_cases.py tests/test_memory.py"
DOUBLES = (
    "tests/test_strips.py tests/test_doubles.py tests/test_bounds.py::test_the_document_has_the_values_of_the_code"
)
PYTHON = "tests/test_bounds.py tests/test_hard_cases.py tests/test_exact.py"
HALVES = [  # file, name, value, half of it
    (KERNEL + "recur.inl.hpp", "kRowError", "1.0", "0.5"),
    (KERNEL + "recur.inl.hpp", "kFastRowError", "kFused ? 3.4 : 5.4", "kFused ? 1.7 : 2.7"),
    (KERNEL + "recur.inl.hpp", "kStartError", "40.0", "20.0"),
    (KERNEL + "round.inl.hpp", "kEvaluateError", "0x1p-50", "0x1p-51"),
    (KERNEL + "round.inl.hpp", "kAngleError", "0x1p-103", "0x1p-104"),
    (KERNEL + "quick.inl.hpp", "kQuickError", "0x1p-43", "0x1p-44"),
    (KERNEL + "quick.inl.hpp", "kFarError", "0x1.4p-51", "0x1.4p-52"),
    (KERNEL + "grid.inl.hpp", "kDoubleError", "0x1.1p-50", "0x1.1p-51"),
    (KERNEL + "quick.inl.hpp", "kNear", "0x1p44", "0x1p60"),
    ("python/posenc/_formula.py", "BOUND", "2.0**-50", "2.0**-51"),
    ("python/posenc/_formula.py", "DOUBLE_BOUND", "8.5 * 2.0**-53", "4.25 * 2.0**-53"),
    ("python/posenc/_formula.py", "TURNED_BOUND", "2.0**-49", "2.0**-50"),
    ("python/posenc/_formula.py", "ANGLE_BOUND", "2.0**-103", "2.0**-104"),
]
GRID, FLOAT64 = KERNEL + "grid.inl.hpp", "tests/test_float64.py"
AGAIN = "tests/test_rows_again.py"
RECUR, ROUND, WALK, ROWS, LISTS = (f"{KERNEL}{name}.inl.hpp" for name in ("recur", "round", "walk", "rows", "kernel"))
MUTATIONS = [
    *(
        Mutation(
            f"half of {name}" if name != "kNear" else "quick, near, up to 2^60",
            file,
            f"{name} = {value}",
            f"{name} = {half}",
            PYTHON if "py" in file else DOUBLES,
        )
        for file, name, value, half in HALVES
    ),
    Mutation(
        "half of a strip's error",
        RECUR,
        "sine_error = cosine_error * reach;",
        "sine_error = (cosine_error *= 0.5) * reach;",
        DOUBLES,
    ),
    Mutation("no error of the angle in strips", RECUR, "tile.farthest * kAngleError", "tile.farthest * 0.0", DOUBLES),
    Mutation("an anchor a turn too far", GRID, "whole / kGrid * kGrid", "(whole + 1) / kGrid * kGrid", FLOAT64),
    Mutation(
        "angles added by fused operations",
        GRID,
        "multiply_add<fuse>(a_cos, b_cos, -(a_sin * b_sin))",
        "multiply_add<true>(a_cos, b_cos, -(a_sin * b_sin))",
        FLOAT64,
    ),
    Mutation(
        "sums of angles as if they were exact",
        KERNEL + "lists.inl.hpp",
        "position == 0.0 ? 0.0 : ScaledWindow",
        "position == position ? 0.0 : ScaledWindow",
        AGAIN,
    ),
    Mutation("a negative position's sine", GRID, "position < 0.0 ? std::uint64_t{1} << 63 : 0", "0", FLOAT64),
    Mutation("another position's anchor", GRID, "few.position[place] == position", "position >= 0.0", FLOAT64),
    Mutation("another turn in its place", GRID, "kept_.turn[place] == rows + 1", "kept_.turn[place] != 0", FLOAT64),
    Mutation("another table's turns", LISTS, "work.kept->table != table.serial", "work.kept->table == 0", FLOAT64),
    Mutation("turns left out", ROWS, "turn += table.turns", "turn += table.turns + 1", FLOAT64),
    Mutation("a quarter turn, nearly", RECUR, "(1.0 - kUnit) + f64s{}", "2.0 + f64s{}", DOUBLES),
    Mutation("an evaluated anchor forgotten", WALK, "span(evaluated, last)", "span(tile.position(0), last)", DOUBLES),
    Mutation("a position below 0 forgotten", WALK, "- (low < 0.0 ? low : 0.0)", "", DOUBLES),
    Mutation("a tile rotated once more", "csrc/tuning.hpp", "kRotations = 4", "kRotations = 8", DOUBLES),
    Mutation("no window", ROUND, "~(2 * window - 1)", "~0U", BITS),
    Mutation("a window in the wrong place", ROUND, "- (kTie - window)", "- kTie", BITS),
    Mutation(
        "a floor of the window alone", ROUND, "(window * 0x1p-53 - relative)", "(window * 0x1p-45 - relative)", BITS
    ),
    Mutation("a floor of 16 bits that lies too low", ROUND, "(0x1p-25 - relative)", "(0x1p-5 - relative)", BITS),
    Mutation("no limit of a strip", RECUR, "limits = least > limits ? least : limits;", "limits = least * 0;", BITS),
    Mutation(
        "every row passes for evaluated", RECUR, "least_error = row != 0 ? e :", "least_error = row > 99 ? e :", BITS
    ),
    Mutation("a flip a row early", RECUR, "row % 2 != 0;", "row % 2 == 0;", BITS),
    Mutation("negative zeros", ROUND, "f32h) + 0.0F; }", "f32h); }", BITS),
    Mutation(
        "ties of bfloat16 up",
        KERNEL + "half.inl.hpp",
        "+ 0x7fff + ((bits >> 16) & 1)",
        "+ 0x8000",
        BITS + " tests/test_half.py tests/test_exact.py",
    ),
    Mutation(
        "the next row's columns, a row late",
        WALK,
        "++next.first;",
        "next.first += 2;",
        BITS,
    ),
    Mutation(
        "the tail of a sum",
        KERNEL + "consumers.inl.hpp",
        "smaller(count - v * kVector, kVector);\n            if",
        "smaller(count - v * kVector, kVector) - 1;\n            if",
        BITS,
    ),
    Mutation(
        "sine and cosine swapped", ROUND, "cosine[i] = -(source[i] & 1);", "cosine[i] = (source[i] & 1) - 1;", BITS
    ),
    Mutation(
        "masked rows cleared",
        LISTS,
        "if (target.operation != Operation::add) {\n                clear_rows",
        "if (true) {\n                clear_rows",
        "tests/test_positions.py",
    ),
    Mutation(
        "an embedding's last line",
        KERNEL + "embed.inl.hpp",
        "values.put(line_, j, count - j);",
        "values.put(line_, j, (count - j) / 2);",
        "tests/test_embed.py",
    ),
    Mutation(
        "a line of two rows",
        KERNEL + "embed.inl.hpp",
        "j = smaller(kElements - filled_, count);",
        "j = smaller(kElements - filled_, count) / 2;",
        "tests/test_embed.py",
    ),
    Mutation(
        "an embedding a row late",
        KERNEL + "embed.inl.hpp",
        "embedding_of(target, a, first + i)) {\n                writer",
        "embedding_of(target, a, first)) {\n                writer",
        "tests/test_embed.py",
    ),
    Mutation(
        "ids checked up to V",
        "python/posenc/_lookup.py",
        "(part >= 0) & (part < count)",
        "(part >= 0) & (part <= count)",
        "tests/test_embed.py",
    ),
    Mutation(
        "the last streamed row",
        ROWS,
        "next + 1, rest - 1}",
        "next + 1, rest - 2}",
        BITS,
    ),
    Mutation("a row's first columns", ROWS, "before(next), table.columns", "before(next) + 1, table.columns", BITS),
    Mutation("frequencies behind the last", WALK, "smaller(few, table.padded_frequencies)", "few", MEMORY),
    Mutation("rows in common, others than asked for", LISTS, "(position - common.low) * row", "(0.0) * row", MEMORY),
    Mutation("another call's rows", LISTS, "work.kept->ready != common.call", "work.kept->ready == 0", MEMORY),
    Mutation(
        "another row of the outer axes",
        LISTS,
        "outer + row / parts.count",
        "outer + (row > 0 ? row - 1 : 0) / parts.count",
        "tests/test_grid.py",
    ),
    Mutation("narrow rows with the first one's anchor", WALK, "row.first += r;", "row.first += r / 99;", BITS),
    Mutation("one row taken for many", WALK, "|| !Consumer::kReads", "|| consumer.from_stride == 0", BITS),
    Mutation(
        "narrow rows up to one too many",
        WALK,
        "whole = rows.count / together,",
        "whole = rows.count / together + 1,",
        MEMORY,
    ),
    Mutation(
        "the first image's rows",
        "csrc/call.cpp",
        "(group * call.lengths[axis] + i)",
        "i",
        "tests/test_backend_modules.py tests/test_grid.py",
    ),
    Mutation(
        "limits that are infinite",
        RECUR,
        "choose((i64s)(least > Test::kMostLimit), kNever + f64s{}, least)",
        "least",
        BITS,
    ),
    Mutation(
        "limits of single rows that are infinite",
        KERNEL + "lists.inl.hpp",
        "limit > Test::kMostLimit ? kNever : ",
        "",
        AGAIN,
    ),
    Mutation("an exact tie at AVX-512", RECUR, "choose(tie, kNever + f64s{}, f64s{})", "f64s{}", BITS),
    Mutation("tiny values at AVX-512", RECUR, "return choose(tiny, kNever + f64s{}, limit);", "return limit;", BITS),
    Mutation(
        "a sixteenth of a turn",
        KERNEL + "lists.inl.hpp",
        "? -position : position;",
        "? position : -position;",
        BITS + " tests/test_grid.py",
    ),
    Mutation(
        "an exact result's sign",
        "csrc/exact.cpp",
        "place >= 12, square",
        "place < 12, square",
        "tests/test_exact.py tests/test_strips.py",
    ),
    Mutation(
        "the last stage's interval",
        "csrc/exact.cpp",
        "digits.at(0) | 1)",
        "digits.at(0))",
        "tests/test_exact.py tests/test_hard_cases.py",
    ),
    Mutation(
        "a thread's piece, a row late",
        "csrc/call.cpp",
        "rows.start = call.positions[group];",
        "rows.start = call.positions[group] + (row != 0 ? 1.0 : 0.0);",
        "tests/test_threads.py tests/test_memory.py",
    ),
    Mutation(
        "a slot that is not on the disk",
        JOURNAL,
        "self.mark(first + memoryview(original).nbytes)\n        self._barrier()\n",
        "self.mark(first + memoryview(original).nbytes)\n",
        "tests/test_files.py",
    ),
    Mutation(
        "an original that is not on the disk",
        JOURNAL,
        "self._originals + first, original)\n        self._barrier()\n",
        "self._originals + first, original)\n",
        "tests/test_files.py",
    ),
    Mutation("one slot", JOURNAL, "self._slots + number % 2 * PAGE, slot", "self._slots, slot", "tests/test_files.py"),
    Mutation(
        "a chunk that begins at 0",
        "python/posenc/dask.py",
        'return {"start": start + first}',
        'return {"start": start}',
        "tests/test_dask.py",
    ),
]


def only_one_level(tree: Path) -> None:
    """Leave the fastest ISA level that an x86-64 processor has: a fault is in all of them."""
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    level = next((level for level, flag in (("avx512", "avx512vl"), ("avx2", "avx2")) if flag in flags), None)
    if level is not None:
        lists, table = tree / "CMakeLists.txt", tree / "csrc/dispatch.cpp"
        text = lists.read_text().replace("set(POSENC_LEVELS baseline)", "")
        lists.write_text(text.replace("POSENC_LEVELS avx2 avx512)", f"POSENC_LEVELS {level})"))
        lines = table.read_text().splitlines(keepends=True)
        table.write_text("".join(line for line in lines if 'Level{"' not in line or f'Level{{"{level}"' in line))


def install(tree: Path, installed: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-build-isolation", "--no-deps"]
    command += ["-Ccmake.define.CMAKE_CXX_FLAGS_RELEASE=-O1", f"--target={installed}", str(tree)]
    subprocess.run(command, check=True, env=os.environ | {"POSENC_REQUIRE_NATIVE": "1"})


def install_again(tree: Path, installed: Path, file: str) -> None:
    """Only what depends on one file."""
    if file.startswith("python"):
        shutil.copy(tree / file, installed / Path(file).relative_to("python"))
        return
    (build,) = (tree / "build").iterdir()
    subprocess.run(["cmake", "--build", build], check=True, stdout=subprocess.DEVNULL)
    for module in build.glob("_core*"):
        shutil.copy(module, installed / "posenc")


def fails(tree: Path, installed: Path, tests: str, compiled: bool) -> str | None:
    """The first test that fails, if one does; of the compiled backend's, if the fault is there."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--no-header", "--tb=no"]
    environment = os.environ | {"PYTHONPATH": str(installed)}
    if compiled:
        command += ["-k", "not numba and not numpy"]
    done = subprocess.run([*command, *tests.split()], cwd=tree, env=environment, capture_output=True, text=True)
    found = [line.split()[1] for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return found[0] if found else "a crash" if done.returncode < 0 else None


def main(names: list[str]) -> int:
    chosen = [mutation for mutation in MUTATIONS if not names or mutation.name in names]
    survived = []
    with tempfile.TemporaryDirectory() as directory:
        tree, installed = Path(directory, "tree"), Path(directory, "installed")
        kept = shutil.ignore_patterns("build", ".git", "__pycache__", ".venv", "dist")
        shutil.copytree(ROOT, tree, ignore=kept)
        only_one_level(tree)
        install(tree, installed)
        for mutation in chosen:
            path = tree / mutation.file
            text = path.read_text()
            if text.count(mutation.old) != 1:
                print(f"{mutation.name}: {mutation.file} does not have the text once", flush=True)
                survived.append(mutation.name)
                continue
            path.write_text(text.replace(mutation.old, mutation.new))
            install_again(tree, installed, mutation.file)
            caught = fails(tree, installed, mutation.tests, mutation.file.startswith("csrc"))
            print(f"{mutation.name}: {caught or 'SURVIVES'}", flush=True)
            if caught is None:
                survived.append(mutation.name)
            path.write_text(text)
            if mutation.file.startswith("python"):
                install_again(tree, installed, mutation.file)
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
