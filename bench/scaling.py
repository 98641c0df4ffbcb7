"""Does the cost of a fill grow with the work and with nothing else? `python bench/scaling.py [--quick]`

Three tables: time per element as the array grows, and as positions grow; and the memory that a fill and an add need
besides their array, as that grows, each in a process of its own.
"""

from __future__ import annotations

import argparse
import functools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np
import posenc

DIM = 512
LENGTHS = [20, 200, 2000, 20_000, 200_000, 2_000_000]  # 1e4 to 1e9 elements
AT = {"0": 0, "1e3": 1000, "1e6": 10**6, "1e9": 10**9, "2^40": 2**40, "2^53 - L": 2**53}
MEMORY_LENGTHS = [2000, 20_000, 200_000]

# What the process had at most before the call, and after it.
PROBE = """
import sys, resource, numpy, posenc
length, dim, name = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
call = getattr(posenc, name)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
call(numpy.ones((20, dim), "f4"))
x = numpy.ones((length, dim), "f4")
before = peak()
call(x)
print((peak() - before) * (1 if sys.platform == "darwin" else 1024))
"""


def per_element(call: Callable[[], object], elements: int, seconds: float) -> float:
    """Nanoseconds, the median of several samples; the first call is not counted."""
    call()
    start = time.perf_counter()
    call()
    calls = max(1, int(0.002 / max(time.perf_counter() - start, 1e-9)))
    samples: list[float] = []
    begun = time.perf_counter()
    while len(samples) < 3 or time.perf_counter() - begun < seconds:
        start = time.perf_counter()
        for _ in range(calls):
            call()
        samples.append((time.perf_counter() - start) / calls)
    return median(samples) / elements * 1e9


def available_bytes() -> int:
    """Half of what the system says is free."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return 2**31


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small arrays: shows that everything works")
    args = parser.parse_args(argv)
    seconds = 0.01 if args.quick else 0.5
    most = 2**20 if args.quick else available_bytes()

    print(f"fill_ of (L, {DIM}) float32 at 0 .. L - 1\n{'elements':>12}{'ns/element':>12}{'GB/s':>8}")
    for length in LENGTHS:
        if length * DIM * 4 > most:
            print(f"{length * DIM:>12.2g}   left out: too little memory")
            continue
        out = np.ones((length, DIM), np.float32)
        cost = per_element(functools.partial(posenc.fill_, out), out.size, seconds)
        print(f"{out.size:>12.2g}{cost:>12.4f}{4 / cost:>8.2f}")
        del out

    length = 200 if args.quick else 20_000
    out = np.ones((length, DIM), np.float32)
    print(f"\nfill_ of ({length}, {DIM}) float32 from a position\n{'from':>12}{'ns/element':>12}{'GB/s':>8}")
    for name, start in AT.items():
        first = start - length if start == 2**53 else start
        cost = per_element(functools.partial(posenc.fill_, out, start=first), out.size, seconds)
        print(f"{name:>12}{cost:>12.4f}{4 / cost:>8.2f}")

    if sys.platform == "win32":
        return 0
    print(f"\nmemory besides the array, KiB\n{'array, MiB':>12}{'fill_':>12}{'add_':>12}")
    for length in MEMORY_LENGTHS[: 1 if args.quick else None]:
        extra = []
        for name in ("fill_", "add_"):
            command = [sys.executable, "-c", PROBE, str(length), str(DIM), name]
            extra.append(int(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
        print(f"{length * DIM * 4 / 2**20:>12.1f}" + "".join(f"{value / 1024:>12.0f}" for value in extra))
    return 0


if __name__ == "__main__":
    sys.exit(main())
