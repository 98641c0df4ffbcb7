"""How many times as fast is one build of posenc as another one, in one run? `nox -s compare`, or `-- 8b2c3b1`

    python bench/compare_commits.py OLD NEW [--only add] [--seconds 0.5] [--isa avx2]

OLD and NEW are folders that `pip install --target` has filled. Each is imported by a process of its own, and the two
take turns, sample by sample, so that a slow minute of the machine hits both. Cases call what both have: the public
functions. Results are not checked here, which is the task of the tests and of `posenc bench`; that they are equal is.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any

SAMPLE_SECONDS = 2e-3
SLOWER = 1.1  # times as long: told at the end

Make = Callable[[Any, Any], Callable[[], Any]]


def _on(shape: tuple[int, ...], verb: str, dtype: str = "float32", **keywords: Any) -> Make:
    def make(posenc: Any, np: Any) -> Callable[[], Any]:
        x = np.zeros(shape, importlib.import_module("ml_dtypes").bfloat16 if dtype == "bfloat16" else dtype)
        does = getattr(posenc, verb)
        ready = {name: value(np) if callable(value) else value for name, value in keywords.items()}
        return lambda: does(x, **ready)

    return make


def _moving(shape: tuple[int, int], verb: str) -> Make:
    def make(posenc: Any, np: Any) -> Callable[[], Any]:
        x, does = np.zeros(shape, np.float32), getattr(posenc, verb)
        starts = itertools.cycle(range(1000, 1000 + 8 * shape[0], shape[0]))
        return lambda: does(x, start=next(starts))

    return make


def _packed(np: Any) -> Any:
    ends = np.cumsum(np.random.default_rng(3).integers(20, 200, size=1000))
    return np.concatenate([[0], ends[ends < 16384], [16384]])


CASES: dict[str, Make] = {
    "fill 512x512, moving start": _moving((512, 512), "fill_"),
    "fill 4096x512, moving start": _moving((4096, 512), "fill_"),
    "fill 131072x512": _on((131072, 512), "fill_"),
    "fill 4096x512 from 1e9": _on((4096, 512), "fill_", start=10**9),
    "fill 8192x512 at reals": _on(
        (8192, 512), "fill_", positions=lambda np: np.random.default_rng(2).random(8192) * 1e4
    ),
    "fill 8192x512 at linspace": _on((8192, 512), "fill_", positions=lambda np: np.linspace(0.0, 1000.0, 8192)),
    "fill 16384x512 float64": _on((16384, 512), "fill_", dtype="float64"),
    "fill 16384x512 float16": _on((16384, 512), "fill_", dtype="float16"),
    "fill 16384x512 bfloat16": _on((16384, 512), "fill_", dtype="bfloat16"),
    "fill 16384x513": _on((16384, 513), "fill_"),
    "add 512x512, moving start": _moving((512, 512), "add_"),
    "add 4096x512, moving start": _moving((4096, 512), "add_"),
    "add 131072x512": _on((131072, 512), "add_"),
    "add 32x512x768": _on((32, 512, 768), "add_"),
    "add 32x512x768 bfloat16": _on((32, 512, 768), "add_", dtype="bfloat16"),
    "add 8x512x4096, channels first": _on((8, 512, 4096), "add_", channel_axis=1, seq_axis=-1),
    "add 8x256x64x64, rows first": _on((8, 256, 64, 64), "add_", channel_axis=1, seq_axis=0),
    "add 8x512x8x512, heads": _on((8, 512, 8, 512), "add_", seq_axis=1),
    "add 16384x768, packed": _on((16384, 768), "add_", cu_seqlens=_packed),
    "add 64x32x32x768 mae": _on((64, 32, 32, 768), "add_", encoding="mae"),
    "add 1x512": _on((1, 512), "add_", start=1000),
    "add 1x512 float16": _on((1, 512), "add_", start=1000, dtype="float16"),
    "add 8x1x512, a start each": _on((8, 1, 512), "add_", start=lambda np: np.arange(8)),
}


def work(folder: str, isa: str | None) -> None:
    """Do what is asked on standard input, line by line: a case's name begins it, an empty line asks for a sample."""
    sys.path.insert(0, folder)
    sys.meta_path[:] = [one for one in sys.meta_path if "Redirecting" not in type(one).__name__]  # of editable installs
    np, posenc = importlib.import_module("numpy"), importlib.import_module("posenc")
    assert posenc.__file__ is not None
    assert Path(posenc.__file__).is_relative_to(folder), posenc.__file__
    if isa:
        importlib.import_module("posenc._core").use_level(isa)
    call: Callable[[], Any] = dict  # until the first case
    calls = 1

    def sample() -> float:
        start = time.perf_counter()
        for _ in itertools.repeat(None, calls):
            call()
        return (time.perf_counter() - start) / calls

    for line in sys.stdin:
        answer: dict[str, Any] = {}
        try:
            if name := line.strip():
                calls = 1
                call = CASES[name](posenc, np)
                first = np.ascontiguousarray(call())
                answer["bits"] = hash(first.tobytes()[: 2**22])
                once = min(sample() for _ in range(2))
                calls = max(1, round(SAMPLE_SECONDS / once))
            call()  # the other one has used the caches
            answer["seconds"] = sample()
        except Exception as error:  # any: an older commit may not know a case
            answer["error"] = f"{type(error).__name__}: {error}"
        print(json.dumps(answer), flush=True)


