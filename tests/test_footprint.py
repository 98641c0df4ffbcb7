"""What a call needs beside the array is bounded, in resident memory, however many rows and sequences there are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from . import backends

MANY = 2_500_000  # of sequences or rows: 8 bytes of each are more than is allowed
ALLOWED = 16 * 2**20

# Prints by how many bytes the resident memory has grown at the height of each call.
PROGRAM = """
import json, os, sys
import numpy as np, posenc

backend, many = sys.argv[1], int(sys.argv[2])
image = posenc.Encoding(axes=2)

def numbers(n, kind=np.float64):
    return np.arange(n, dtype=kind)

CASES = {
    "one start": lambda n: ((n, 1, 2), {}),
    "starts int64": lambda n: ((n, 1, 2), {"start": numbers(n, np.int64)}),
    "starts int32": lambda n: ((n, 1, 2), {"start": numbers(n, np.int32)}),
    "starts float64": lambda n: ((n, 1, 2), {"start": numbers(n)}),
    "starts of tensors": lambda n: ((n, 1, 2), {"start": torch.arange(n)}),
    "starts and an offset": lambda n: (
        (n, 1, 2), {"start": numbers(n) / 3, "encoding": posenc.Encoding(position_offset=0.1)}
    ),
    "mask of (L,)": lambda n: ((n, 1, 2), {"mask": np.zeros(1, bool)}),
    "mask of (N, L)": lambda n: ((n // 2, 2, 2), {"mask": (numbers(n, np.int8) & 1).reshape(-1, 2)}),
    "mask of (N, 1)": lambda n: ((n // 2, 2, 2), {"mask": (numbers(n // 2, np.int8) & 1).reshape(-1, 1)}),
    "positions (N, L)": lambda n: ((n // 2, 2, 2), {"positions": numbers(n, np.int64).reshape(-1, 2)}),
    "positions (N, 1)": lambda n: ((n // 2, 2, 2), {"positions": numbers(n // 2, np.float32).reshape(-1, 1)}),
    "positions of masked rows": lambda n: (
        (n // 2, 2, 2), {"positions": numbers(n).reshape(-1, 2) * 1e300, "mask": numbers(n).reshape(-1, 2) == 0}
    ),
    "a long mask": lambda n: ((n, 2), {"mask": numbers(n, np.int8) & 1 == 0}),
    "long positions": lambda n: ((n, 2), {"positions": numbers(n, np.int64)}),
    "packed": lambda n: ((n, 2), {"cu_seqlens": numbers(n + 1, np.int64), "start": numbers(n, np.int64)}),
    "one packed": lambda n: ((n, 2), {"cu_seqlens": [0, 1, n]}),
    "images": lambda n: ((n, 1, 1, 2), {"encoding": image}),
    "images with masks": lambda n: (
        (n, 1, 1, 2), {"encoding": image, "mask": (numbers(n, np.int8) & 1).reshape(-1, 1, 1)}
    ),
    "images with positions": lambda n: (
        (n // 2, 1, 1, 2), {"encoding": image, "positions": numbers(n // 2 * 2).reshape(-1, 1, 1, 2)}
    ),
    "tokens": lambda n: ((n // 2, 2, 2), {"encoding": image, "grid": (1, 1), "prefix": 1}),
    "a long image": lambda n: ((1, n, 1, 2), {"encoding": image}),
    "a long list of cells": lambda n: ((n, 2), {"encoding": image, "positions": numbers(2 * n).reshape(-1, 2)}),
}
try:
    import torch
except ImportError:
    del CASES["starts of tensors"]

def status(key):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))

grown = {}
for i, (name, case) in enumerate(CASES.items()):
    call = (posenc.add_, posenc.fill_)[i % 2]
    for n in (100, many):  # the first one makes tables, and what is compiled
        shape, keywords = case(n)
        x = np.ones(shape, np.float16)
        before = status("VmRSS")
        with open("/proc/self/clear_refs", "w") as peak:
            peak.write("5")
        call(x, backend=backend, **keywords)
        grown[name] = status("VmHWM") - before
        del x, keywords
print(json.dumps(grown))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells the peak of resident memory")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name != "cpp" and "cpp" not in backends.MISSING else ())
        for name in backends.NAMES
        if name not in backends.MISSING
    ],
)
def test_what_a_call_needs_beside_the_array(name: str) -> None:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("POSENC_")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, name, str(MANY)], env=clean, text=True, capture_output=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    grown = json.loads(done.stdout)
    assert len(grown) > 20
    assert {case: size for case, size in grown.items() if size > ALLOWED} == {}
