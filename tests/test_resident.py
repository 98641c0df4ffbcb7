"""Memory as the system counts it: caches keep their budgets, and what they let go is used again."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from . import backends

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no /proc here")
BACKENDS = [name for name in backends.NAMES if name not in backends.MISSING]
MIB = 2**20

RESIDENT = """
import os, sys
import numpy as np, posenc
from posenc import Encoding
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
"""

NEW = """
backend, dim, rows, calls, count, explicit = sys.argv[1], *map(int, sys.argv[2:])
x = np.zeros((rows, dim), np.float32)
def new(i):
    if explicit:
        return Encoding(frequencies=[(i + k + 1.0) / 9.0 for k in range((dim + 1) // 2)])
    return Encoding(base=100.0 + i)
for i in range(30):
    posenc.fill_(x, encoding=Encoding(base=2.0 + i), backend=backend)
before, most = resident(), 0
for i in range(count):
    encoding = new(i)
    for _ in range(calls):
        posenc.fill_(x, encoding=encoding, backend=backend)
    if i % 50 == 0:
        most = max(most, resident() - before)
print(max(most, resident() - before))
"""


def printed(code: str, *arguments: object) -> int:
    command = [sys.executable, "-c", RESIDENT + code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return int(done.stdout)


# Rows of a call, and calls of each encoding: from the second on, rows are kept ready.
CASES = [
    (2, 1, 1, 3000),
    (2, 3000, 3, 1000),
    (64, 1, 1, 1500),
    (64, 500, 3, 500),
    (512, 512, 3, 150),
    (4096, 30, 3, 50),
]


@pytest.mark.parametrize(("dim", "rows", "calls", "count"), CASES)
def test_new_encodings_of_the_compiled_backend(dim: int, rows: int, calls: int, count: int) -> None:
    if "cpp" in backends.MISSING:
        pytest.skip(backends.MISSING["cpp"])
    assert printed(NEW, "cpp", dim, rows, calls, count, 0) < 40 * MIB


@pytest.mark.slow
@pytest.mark.parametrize(("dim", "rows", "calls"), [(2, 1, 1), (2, 3000, 3), (64, 1, 3), (512, 512, 3), (4096, 1, 2)])
@pytest.mark.parametrize("name", BACKENDS)
def test_20_000_new_encodings(name: str, dim: int, rows: int, calls: int) -> None:
    count = 20_000 if dim < 1000 else 2_000
    assert printed(NEW, name, dim, rows, calls, count, 0) < 64 * MIB


@pytest.mark.parametrize("name", BACKENDS)
def test_explicit_frequencies_count(name: str) -> None:
    assert printed(NEW, name, 128, 1, 1, 1500, 1) < 64 * MIB


SPECTRA = """
from posenc import _spectrum
count = int(sys.argv[1])
_spectrum._spectra._store.limit = 2**20
for i in range(1000):  # the cache is full
    _spectrum.spectra(Encoding(base=2.0 + i), 2)
before = resident()
for i in range(count):
    _spectrum.spectra(Encoding(base=3e6 + i), 2)
assert len(_spectrum._spectra._store.held.entries) < 1000
print(resident() - before)
"""
BUDGET = """
from posenc import _spectrum
axes, dim = map(int, sys.argv[1:])
_spectrum.spectra(Encoding(base=1.5, axes=axes), dim)
before = resident()
_spectrum._spectra._store.limit = 2**22
for i in range(4000):
    _spectrum.spectra(Encoding(base=2.0 + i, axes=axes), dim)
assert 0.9 * 2**22 < _spectrum._spectra._store.held.nbytes <= 2**22
print(resident() - before)
"""


def test_spectra_do_not_grow() -> None:
    assert printed(SPECTRA, 3000) < 2 * MIB


@pytest.mark.slow
def test_100_000_spectra() -> None:
    assert printed(SPECTRA, 100_000) < 8 * MIB


@pytest.mark.parametrize(("axes", "dim"), [(1, 2), (1, 16), (2, 4)])
def test_what_a_full_cache_counts_is_what_it_holds(axes: int, dim: int) -> None:
    # Not twice the 4 MiB that it is given here.
    assert printed(BUDGET, axes, dim) < 6 * MIB