class Side:
    """A process that times one build."""

    def __init__(self, folder: str, isa: str | None) -> None:
        command = [sys.executable, __file__, "--worker", str(Path(folder).resolve()), *(["--isa", isa] if isa else [])]
        environment = os.environ | {"PYTHONHASHSEED": "0"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def ask(self, line: str = "") -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(line, file=self._process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self._process.stdout.readline() or '{"error": "the process ended"}')
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def compare(old: Side, new: Side, name: str, seconds: float) -> tuple[str, float]:
    """One line of the table, and how many times as long the new one takes; 0 where nothing was timed."""
    first = [side.ask(name) for side in (old, new)]
    errors = [answer["error"] for answer in first if "error" in answer]
    if errors:
        return f"{name:34}  not timed: {errors[0]}", 0.0
    times: list[list[float]] = [[], []]
    begun = time.perf_counter()
    while len(times[0]) < 5 or time.perf_counter() - begun < seconds:
        order = (0, 1) if len(times[0]) % 2 else (1, 0)  # so that nobody always follows the same one
        for side in order:
            times[side].append((old, new)[side].ask()["seconds"])
    ratios = [a / b for a, b in zip(*times, strict=True)]
    low, middle, high = quantiles(ratios, n=4)
    a, b = median(times[0]), median(times[1])
    same = "" if first[0]["bits"] == first[1]["bits"] else "  other bits"
    return f"{name:34}{a * 1e6:12.2f}{b * 1e6:12.2f}{a / b:9.2f}   {low:.2f} to {high:.2f}{same}", 1 / middle


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", nargs="?", help="a folder with posenc in it")
    parser.add_argument("new", nargs="?", help="another one")
    parser.add_argument("--only", default="", help="cases whose names contain this")
    parser.add_argument("--seconds", type=float, default=0.5, help="for each case; default 0.5")
    parser.add_argument("--isa", help="the level of the compiled core, for both")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.worker:
        work(args.worker, args.isa)
        return 0
    if not args.old or not args.new:
        parser.error("expected two folders")
    old, new = Side(args.old, args.isa), Side(args.new, args.isa)
    print(f"{'':34}{'old, us':>12}{'new, us':>12}{'old/new':>9}   quartiles", flush=True)
    slower = []
    try:
        for name in CASES:
            if args.only in name:
                line, ratio = compare(old, new, name, args.seconds)
                print(line, flush=True)
                slower += [f"{name}: {ratio:.2f} times as long"] if ratio > SLOWER else []
    finally:
        old.close()
        new.close()
    print(f"\nslower by more than {SLOWER - 1:.0%}: {'; '.join(slower) or 'nothing'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
